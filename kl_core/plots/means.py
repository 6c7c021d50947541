"""Means with their 95 % intervals as bars: along a response, by probability, by group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
import pyarrow as pa

from kl_core.numeric.intervals import half_width
from kl_core.plots import inert, style, words

MOST_GROUPS = 12
_ERROR_BARS = {"color": style.ERROR, "thickness": 1.3, "width": 3}


def relative(table: pa.Table, summary: dict[str, Any]) -> go.Figure:
    """Mean by position over length; `customdata[0]` is the row a bar stands for."""
    rows = table.to_pylist()
    middles = [50 * (row["low"] + row["high"]) for row in rows]
    about = [f"{100 * row['low']:.0f} to {100 * row['high']:.0f} % of the response" for row in rows]
    bars = _bars(rows, middles, about, summary)
    bars.width = [94 * (row["high"] - row["low"]) for row in rows]
    figure = style.new(bars, "position in % of the response's length", _y_title(summary))
    figure.update_xaxes(range=[-0.5, 100.5], tickvals=[0, 25, 50, 75, 100], ticksuffix=" %")
    return style.anywhere_along_x(figure)


def probability(table: pa.Table, summary: dict[str, Any]) -> go.Figure:
    """Mean by model 1's highest probability; `customdata[0]` is the row of a bar."""
    rows = [row for row in table.to_pylist() if row["low"] is not None]
    places = [float(place) for place in range(len(rows))]
    about = [_shares(row, words.value(summary)) for row in rows]
    bars = _bars(rows, places, about, summary)
    bars.width = 0.86
    title = f"highest probability of model 1 · its share of tokens · of the {words.value(summary)}"
    figure = style.new(bars, title, _y_title(summary))
    figure.update_layout(margin_b=66)
    # three lines a label: `<br>` is the one piece of markup, put there by these lines
    texts = [
        f"{row['low']:g}–{row['high']:g}<br>{_short(row['share_tokens'])}"
        f"<br>{_short(row['share_total'])}"
        for row in rows
    ]
    figure.update_xaxes(tickvals=places, ticktext=texts, tickangle=0, range=[-0.5, len(rows) - 0.5])
    return style.anywhere_along_x(figure)


def groups(table: pa.Table, summary: dict[str, Any]) -> go.Figure:
    """Mean by group, the MOST_GROUPS with most tokens; `customdata[0]` is the row of a bar."""
    rows = table.slice(0, MOST_GROUPS).to_pylist()
    upright = _bars(rows, list(range(len(rows))), [_size(row) for row in rows], summary)
    arms = upright.error_y
    bars = go.Bar(
        x=upright.y,
        y=upright.x,
        error_x={
            "array": arms.array,
            "arrayminus": arms.arrayminus,
            "symmetric": False,
            **_ERROR_BARS,
        },
        orientation="h",
        width=0.7,
        marker=upright.marker,
        customdata=upright.customdata,
        hovertemplate=str(upright.hovertemplate).replace("%{y", "%{x"),
    )
    figure = style.new(bars, _y_title(summary), height=76 + 28 * max(1, len(rows)))
    names = [inert.label(row["name"]) for row in rows]
    figure.update_yaxes(
        tickvals=list(range(len(rows))),
        ticktext=names,
        range=[len(rows) - 0.4, -0.6],
        automargin=True,
    )
    figure.update_yaxes(showgrid=False)
    figure.update_xaxes(showgrid=True, gridcolor=style.FAINT, rangemode="tozero", nticks=5)
    figure.update_layout(hovermode="y", hoverdistance=-1)
    return figure


def _bars(
    rows: Sequence[dict[str, Any]], x: Sequence[float], about: list[str], summary: dict[str, Any]
) -> go.Bar:
    halves = [half_width(row["se"], row["prompts"]) for row in rows]
    sign = words.sign(summary)
    within = [f" ± {half:.2g}" if half is not None else "" for half in halves]
    data = [
        [place, text, around, f"{row['with_value']:,}", f"{row['prompts']:,}"]
        for place, (row, text, around) in enumerate(zip(rows, about, within, strict=True))
    ]
    return go.Bar(
        x=list(x),
        y=[row["mean"] for row in rows],
        error_y={**style.intervals([row["mean"] for row in rows], halves), **_ERROR_BARS},
        marker={"color": style.RED, "opacity": 0.6, "line": {"width": 0}},
        customdata=data,
        hovertemplate="%{customdata[1]}<br>mean " + sign + "%{y:.3~g}%{customdata[2]} nats<br>"
        "%{customdata[3]} tokens · %{customdata[4]} prompts<extra></extra>",
    )


def _y_title(summary: dict[str, Any]) -> str:
    return f"mean {words.value(summary)}, nats"


def _shares(row: dict[str, Any], value: str) -> str:
    whole = (
        "" if row["share_total"] is None else f", {words.number(row['share_total'])} of the {value}"
    )
    between = f"highest probability {row['low']:g} to {row['high']:g}"
    return f"{between}<br>{words.number(row['share_tokens'])} of the tokens{whole}"


def _short(share: float | None) -> str:
    return "–" if share is None else words.number(share)


def _size(row: dict[str, Any]) -> str:
    return f"{row['responses']:,} responses"
