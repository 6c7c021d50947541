"""A run's `_kl.json` files again: the records are rebuilt from its columns, prompt by prompt.

Everything a result file holds is a column, so a restored file equals the one that was
written when the run was made, byte for byte.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from kl_core.errors import RunError
from kl_core.records import (
    Entry,
    Message,
    Position,
    Prompt,
    Response,
    ScoredEntry,
    ScoredResponse,
    Token,
    TokenDist,
    TokenMeasures,
)
from kl_core.store import estimates, forms, schema
from kl_core.store.query import Cursor, Query
from kl_core.store.rows import FROM_MEASURES

TOKENS_A_BATCH = 2_000  # of twice twenty candidates: some 30 MB of records at a time
_OLD = (
    "this run was made by an older version, which did not keep what its _kl.json files need; "
    "import or score the responses again"
)
# a prompt none of whose responses was ever to be scored is raw data in a mixed import
_SCORED = """prompt_id IN (SELECT prompt_id FROM responses
             WHERE model2 IS NOT NULL OR measure IS NOT NULL)"""
_NO_MODEL2 = (
    "this run has responses of one model alone, so no token has a score and there are no "
    "_kl.json files, which compare two; score it first"
)
_NOTHING_YET = (
    "this run holds no responses yet; wait for its first ones where it is at work, else its "
    "list of problems says what could not be read"
)
_ALL_FAILED = (
    "no token of this run could be scored; its list of problems says why, and its _kl.json "
    "files can be had all the same"
)


def scored_entries(cursor: Cursor) -> Iterator[ScoredEntry]:
    """Every prompt with a second model, in the order of the run, a few responses in memory.

    Raises:
        RunError: the run has no second model, or was made by a version that kept less.
    """
    check(cursor)
    for heads in _prompts(cursor):
        yield from _entries(heads, _tokens(cursor, heads))


def check(cursor: Cursor) -> int:
    """How many prompts can be restored.

    Raises:
        RunError: none can, with the reason.
    """
    count = Query(f"SELECT count(DISTINCT prompt_id) FROM responses WHERE {_SCORED}").number(cursor)
    if not count:
        raise RunError(why_unscored(cursor))
    # a part of an older version lacks the column as a whole
    old = "SELECT count(*) FROM tokens WHERE form1 IS NULL"
    if Query(old).number(cursor):
        raise RunError(_OLD)
    return count


def why_unscored(cursor: Cursor) -> str:
    """Why a run without a scored token has none, in a sentence."""
    if not Query("SELECT count(*) FROM responses WHERE slot >= 0").number(cursor):
        return _NOTHING_YET
    scored = Query(f"SELECT count(*) FROM responses WHERE {_SCORED}").number(cursor)
    return _ALL_FAILED if scored else _NO_MODEL2


def left_out(cursor: Cursor) -> int:
    """How many prompts have no second model, and so no result file."""
    sql = f"SELECT count(DISTINCT prompt_id) FROM responses WHERE NOT ({_SCORED})"
    return Query(sql).number(cursor)


def _prompts(cursor: Cursor) -> Iterator[list[dict[str, Any]]]:
    """Rows of `responses` of neighbouring prompts, about TOKENS_A_BATCH tokens together."""
    sql = f"""SELECT prompt_id, min(response_id) AS first, max(response_id) AS last,
                     sum(tokens)::BIGINT AS tokens
              FROM responses WHERE {_SCORED} GROUP BY prompt_id ORDER BY prompt_id"""
    plan = Query(sql).table(cursor).to_pydict()
    begin = total = 0
    for place, tokens in enumerate(plan["tokens"]):
        total += tokens or 0
        if total >= TOKENS_A_BATCH or place + 1 == len(plan["tokens"]):
            yield _heads(cursor, plan["prompt_id"][begin], plan["prompt_id"][place])
            begin, total = place + 1, 0


def _heads(cursor: Cursor, first: int, last: int) -> list[dict[str, Any]]:
    estimated = ", ".join((*schema.ESTIMATE, *(schema.PROMPT + name for name in schema.ESTIMATE)))
    sql = f"""SELECT response_id, prompt_id, slot, file, entry, entries_in_file, prompt_json, text,
                     provider, model, finish_reason, reasoning, error, measure, model1, model2,
                     {estimated}
              FROM responses WHERE prompt_id BETWEEN ? AND ? AND {_SCORED}
              ORDER BY prompt_id, slot"""
    return Query(sql, (first, last)).rows(cursor)


def _tokens(cursor: Cursor, heads: list[dict[str, Any]]) -> dict[int, pa.Table]:
    """response_id → its rows of `tokens`, those without any left out."""
    ids = sorted(head["response_id"] for head in heads)
    # the range reads a stretch of the file alone; the list leaves out what is not asked for
    sql = """SELECT * FROM tokens WHERE response_id BETWEEN ? AND ?
             AND list_contains(?::BIGINT[], response_id) ORDER BY response_id, position"""
    table = Query(sql, (ids[0], ids[-1], ids)).table(cursor)
    numbers = table["response_id"].to_numpy()
    starts = np.searchsorted(numbers, ids, side="left").tolist()
    ends = np.searchsorted(numbers, ids, side="right").tolist()
    return {
        number: table.slice(start, end - start)
        for number, start, end in zip(ids, starts, ends, strict=True)
        if end > start
    }


def _entries(heads: list[dict[str, Any]], tokens: dict[int, pa.Table]) -> Iterator[ScoredEntry]:
    prompts: dict[int, list[dict[str, Any]]] = {}
    for head in heads:
        prompts.setdefault(head["prompt_id"], []).append(head)
    for rows in prompts.values():
        first = rows[0]
        scored = tuple(
            _response(row, tokens.get(row["response_id"])) for row in rows if row["slot"] >= 0
        )
        entry = Entry(
            first["file"],
            first["entry"],
            first["entries_in_file"],
            read_prompt_json(first["prompt_json"]),
            first["model1"],
            tuple(one.response for one in scored),
        )
        estimate = estimates.from_columns(first, schema.PROMPT)
        yield ScoredEntry(entry, first["model1"], first["model2"], scored, estimate)


def read_prompt_json(text: str) -> Prompt:
    """The turns of a run's column `prompt_json`."""
    return tuple(Message(turn["role"], turn["content"]) for turn in json.loads(text))


