"""Read result files, our own and those of other programs with fewer keys."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from kl_core.errors import FormatError
from kl_core.formats import estimates
from kl_core.formats.dists import OUTSIDE
from kl_core.formats.fields import keys_of, name, read_prompt, text_of
from kl_core.formats.kl_write import FORMAT_VERSION, MEASURE_KEYS
from kl_core.formats.notes import Notes
from kl_core.formats.numbers import read_number
from kl_core.formats.openai_responses import joined_text
from kl_core.formats.positions import item_id
from kl_core.formats.tokens import UNKNOWN_TOKEN, TokenTable, TokenTables, decide_style
from kl_core.records import (
    Entry,
    Estimate,
    Measure,
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

Json = dict[str, Any]
_HINT = "Score the responses again to get a complete result file."
_RESULT_KEYS = {"kl_per_token", "token_details"}


def is_result(raw: Json) -> bool:
    """True for the object of a result file, whoever wrote it."""
    responses = raw.get("responses")
    if not isinstance(responses, list):
        return False
    if "model1" in raw and "model2" in raw:
        return True
    return any(isinstance(each, dict) and _RESULT_KEYS & each.keys() for each in responses)


def read_result(
    raw: Json, place: tuple[str, int, int], where: str, notes: Notes, tables: TokenTables
) -> ScoredEntry:
    """A result file's object as a scored entry; missing figures are NaN, never guessed."""
    ours = raw.get("format_version") == FORMAT_VERSION
    measure = _measure(raw.get("measure"))
    scored = [
        _ResultResponse(item, n, f"{where}.responses[{n}]", notes, tables=tables, ours=ours).read(
            measure
        )
        for n, item in enumerate(raw["responses"])
    ]
    file, index, count = place
    model1 = name(raw, "model1", "model")
    prompt = _prompt(raw, where, notes)
    entry = Entry(file, index, count, prompt, model1, tuple([each.response for each in scored]))
    estimate = _estimate(raw, where, notes)
    return ScoredEntry(entry, model1, name(raw, "model2"), tuple(scored), estimate)


def _estimate(raw: Json, where: str, notes: Notes) -> Estimate | None:
    try:
        return estimates.read(raw)
    except ValueError as error:
        notes.add(where, f"{where}.{estimates.KEY}", "estimate", str(error), _HINT)
        return None


def _prompt(raw: Json, where: str, notes: Notes) -> Prompt:
    for key in ("messages", "prompt"):
        if raw.get(key) is not None:
            try:
                return read_prompt(raw[key], f"{where}.{key}")
            except FormatError as error:
                notes.add("prompts", error.where, f"prompt {key}", error.reason, error.hint)
    return (Message("user", ""),) if isinstance(raw.get("prompt"), str) else ()


def _measure(value: Any) -> Measure | None:
    known: dict[Any, Measure] = {"floor": "floor", "full": "full"}
    return known.get(value) if isinstance(value, str) else None


def _optional(value: Any) -> float | None:
    figure = read_number(value)
    return None if math.isnan(figure) else figure


