"""The object of the `tokens` command from a run: the same as from its result files."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from kl_core.errors import RunError
from kl_core.formats.high_tokens import (
    Bounds,
    ScoreType,
    prefix_text,
    prompt_keys,
    tokens_object,
)
from kl_core.formats.result_names import result_name
from kl_core.records import Entry
from kl_core.store import restore
from kl_core.store.query import Cursor, Query
from kl_core.store.schema import NORMALIZED_MIN_KL

__all__ = [
    "Bounds",
    "ScoreType",
    "bounds",
    "chosen_query",
    "count",
    "estimate_bytes",
    "token_object",
]
RESPONSES_A_BATCH = 200
BYTES_AN_ENTRY, BYTES_A_TOKEN = 400, 5  # an entry without its prefix; a token of a prefix


def bounds(
    least: float | None,
    most: float | None = None,
    score: ScoreType = "kl",
    min_kl: float = NORMALIZED_MIN_KL,
) -> Bounds:
    """Bounds with the project's floor for KL/(H1+H2)."""
    return Bounds(least, most, score, min_kl)


def chosen_query(asked: Bounds) -> Query:
    """The tokens within the bounds with their prompt, without the text before them.

    Raises:
        InputError: a bound is no number.
    """
    asked.check()
    within, arguments = _within(asked)
    sql = f"""SELECT r.prompt_json, t.token, t.{asked.score} AS score, t.kl, t.entropy1, t.entropy2,
                     r.file, r.entry, r.entries_in_file, r.slot, t.position, t.response_id
              FROM tokens t JOIN responses r USING (response_id)
              WHERE {within} ORDER BY t.response_id, t.position"""
    return Query(sql, arguments)


def count(cursor: Cursor, asked: Bounds) -> int:
    """How many tokens lie within the bounds."""
    asked.check()
    within, arguments = _within(asked)
    return Query(f"SELECT count(*) FROM tokens t WHERE {within}", arguments).number(cursor)


def estimate_bytes(cursor: Cursor, asked: Bounds) -> int:
    """About how large the object is as JSON; the text before each token makes most of it."""
    asked.check()
    within, arguments = _within(asked)
    sql = f"""SELECT coalesce(count(*) * {BYTES_AN_ENTRY} + sum(t.position) * {BYTES_A_TOKEN}, 0)
              ::BIGINT FROM tokens t WHERE {within}"""
    return Query(sql, arguments).number(cursor)


def token_object(cursor: Cursor, asked: Bounds) -> dict[str, Any]:
    """Every token within the bounds, highest first, each with the text before it.

    `source_file` is the result file that holds the token, as --output-dir and the results
    zip name it.

    Raises:
        InputError: a bound is no number.
        RunError: no token has a score, with the reason.
    """
    measured = Query("SELECT count(*) FROM summary WHERE measure IS NOT NULL").number(cursor)
    if not measured:
        raise RunError(restore.why_unscored(cursor))
    chosen = chosen_query(asked).rows(cursor)
    prefixes = _prefixes(cursor, chosen)
    rows = [_entry(row, prefix) for row, prefix in zip(chosen, prefixes, strict=True)]
    return tokens_object(asked, rows)


def _within(asked: Bounds) -> tuple[str, tuple[float, ...]]:
    conditions: list[str] = [f"t.{asked.score} IS NOT NULL"]
    arguments: list[float] = []
    for sign, bound in ((">=", asked.least), ("<=", asked.most)):
        if bound is not None:
            conditions.append(f"t.{asked.score} {sign} ?")
            arguments.append(bound)
    if asked.score == "normalized":
        conditions.append("t.kl >= ?")
        arguments.append(asked.min_kl)
    return " AND ".join(conditions), tuple(arguments)


def _entry(row: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {
        **prompt_keys(restore.read_prompt_json(row["prompt_json"])),
        "prefix_response": prefix,
        "token": row["token"],
        "score": row["score"],
        "kl_divergence": row["kl"],
        "entropy1": _float(row["entropy1"]),
        "entropy2": _float(row["entropy2"]),
        "source_file": _source(row),
        "response_idx": row["slot"],
        "token_position": row["position"],
    }


def _float(value: float | None) -> float:
    return math.nan if value is None else value


def _source(row: dict[str, Any]) -> str:
    """The name of the result file that holds the token, as in the results zip."""
    return result_name(Entry(row["file"], row["entry"], row["entries_in_file"], (), None, ()))


def _prefixes(cursor: Cursor, chosen: list[dict[str, Any]]) -> Iterator[str]:
    """The text before each chosen token; rows are in order of response and position."""
    ids = list(dict.fromkeys(row["response_id"] for row in chosen))
    texts: dict[int, tuple[list[str], list[bytes | None]]] = {}
    place = 0
    for row in chosen:
        if row["response_id"] not in texts:
            texts = _texts(cursor, ids[place : place + RESPONSES_A_BATCH])
            place += RESPONSES_A_BATCH
        shown, data = texts[row["response_id"]]
        yield prefix_text(shown[: row["position"]], data[: row["position"]])


def _texts(cursor: Cursor, ids: list[int]) -> dict[int, tuple[list[str], list[bytes | None]]]:
    sql = """SELECT response_id, list(token ORDER BY position) AS texts,
                    list(data ORDER BY position) AS data
             FROM tokens WHERE response_id BETWEEN ? AND ?
             AND list_contains(?::BIGINT[], response_id) GROUP BY response_id"""
    rows = Query(sql, (ids[0], ids[-1], ids)).rows(cursor)
    return {row["response_id"]: (row["texts"], row["data"]) for row in rows}
