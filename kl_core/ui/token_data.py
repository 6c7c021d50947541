"""What the token view shows, from a response's rows: pure data, no widgets.

The browser side cannot read NaN or infinities, so values are rounded numbers, null
where not known, and the string "inf" where infinite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from kl_core.ui import visible

MeasureName = Literal["kl", "kl_lower", "surprisal1", "log_ratio"]
CENSORED, UNSCORED, SPECIAL, CONTINUES, BREAK, PARAGRAPH = 1, 2, 4, 8, 16, 32


@dataclass(frozen=True, slots=True)
class Measure:
    """One way to colour the text.

    Attributes:
        label: as the picker and the legend name it.
        help: one line on what it means.
        sign: what to put in front of its figures ("≥" certified, "≈" estimated).
        signed: values of both signs; blue for model 1, red for model 2.
    """

    name: MeasureName
    label: str
    help: str
    sign: str = ""
    signed: bool = False


MEASURES: dict[MeasureName, Measure] = {
    "kl": Measure("kl", "KL(1‖2)", "Divergence of model 2 from model 1 at each token, in nats."),
    "kl_lower": Measure(
        "kl_lower", "KL, certified ≥", "No pair of full distributions has less.", "≥ "
    ),
    "log_ratio": Measure(
        "log_ratio",
        "log-ratio",
        "ln P − ln Q of the sampled token, in nats. Its mean estimates KL(1‖2) only for text "
        "sampled from model 1 at temperature 1 without truncation.",
        signed=True,
    ),
    "surprisal1": Measure(
        "surprisal1", "surprisal, model 1", "−ln P of the sampled token under model 1, in nats."
    ),
}


def measures_for(measure: str | None) -> list[MeasureName]:
    """What a run of this measure can be coloured by.

    Raw responses (None) know only surprisal; whole vocabularies ("full") need no bound.
    """
    if measure is None:
        return ["surprisal1"]
    return [name for name in MEASURES if name != "kl_lower" or measure != "full"]


def scale(name: MeasureName, summary: dict[str, Any]) -> tuple[float, float]:
    """(value of full colour, underline threshold) in nats, fixed for the run."""
    column = "surprisal_scale_max" if name == "surprisal1" else "kl_scale_max"
    top = float(summary.get(column) or 1.0)
    return top, top / (2 if name == "surprisal1" else 4)


def build(
    tokens: pa.Table, name: MeasureName, summary: dict[str, Any], identity: str
) -> dict[str, Any]:
    """The token view's `data`: constant for a response and a measure.

    Args:
        tokens: one row a position, in order, with the columns of the store.
        summary: the run's figures, for the fixed scale.
        identity: names the response, so that the browser keeps what it has drawn.

    The caller sets `start`, the position to select when the view first appears.
    """
    columns = tokens.to_pydict()
    joined = visible.join_characters(columns["token"], columns["data"])
    surprisal = [None if v is None else -v for v in columns["logprob1"]]
    values = surprisal if name == "surprisal1" else columns[name]
    top, threshold = scale(name, summary)
    second, exact = summary.get("measure") is not None, summary.get("measure") == "full"
    return {
        "id": f"{identity}/{name}",
        "text": ["" if text is None else visible.show(text) for text in joined],
        "label": [visible.plain(text) for text in columns["token"]],
        "flags": _flags(columns, joined, raw=not second),
        "values": _numbers(values),
        "kl": _numbers(columns["kl"]) if second else None,
        "lower": _numbers(columns["kl_lower"]) if second and not exact else None,
        "logprob1": _numbers(columns["logprob1"]),
        "logprob2": _numbers(columns["logprob2"]) if second else None,
        "reasons": _reasons(columns),
        "max": top,
        "threshold": threshold,
        "signed": MEASURES[name].signed,
        "sign": MEASURES[name].sign,
        "measure": MEASURES[name].label,
        "start": -1,
    }


def _flags(columns: dict[str, list[Any]], joined: Sequence[str | None], raw: bool) -> list[int]:
    flags = []
    for place, text in enumerate(joined):
        flag = CENSORED if columns["censored"][place] else 0
        unscored = columns["logprob1"][place] is None if raw else _no_value(columns, place)
        flag |= UNSCORED if unscored else 0
        flag |= SPECIAL if columns["special"][place] else 0
        flag |= CONTINUES if text is None else 0
        if text and text.endswith("\n") and not columns["special"][place]:
            flag |= BREAK | (PARAGRAPH if text.endswith("\n\n") else 0)
        flags.append(flag)
    return flags


def _no_value(columns: dict[str, list[Any]], place: int) -> bool:
    return columns["kl"][place] is None and columns["log_ratio"][place] is None


def _reasons(columns: dict[str, list[Any]]) -> dict[str, str]:
    """Position → why it has no value, and what an alignment span covers."""
    out = {str(i): text for i, text in enumerate(columns["reason"]) if text}
    for place, start in enumerate(columns["span_start"]):
        if start is not None:
            end = columns["span_end"][place]
            out.setdefault(str(place), f"aligned as one span with positions {start}–{end - 1}")
    return out


def _numbers(values: Sequence[float | None]) -> list[float | str | None]:
    return [_number(value) for value in values]


def _number(value: float | None) -> float | str | None:
    if value is None or math.isnan(value):
        return None
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return float(f"{value:.6g}")
