"""Charts of a run and of a response. Only numbers go in: Plotly would obey markup in text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
import pyarrow as pa

RED, BLUE, GREY = "#c73c2c", "#3a77b5", "rgba(128,128,128,0.75)"
MAX_BARS = 300
_MARGIN = {"l": 34, "r": 6, "t": 6, "b": 26}


def by_position(
    values: Sequence[float | str | None], threshold: float, signed: bool = False
) -> go.Figure:
    """One bar a position; long responses show the highest of each stretch.

    Signed values are blue where positive (model 1), red where negative (model 2).

    A bar's `customdata` is the position it stands for.
    """
    places, heights = binned(values)
    colours = [BLUE if signed and height > 0 else RED for height in heights]
    strengths = [1.0 if abs(height) >= threshold else 0.45 for height in heights]
    figure = go.Figure(
        go.Bar(
            x=places,
            y=heights,
            customdata=places,
            marker={"color": colours, "opacity": strengths, "line": {"width": 0}},
            width=max(1.0, len(values) / MAX_BARS) * 0.9,
            hovertemplate="position %{x}: %{y:.3~g} nats<extra></extra>",
        )
    )
    _plain(figure, "position", 132)
    # any height at a position counts as that position, so that low bars can be clicked
    figure.update_layout(hovermode="x", hoverdistance=-1)
    whole = {"dtick": 1} if len(values) <= 10 else {}
    figure.update_xaxes(tickformat="d", range=[-0.6, max(1, len(values)) - 0.4], **whole)
    return figure


def binned(values: Sequence[float | str | None]) -> tuple[list[int], list[float]]:
    """Positions and values of at most MAX_BARS bars, the extreme of each stretch."""
    size = -(-len(values) // MAX_BARS) or 1
    places, heights = [], []
    for start in range(0, len(values), size):
        stretch = [
            (abs(v), i)
            for i in range(start, min(start + size, len(values)))
            if (v := _finite(values[i])) is not None
        ]
        if stretch:
            _, place = max(stretch)
            places.append(place)
            heights.append(_finite(values[place]) or 0.0)
    return places, heights


def histogram(bins: pa.Table, marks: Sequence[float | None]) -> go.Figure:
    """Tokens of the run by value, both axes logarithmic; `marks` become dotted lines."""
    rows = bins.to_pylist()
    smallest = min((row["lo"] for row in rows if row["lo"] > 0), default=1e-6)
    low = [max(row["lo"], smallest / 10**0.125) for row in rows]
    high = [row["hi"] if math.isfinite(row["hi"]) else row["lo"] * 10**0.125 for row in rows]
    middle = [
        math.log10(math.sqrt(a * b)) if a > 0 and b > 0 else -6.0
        for a, b in zip(low, high, strict=True)
    ]
    figure = go.Figure(
        go.Bar(
            x=middle,
            y=[row["count"] for row in rows],
            width=0.115,
            marker={"color": GREY},
            customdata=[[row["lo"], row["hi"]] for row in rows],
            hovertemplate="%{customdata[0]:.3~g} to %{customdata[1]:.3~g} nats: "
            "%{y:,} tokens<extra></extra>",
        )
    )
    for value in marks:
        if value is not None and 0 < value < math.inf:
            figure.add_vline(math.log10(value), line={"color": RED, "width": 1, "dash": "dot"})
    ticks = range(-6, 3)
    _plain(figure, "nats (the first bar holds everything below it)", 132)
    figure.update_xaxes(tickvals=list(ticks), ticktext=[f"{10.0**t:g}" for t in ticks])
    figure.update_yaxes(type="log", dtick=1)
    return figure


def _plain(figure: go.Figure, x_title: str, height: int) -> go.Figure:
    figure.update_layout(
        height=height,
        margin=_MARGIN,
        showlegend=False,
        bargap=0,
        dragmode=False,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"size": 11},
        clickmode="event+select",
    )
    title = {"text": x_title, "font": {"size": 10}, "standoff": 2}
    figure.update_xaxes(title=title, showgrid=False, zeroline=False, fixedrange=True)
    figure.update_yaxes(showgrid=False, zeroline=False, fixedrange=True, nticks=4)
    return figure


def _finite(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