def _response(row: dict[str, Any], table: pa.Table | None) -> ScoredResponse:
    columns = {} if table is None else _Columns(table).lists
    count = 0 if table is None else table.num_rows
    positions = tuple(map(Position, *(columns[name] for name in _POSITION))) if count else ()
    response = Response(
        row["slot"],
        row["text"],
        positions,
        row["provider"],
        row["model"],
        row["finish_reason"],
        row["reasoning"],
        row["error"],
    )
    spans = tuple(columns["spans"]) if count else ()
    return ScoredResponse(
        response,
        tuple(columns["dist2"]) if count else (),
        tuple(columns["reason"]) if count else (),
        _measures(table),
        row["measure"],
        spans if any(spans) else (),
        estimates.from_columns(row),
    )


_POSITION = ("tokens", "sampled_logprob", "dist1", "input_reason")


class _Columns:
    """The rows of one response as lists of record parts."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        span = zip(self._list("span_start"), self._list("span_end"), strict=True)
        self.lists: dict[str, list[Any]] = {
            "tokens": self._sampled(),
            "sampled_logprob": self._list("sampled_logprob"),
            "input_reason": self._list("input_reason"),
            "reason": self._list("reason"),
            "spans": [None if start is None else (start, end) for start, end in span],
            "dist1": self._dists("1"),
            "dist2": self._dists("2"),
        }

    def _list(self, name: str) -> list[Any]:
        found: list[Any] = self._table[name].to_pylist()
        return found

    def _sampled(self) -> list[Token]:
        names = ("token", "data", "token_id", "piece", "special")
        return list(map(Token, *(self._list(name) for name in names)))

    def _dists(self, side: str) -> list[TokenDist | None]:
        column = self._table[f"top{side}"].combine_chunks()
        flat = column.flatten()  # the candidates of the lists that are there, end to end
        texts, ids, logprobs, listed, special = (
            flat.field(name).to_pylist()
            for name in ("token", "token_id", "logprob", "listed", "special")
        )
        sizes = column.value_lengths().to_pylist()
        extra = (self._list(f"{name}{side}") for name in ("form", "pieces", "data"))
        found: list[TokenDist | None] = []
        begin = 0
        for size, form, pieces, data in zip(sizes, *extra, strict=True):
            if size is None:
                found.append(None)
                continue
            here = slice(begin, begin + size)
            named = forms.tokens(texts[here], ids[here], special[here], form, pieces, data)
            found.append(TokenDist(named, tuple(logprobs[here]), sum(listed[here])))
            begin += size
        return found


def _measures(table: pa.Table | None) -> TokenMeasures:
    """Arrays of every figure; what is not known is NaN, a rank -1."""
    if table is None:
        table = pa.table({name: pa.array([], pa.float64()) for name in _FIGURES})
    values: dict[str, Any] = {
        field: table[name].cast(pa.float64()).fill_null(np.nan).to_numpy()
        for name, field in FROM_MEASURES.items()
    }
    for name in ("rank1", "rank2"):
        values[name] = table[name].cast(pa.int64()).fill_null(-1).to_numpy()
    values["censored"] = table["censored"].cast(pa.bool_()).fill_null(False).to_numpy()
    return TokenMeasures(**values)


_FIGURES = (*FROM_MEASURES, "rank1", "rank2", "censored")
