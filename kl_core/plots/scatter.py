"""Responses as points: mean against entropy, mean against length."""

from __future__ import annotations

import math
from typing import Any

import plotly.graph_objects as go
import pyarrow as pa

from kl_core.numeric.intervals import half_width
from kl_core.plots import style, words


def entropy(table: pa.Table, summary: dict[str, Any]) -> go.Figure:
    """Mean against model 1's mean entropy; `customdata[0]` is the row of a point."""
    figure = _figure(table, summary, "mean entropy of model 1, nats", "entropy %{x:.3~g} nats")
    figure.update_xaxes(nticks=6)
    return figure


def length(table: pa.Table, summary: dict[str, Any]) -> go.Figure:
    """Mean against length on a logarithmic axis; `customdata[0]` is the row of a point."""
    figure = _figure(table, summary, "length of the response, tokens", "%{x:,.4~r} tokens")
    lengths = [x for x in table["x"].to_pylist() if x > 0]
    low, high = (math.log10(v) for v in (min(lengths, default=1), max(lengths, default=10)))
    wide = max(0.1, 0.05 * (high - low))
    ticks = _ticks(low - wide, high + wide)
    if len(ticks) < 2:
        ticks = sorted({min(lengths, default=1), max(lengths, default=10)})
    figure.update_xaxes(
        type="log",
        range=[low - wide, high + wide],
        tickvals=ticks,
        ticktext=[f"{tick:,g}" for tick in ticks],
    )
    return figure


def _figure(table: pa.Table, summary: dict[str, Any], x_title: str, x_hover: str) -> go.Figure:
    rows = list(enumerate(table.to_pylist()))
    points = [(place, row) for place, row in rows if row["kind"] == "response"]
    bins = [row for _, row in rows if row["kind"] == "bin"]
    sign = words.sign(summary)
    traces = [_points(points, x_hover, sign)]
    if len(bins) > 1:
        traces.append(_means(bins, x_hover, sign))
    figure = style.new(traces, x_title, f"mean {words.value(summary)}, nats")
    figure.update_yaxes(rangemode="tozero")
    return figure


def _points(points: list[tuple[int, dict[str, Any]]], x_hover: str, sign: str) -> go.Scatter:
    same = {"marker": {"opacity": 0.65}}
    return go.Scatter(
        x=[row["x"] for _, row in points],
        y=[row["mean"] for _, row in points],
        mode="markers",
        marker={"size": 6, "color": style.BLUE, "opacity": 0.65, "line": {"width": 0}},
        selected=same,
        unselected=same,
        cliponaxis=False,
        customdata=[[place, f"{row['tokens']:,}"] for place, row in points],
        hovertemplate=f"mean {sign}%{{y:.3~g}} nats<br>{x_hover}<br>"
        "%{customdata[1]} tokens<extra></extra>",
    )


def _means(bins: list[dict[str, Any]], x_hover: str, sign: str) -> go.Scatter:
    halves = [half_width(row["se"], row["prompts"]) for row in bins]
    within = [f" ± {half:.2g}" if half is not None else "" for half in halves]
    return go.Scatter(
        x=[row["x"] for row in bins],
        y=[row["mean"] for row in bins],
        error_y={
            **style.intervals([row["mean"] for row in bins], halves),
            "color": style.RED,
            "thickness": 1,
            "width": 3,
        },
        mode="lines+markers",
        line={"color": style.RED, "width": 2},
        marker={"size": 7, "symbol": "diamond", "color": style.RED},
        customdata=[[-1, f"{r['responses']:,}", w] for r, w in zip(bins, within, strict=True)],
        hovertemplate=f"mean {sign}%{{y:.3~g}}%{{customdata[2]}} nats<br>around {x_hover}<br>"
        "%{customdata[1]} responses<extra></extra>",
    )


def _ticks(low: float, high: float) -> list[float]:
    """1, 2, 5, 10 … within two powers of ten, whole powers alone over more than three."""
    steps = (1.0, 2.0, 5.0) if high - low <= 3 else (1.0,)
    every = [step * 10**power for power in range(9) for step in steps]
    return [tick for tick in every if low <= math.log10(tick) <= high]
