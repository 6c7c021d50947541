"""Values along one response."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from kl_core.plots import style

MAX_BARS = 300


def by_position(
    values: Sequence[float | str | None],
    threshold: float,
    signed: bool = False,
    height: int = style.COMPACT,
    y_title: str = "",
    unit: str = "nats",
) -> go.Figure:
    """One bar a position; long responses show the highest of each stretch.

    Signed values are blue where positive (model 1), red where negative (model 2). An
    infinite one is a hatched bar above all others. A bar's `customdata` is the position it
    stands for.

    Args:
        values: nats; None where not known, an infinity or "inf" where infinite.
        threshold: bars of at least this size are drawn at full strength.
        height: pixels.
        y_title: empty for none.
        unit: of the values, as the hover says it; empty for none.
    """
    places, extremes = binned(values)
    finite = [abs(value) for value in extremes if math.isfinite(value)]
    top = 1.08 * max(finite, default=0.0) or 1.0
    heights = [max(-top, min(top, value)) if math.isinf(value) else value for value in extremes]
    size = _stretch(values)
    stretch = f"position %{{x}}{f', the highest of {size}' if size > 1 else ''}"
    bars = go.Bar(
        x=places,
        y=heights,
        customdata=places,
        text=[
            f"{value:.3g} {unit}".strip() if math.isfinite(value) else "infinite"
            for value in extremes
        ],
        textposition="none",
        marker={
            "color": [style.BLUE if signed and value > 0 else style.RED for value in extremes],
            "opacity": [1.0 if abs(value) >= threshold else 0.45 for value in extremes],
            "line": {"width": 0},
            "pattern": {"shape": ["" if math.isfinite(value) else "/" for value in extremes]},
        },
        width=max(1.0, len(values) / MAX_BARS) * 0.9,
        hovertemplate=stretch + ": %{text}<extra></extra>",
    )
    figure = style.new(bars, "position", y_title, height)
    whole = {"dtick": 1} if len(values) <= 10 else {}
    figure.update_xaxes(tickformat="d", range=[-0.6, max(1, len(values)) - 0.4], **whole)
    return style.anywhere_along_x(figure)


def binned(values: Sequence[float | str | None]) -> tuple[list[int], list[float]]:
    """Positions and values of at most MAX_BARS bars, the extreme of each stretch."""
    size = _stretch(values)
    numbers = [_number(value) for value in values]
    places = []
    for start in range(0, len(values), size):
        known = [
            (abs(numbers[i]), i)
            for i in range(start, min(start + size, len(values)))
            if not math.isnan(numbers[i])
        ]
        if known:
            places.append(max(known)[1])
    return places, [numbers[place] for place in places]


def counts(values: Sequence[float | str | None]) -> tuple[int, int]:
    """(infinite, missing) values."""
    numbers = [_number(value) for value in values]
    return sum(map(math.isinf, numbers)), sum(map(math.isnan, numbers))


def _stretch(values: Sequence[Any]) -> int:
    """Positions a bar stands for."""
    return -(-len(values) // MAX_BARS) or 1


def _number(value: Any) -> float:
    """NaN where there is none; "inf" and "-inf" are the infinities."""
    return math.nan if value is None else float(value)
