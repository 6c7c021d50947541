"""How much of a run's total the highest tokens hold."""

from __future__ import annotations

import math
from typing import Any

import plotly.graph_objects as go
import pyarrow as pa

from kl_core.plots import style, words


def cumulative(table: pa.Table, summary: dict[str, Any]) -> go.Figure:
    """Share of the total against the share of tokens, on a logarithmic axis.

    `customdata[0]` is the row of a point. The dotted line is what equal tokens would give.
    """
    rows = [row for row in table.to_pylist() if row["share_total"] is not None]
    x = [100 * row["share_tokens"] for row in rows]
    line = go.Scatter(
        x=x,
        y=[100 * row["share_total"] for row in rows],
        mode="lines+markers",
        line={"color": style.RED, "width": 2},
        marker={"size": 6, "color": style.RED},
        selected={"marker": {"opacity": 1}},
        unselected={"marker": {"opacity": 1}},
        customdata=[[place, f"{row['tokens']:,}"] for place, row in enumerate(rows)],
        hovertemplate="the top %{x:.3~g} % of tokens (%{customdata[1]}) hold %{y:.3~g} %<br>"
        f"{words.sign(summary)}{words.value(summary)} of " + "%{text} nats or more<extra></extra>",
        text=[f"{row['value']:.3g}" for row in rows],
    )
    equal = go.Scatter(
        x=x,
        y=x,
        mode="lines",
        line={"color": style.GREY, "width": 1, "dash": "dot"},
        hoverinfo="skip",
    )
    title = f"% of the total {words.value(summary)}"
    figure = style.new([equal, line], "% of tokens, the highest first", title)
    ticks = [0.01, 0.1, 1, 10, 100]
    lowest = min([*x, 10.0])
    shown = [tick for tick in ticks if tick >= lowest * 0.9]
    texts = [f"{tick:g} %" for tick in shown]
    figure.update_xaxes(type="log", tickvals=shown, ticktext=texts)
    figure.update_yaxes(range=[-3, 104], tickvals=[0, 25, 50, 75, 100], ticksuffix=" %")
    return style.anywhere_along_x(figure)


def held_by(table: pa.Table, share: float = 0.01) -> dict[str, Any] | None:
    """The stored point nearest to a share of tokens."""
    rows = [row for row in table.to_pylist() if row["share_total"] is not None]
    return min(rows, key=lambda row: abs(math.log(row["share_tokens"] / share)), default=None)
