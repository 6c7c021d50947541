"""Tokens of a run by value, both axes logarithmic, with the percentiles marked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
import pyarrow as pa

from kl_core.plots import style, words

BINS_A_DECADE = 8
_ROW_PX = 13
_APART = 0.13  # of the axis, between two labels in one row


def histogram(
    table: pa.Table, summary: dict[str, Any], height: int = style.HEIGHT, name: str = ""
) -> go.Figure:
    """One bar a bin of equal ratio, dotted lines at the percentiles.

    The first bin holds everything below it, zero included; the last everything above,
    infinity included. `customdata` is [row of the table, low, high].

    Args:
        table: rows of kind "bin" (low, high, tokens) and "percentile" (low, share).
        height: pixels.
        name: of what is counted, in our own words; empty for the run's value.
    """
    rows = table.to_pylist()
    bins = [(place, row) for place, row in enumerate(rows) if row["kind"] == "bin"]
    bars = go.Bar(
        x=[_middle(row) for _, row in bins],
        y=[row["tokens"] for _, row in bins],
        width=0.92 / BINS_A_DECADE,
        marker={"color": style.GREY, "line": {"width": 0}},
        customdata=[[place, _edge(row["low"]), _edge(row["high"])] for place, row in bins],
        hovertemplate="%{customdata[1]} to %{customdata[2]} nats<br>%{y:,} tokens<extra></extra>",
    )
    compact = height <= style.COMPACT
    title = f"{name or words.sign(summary) + words.value(summary)}, nats"
    figure = style.new(bars, title, "" if compact else "tokens", height)
    low = math.floor(min((_middle(row) for _, row in bins), default=-6.0) + 1 / BINS_A_DECADE)
    high = math.ceil(max((_middle(row) for _, row in bins), default=1.0))
    figure.update_xaxes(range=[low - 0.2, high + 0.1])
    style.log_ticks(figure, low, high)
    # from half a token up, so that a bar of one token can be seen
    most = max((row["tokens"] for _, row in bins), default=1)
    figure.update_yaxes(
        type="log", dtick=1, tickformat="~s", range=[math.log10(0.6), math.log10(most) + 0.15]
    )
    marks = [(row["share"], row["low"]) for row in rows if row["kind"] == "percentile"]
    _percentiles(figure, marks, high - low + 0.3)
    return style.anywhere_along_x(figure)


def _percentiles(figure: go.Figure, marks: Sequence[tuple[float, float]], width: float) -> None:
    """Dotted lines with labels above the bars, those too close in a row of their own."""
    drawn = [(share, math.log10(value)) for share, value in marks if 0 < value < math.inf]
    rows = label_rows([x / width for _, x in drawn])
    for (share, x), row in zip(drawn, rows, strict=True):
        figure.add_vline(x, line={"color": style.RED, "width": 1, "dash": "dot"})
        figure.add_annotation(
            x=x,
            y=1,
            yref="paper",
            yshift=4 + _ROW_PX * row,
            yanchor="bottom",
            showarrow=False,
            text=words.number(share),
            font={"size": 10},
        )
    more = _ROW_PX * max(rows, default=0)  # rows above the first take no height from the bars
    figure.update_layout(
        margin_t=8 + (_ROW_PX + 4) * bool(rows) + more, height=figure.layout.height + more
    )


def label_rows(places: Sequence[float], apart: float = _APART) -> list[int]:
    """The lowest row for each label in which it is `apart` from those before it."""
    taken: list[list[float]] = []
    rows = []
    for place in places:
        row = 0
        while row < len(taken) and any(abs(place - other) < apart for other in taken[row]):
            row += 1
        if row == len(taken):
            taken.append([])
        taken[row].append(place)
        rows.append(row)
    return rows


def _middle(row: dict[str, Any]) -> float:
    """log10 of the middle of a bin; the open ones at either end are as wide as the others."""
    half = 0.5 / BINS_A_DECADE
    if row["low"] <= 0:
        return math.log10(row["high"]) - half
    return math.log10(row["low"]) + half


def _edge(value: float) -> str:
    return "∞" if math.isinf(value) else f"{value:.3g}"
