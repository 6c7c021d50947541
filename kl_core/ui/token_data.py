"""What the token view shows, from a response's rows: pure data, no widgets.

The browser side cannot read NaN or infinities, so values are rounded numbers, null
where not known, and the string "inf" where infinite.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from kl_core.records import LEFT_OUT
from kl_core.store.schema import NORMALIZED_MIN_KL
from kl_core.ui import shared, visible
from kl_core.ui.colour_scale import Scale, choose
from kl_core.ui.reading_measures import MEASURES, MeasureName, measures_for

__all__ = ["MEASURES", "MeasureName", "build", "coloured", "measures_for", "scale"]

CENSORED, UNSCORED, SPECIAL, CONTINUES, BREAK, PARAGRAPH = 1, 2, 4, 8, 16, 32
SPAN, SPAN_FIRST, SPAN_LAST = 64, 128, 256
NOT_ASKED = 512
COLUMNS = (
    "token",
    "data",
    "special",
    "kl",
    "kl_lower",
    "log_ratio",
    "logprob1",
    "logprob2",
    "censored",
    "reason",
    "span_start",
    "span_end",
)
"""Columns of the store's `tokens` that every view needs; `column` names the measure's."""
_NEGATED = {"surprisal1": "logprob1", "surprisal2": "logprob2"}


def column(name: MeasureName) -> str:
    """The stored column behind a measure."""
    return _NEGATED.get(name, name)


def scale(
    name: MeasureName,
    summary: Mapping[str, Any],
    text: str | None = None,
    quantiles: Mapping[str, float | None] | None = None,
) -> Scale:
    """The scale of a measure: the reader's (`text`, see colour_scale), or the run's own.

    Args:
        quantiles: of the measure over the run; KL and surprisal do without, for `summary`
            has the ends of theirs.
    """
    measure = MEASURES[name]
    ends = {
        "kl": "kl_scale_max",
        "kl_lower": "kl_scale_max",
        "surprisal1": "surprisal_scale_max",
    }
    automatic = summary.get(ends[name]) if name in ends else None
    return choose(text, quantiles or {}, automatic, measure.threshold, measure.ranks)


def build(
    tokens: pa.Table, name: MeasureName, summary: Mapping[str, Any], identity: str
) -> dict[str, Any]:
    """The token view's `data` without its scale: the same for a response and a measure.

    Args:
        tokens: one row a position, in order, with COLUMNS and the measure's column.
        summary: the run's figures: its measure, and its scale until `coloured` sets another.
        identity: names the response, so that the browser keeps what it has drawn.

    The caller sets `start`, the position to select when the view first appears.
    """
    columns = tokens.to_pydict()
    joined = visible.join_characters(columns["token"], columns["data"])
    shown = ["" if text is None else visible.show(text) for text in joined]
    kind, measure = summary.get("measure"), MEASURES[name]
    second, exact = kind is not None, kind == "full"
    data = {
        "id": identity,
        "text": shown,
        "label": _labels(columns["token"], shown),
        "flags": _flags(columns, joined, raw=not second),
        "values": _numbers(_values(columns, name)),
        "kl": _numbers(columns["kl"]) if second and name != "kl" else None,
        "lower": _numbers(columns["kl_lower"]) if second and not exact else None,
        "logprob1": _numbers(columns["logprob1"]),
        "logprob2": _numbers(columns["logprob2"]) if second else None,
        "reasons": _reasons(columns, name),
        "left_out": shared.words(columns["reason"]),
        "kl_sign": MEASURES["kl"].sign_in(kind),
        "signed": measure.signed,
        "sign": measure.sign_in(kind),
        "measure": measure.label,
        "unit": measure.unit,
        "name": name,
        "start": -1,
    }
    return coloured(data, scale(name, summary))


def coloured(data: Mapping[str, Any], shown: Scale) -> dict[str, Any]:
    """The same data on a scale; `look` changes with whatever changes colours."""
    return {
        **data,
        "look": f"{data['name']}/{shown.low:g}/{shown.top:g}/{shown.said}",
        "low": shown.low,
        "max": shown.top,
        "threshold": shown.threshold,
        "log": shown.log,
        "said": shown.said,
    }


def _values(columns: Mapping[str, list[Any]], name: MeasureName) -> list[Any]:
    values = columns[column(name)]
    if name in _NEGATED:
        return [None if value is None else -value for value in values]
    if name == "normalized":
        return [value if _counts(kl) else None for value, kl in _pairs(values, columns["kl"])]
    return list(values)


def _counts(kl: float | None) -> bool:
    """Whether KL is large enough for KL/(H1+H2) to say something."""
    return kl is not None and kl >= NORMALIZED_MIN_KL


def _pairs(first: Sequence[Any], second: Sequence[Any]) -> zip[tuple[Any, Any]]:
    return zip(first, second, strict=True)


def _flags(columns: Mapping[str, list[Any]], joined: Sequence[str | None], raw: bool) -> list[int]:
    flags = []
    for place, text in enumerate(joined):
        flag = CENSORED if columns["censored"][place] else 0
        unscored = columns["logprob1"][place] is None if raw else _no_value(columns, place)
        left_out = columns["reason"][place] in LEFT_OUT
        flag |= (NOT_ASKED if left_out else UNSCORED) if unscored else 0
        flag |= SPECIAL if columns["special"][place] else 0
        flag |= CONTINUES if text is None else 0
        if text and text.endswith("\n") and not columns["special"][place]:
            flag |= BREAK | (PARAGRAPH if text.endswith("\n\n") else 0)
        flags.append(flag | _span(columns, place))
    return flags


def _span(columns: Mapping[str, list[Any]], place: int) -> int:
    """Whether a position is part of an alignment span of several, and an end of it."""
    start, end = columns["span_start"][place], columns["span_end"][place]
    if start is None or end - start < 2:
        return 0
    first = SPAN_FIRST if place == start else 0
    return SPAN | first | (SPAN_LAST if place == end - 1 else 0)


def _no_value(columns: Mapping[str, list[Any]], place: int) -> bool:
    return columns["kl"][place] is None and columns["log_ratio"][place] is None


def _reasons(columns: Mapping[str, list[Any]], name: MeasureName) -> dict[str, str]:
    """Position → why it has no value, and what an alignment span covers.

    Positions that were left out are many, and their flag says it.
    """
    out = {
        str(i): text for i, text in enumerate(columns["reason"]) if text and text not in LEFT_OUT
    }
    for place, start in enumerate(columns["span_start"]):
        if start is not None:
            end = columns["span_end"][place]
            said = f"aligned as one span with positions {start}–{end - 1}"
            before = out.get(str(place))
            out[str(place)] = f"{before}; {said}" if before and said not in before else said
    if name == "normalized":
        for place, kl in enumerate(columns["kl"]):
            if kl is not None and not _counts(kl):
                out.setdefault(str(place), f"KL below {NORMALIZED_MIN_KL:g} nats: no KL/(H1+H2)")
    return out


def _labels(tokens: Sequence[str], shown: Sequence[str]) -> dict[str, str]:
    """Position → label, where the browser cannot tell it from the text (token_view_js `label`)."""
    labels = {}
    for place, (token, text) in enumerate(zip(tokens, shown, strict=True)):
        label = visible.plain(token)
        bare = text.replace(visible.OPEN, "").replace(visible.CLOSE, "")
        if label != ("␣" + bare[1:] if bare.startswith(" ") else bare):
            labels[str(place)] = label
    return labels


def _numbers(values: Sequence[float | None]) -> list[float | str | None]:
    return [_number(value) for value in values]


def _number(value: float | None) -> float | str | None:
    if value is None or math.isnan(value):
        return None
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return float(f"{value:.6g}") if isinstance(value, float) else value