class _ResultResponse:
    """Reads one response of a result file."""

    def __init__(
        self, raw: Any, index: int, where: str, notes: Notes, *, tables: TokenTables, ours: bool
    ) -> None:
        self._valid = isinstance(raw, dict)
        self._raw: Json = raw if isinstance(raw, dict) else {}
        self._index = index
        self._where = where
        self._notes = notes
        self._ours = ours
        self._details = self._find_details(raw)
        self._table = self._find_table(tables)

    def _note(self, kind: str, reason: str, where: str = "") -> None:
        self._notes.add(self._where, self._where + where, kind, reason, _HINT)

    def _find_details(self, raw: Any) -> list[Json]:
        """One object a position, from token_details or, without them, kl_per_token."""
        if not self._valid:
            self._note("response", f"the response is {keys_of(raw)}, not an object")
            return []
        details, values = self._raw.get("token_details"), self._raw.get("kl_per_token")
        values = values if isinstance(values, list) else []
        if not isinstance(details, list):
            if values:
                self._note("details", "the result has no token_details: tokens are not known")
            return [{"kl_divergence": value} for value in values]
        if values and len(values) != len(details):
            self._note(
                "lengths",
                f"kl_per_token has {len(values)} values but token_details {len(details)}: "
                "token_details are used",
            )
            values = []
        found = []
        for n, raw_detail in enumerate(details):
            detail = raw_detail if isinstance(raw_detail, dict) else {}
            if detail is not raw_detail:
                self._note("detail", "a token detail is not an object", f".token_details[{n}]")
            value = {"kl_divergence": values[n]} if values else {}
            found.append({**value, **detail})
        return found

    def _find_table(self, tables: TokenTables) -> TokenTable:
        sampled = [piece for piece in [name(d, "token") for d in self._details] if piece]
        return tables.get(decide_style(sampled, text_of(self._raw.get("text")) or ""))

    def read(self, file_measure: Measure | None) -> ScoredResponse:
        """The response with its measures."""
        positions = tuple([self._position(n, detail) for n, detail in enumerate(self._details)])
        raw = self._raw
        text = text_of(raw.get("text"))
        error = name(raw, "error")
        if not self._valid:
            error = "the result of this response is not an object"
        response = Response(
            self._index,
            joined_text(positions) if text is None else text,
            positions,
            name(raw, "provider"),
            name(raw, "model"),
            name(raw, "finish_reason"),
            name(raw, "reasoning"),
            error,
        )
        dists2 = tuple([self._dist(n, d, "model2") for n, d in enumerate(self._details)])
        spans = tuple([_span(detail.get("span"), len(positions)) for detail in self._details])
        measures = _measures(self._details)
        measure = _measure(raw["measure"]) if "measure" in raw else file_measure
        if measure is None and not self._ours and not np.isnan(measures.headline).all():
            measure = "floor"  # other programs have truncated lists and no word for it
        return ScoredResponse(
            response,
            dists2,
            self._reasons(measures),
            measures,
            measure,
            spans if any(spans) else (),
            _estimate(raw, self._where, self._notes),
        )

    def _reasons(self, measures: TokenMeasures) -> tuple[str | None, ...]:
        reasons = [name(detail, "reason") for detail in self._details]
        for n, missing in enumerate(np.isnan(measures.headline).tolist()):
            if missing and reasons[n] is None:
                reasons[n] = "the result file gives no value and no reason"
        return tuple(reasons)

    def _token(self, raw: Json) -> Token:
        shown = raw.get("token")
        if not isinstance(shown, str):
            return UNKNOWN_TOKEN
        if not self._ours:
            return self._table.look_up(shown, item_id(raw), raw.get("bytes"))[0]
        data = raw.get("bytes")
        known = None
        if isinstance(data, list):
            try:
                known = bytes(data)
            except (TypeError, ValueError):
                self._note("bytes", f"the bytes of {shown!r} are not values 0 to 255")
        token_id = raw.get("token_id")
        number = token_id if type(token_id) is int and 0 <= token_id < 2**62 else None
        piece = raw.get("piece")
        return _interned(
            shown,
            known,
            number,
            piece if isinstance(piece, str) else shown,
            raw.get("special") is True,
        )

    def _position(self, n: int, detail: Json) -> Position:
        dist = self._dist(n, detail, "model1")
        sampled = "sampled_logprob" if "sampled_logprob" in detail else "model1_chosen_logprob"
        logprob = _optional(detail.get(sampled))
        return Position(self._token(detail), logprob, dist, name(detail, "input_reason"))

    def _dist(self, n: int, detail: Json, side: Literal["model1", "model2"]) -> TokenDist | None:
        top = detail.get(f"{side}_top")
        if not isinstance(top, list):
            return None
        known = detail.get(f"{side}_known")
        listed = self._candidates(top, n, side)
        if not self._ours:
            listed.sort(key=lambda pair: -pair[1])
        found = [*listed, *self._candidates(known if isinstance(known, list) else [], n, side)]
        if not found:
            return None
        return TokenDist(
            tuple([token for token, _ in found]),
            tuple([logprob for _, logprob in found]),
            len(listed),
        )

    def _candidates(self, raw: list[Any], n: int, side: str) -> list[tuple[Token, float]]:
        found = []
        for candidate in raw:
            value = read_number(candidate.get("logprob")) if isinstance(candidate, dict) else 1.0
            if not value <= 0 or (value <= OUTSIDE and not self._ours):
                where = f".token_details[{n}].{side}_top"
                self._note(side, f"a candidate of {side} has no usable log-probability", where)
                continue
            found.append((self._token(candidate), value))
        return found


@lru_cache(maxsize=1 << 17)
def _interned(
    text: str, data: bytes | None, number: int | None, piece: str, special: bool
) -> Token:
    """One object per vocabulary entry: files name the same few hundreds all the time."""
    return Token(text, data, number, piece, special)


def _span(value: Any, length: int) -> tuple[int, int] | None:
    if isinstance(value, list) and len(value) == 2:
        start, end = value
        if type(start) is int and type(end) is int and 0 <= start < end <= length:
            return start, end
    return None


def _measures(details: list[Json]) -> TokenMeasures:
    """Arrays of every figure; NaN (rank: -1, censored: False) where the file has none."""
    figures: dict[str, Any] = {
        field: np.array([read_number(detail.get(key)) for detail in details], dtype=np.float64)
        for field, key in MEASURE_KEYS.items()
    }
    if not any("log_ratio" in detail for detail in details):
        with np.errstate(invalid="ignore"):
            figures["log_ratio"] = figures["logprob1"] - figures["logprob2"]
    for key in ("rank1", "rank2"):
        figures[key] = np.array([_rank(detail.get(key)) for detail in details], dtype=np.int64)
    figures["censored"] = np.array([d.get("censored") is True for d in details], dtype=np.bool_)
    return TokenMeasures(**figures)


def _rank(value: Any) -> int:
    return value if type(value) is int and 0 < value < 2**62 else -1
