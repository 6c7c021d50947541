"""One run against another: a point a prompt. Only numbers go in."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

BLUE, RED, GREY = "#3a77b5", "#c73c2c", "rgba(128,128,128,0.75)"
MAX_POINTS, MOVED_MOST = 1500, 500


def scatter(
    values_a: Sequence[float | None],
    values_b: Sequence[float | None],
    places: Sequence[int],
    label: str,
    chosen: int | None = None,
) -> tuple[go.Figure, int, int]:
    """Figure of A across, of B upward, with the diagonal; blue above it, red below.

    Args:
        values_a, values_b: one value a prompt, in nats, in the same order.
        places: what a click on a point stands for; its `customdata`.
        label: the figure's name, of ours.
        chosen: place of the point to ring.

    Returns:
        (chart, points drawn, prompts with a finite value in both runs). Of more than
        MAX_POINTS prompts the MOVED_MOST farthest are drawn, and every n-th of the others.
        Both axes are logarithmic where every value is positive.
    """
    known = [
        (a, b, place)
        for a, b, place in zip(values_a, values_b, places, strict=True)
        if a is not None and b is not None and math.isfinite(a) and math.isfinite(b)
    ]
    points = thinned(known)
    positive = bool(known) and min(min(a, b) for a, b, _ in known) > 0
    low, high = _ends([value for a, b, _ in known for value in (a, b)], positive)
    figure = go.Figure(
        go.Scatter(
            x=[low, high],
            y=[low, high],
            mode="lines",
            line={"color": GREY, "width": 1, "dash": "dot"},
            hoverinfo="skip",
        )
    )
    figure.add_trace(_points(points, label, chosen))
    _axes(figure, label, positive, low, high)
    return figure, len(points), len(known)


Point = tuple[float, float, int]


def thinned(known: Sequence[Point]) -> list[Point]:
    """At most MAX_POINTS of them: the farthest from the diagonal, every n-th of the others."""
    if len(known) <= MAX_POINTS:
        return list(known)
    ordered = sorted(known, key=lambda point: -abs(point[1] - point[0]))
    rest = sorted(ordered[MOVED_MOST:], key=lambda point: point[2])
    step = -(-len(rest) // (MAX_POINTS - MOVED_MOST))
    return ordered[:MOVED_MOST] + rest[::step]


def _points(points: Sequence[Point], label: str, chosen: int | None) -> go.Scatter:
    """One SVG point a prompt. Arrays of numbers, for Plotly checks colour words one by one."""
    values = np.array(points, dtype=float).reshape(-1, 3)
    ringed = values[:, 2] == (-1 if chosen is None else chosen)
    return go.Scatter(
        x=values[:, 0],
        y=values[:, 1],
        customdata=values[:, 2].astype(np.int64),
        mode="markers",
        marker={
            "size": np.where(ringed, 11, 7),
            "color": np.sign(values[:, 1] - values[:, 0]),
            "colorscale": [[0, RED], [0.5, "rgb(128,128,128)"], [1, BLUE]],
            "cmin": -1,
            "cmax": 1,
            "opacity": 0.75,
            "line": {"width": np.where(ringed, 2.5, 0), "color": "#8a8a8a"},
        },
        selected={"marker": {"opacity": 1}},
        unselected={"marker": {"opacity": 0.75}},
        hovertemplate=f"{label}: A %{{x:.3~g}}, B %{{y:.3~g}} nats<extra></extra>",
    )


def _ends(values: Sequence[float], positive: bool) -> tuple[float, float]:
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    if positive:
        return low / 1.25, high * 1.25
    room = 0.06 * (high - low) or 1.0
    return low - room, high + room


def _ticks(low: float, high: float) -> list[float]:
    """Round values between two positive ends: 1, 2, 5 of each decade, of many only the 1."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if high / low < 200 else (1,)
    every = -(-len(decades) // 7)
    ticks = [step * 10.0**decade for decade in decades[::every] for step in steps]
    return [tick for tick in ticks if low <= tick <= high]


def _axes(figure: go.Figure, label: str, positive: bool, low: float, high: float) -> None:
    ends = [math.log10(low), math.log10(high)] if positive else [low, high]
    shared = {
        "type": "log" if positive else "linear",
        "range": ends,
        "showgrid": True,
        "gridcolor": "rgba(128,128,128,0.15)",
        "zeroline": False,
        "fixedrange": True,
        "nticks": 6,
        "tickformat": "~g",
    }
    if positive:
        shared |= {"tickvals": _ticks(low, high)}
    title = {"font": {"size": 10}, "standoff": 2}
    figure.update_xaxes(title={"text": f"{label} in A, nats", **title}, **shared)
    figure.update_yaxes(title={"text": f"{label} in B, nats", **title}, **shared)
    figure.update_layout(
        height=300,
        margin={"l": 46, "r": 8, "t": 6, "b": 34},
        showlegend=False,
        dragmode=False,
        hovermode="closest",
        clickmode="event+select",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"size": 11},
    )
