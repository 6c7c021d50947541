"""What all figures share: colours that the colour-blind tell apart, margins, quiet axes.

Only numbers and the labels of inert.py go into a figure: Plotly obeys markup in text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

RED, BLUE = "#c73c2c", "#3a77b5"
ERROR = "rgb(125,125,125)"
GREY, FAINT = "rgba(128,128,128,0.75)", "rgba(128,128,128,0.25)"
HEIGHT, COMPACT = 250, 132
_SMALL, _TINY = 11, 10


def new(traces: Any, x_title: str, y_title: str = "", height: int = HEIGHT) -> go.Figure:
    """A figure without drag, zoom or legend, in which a click selects."""
    figure = go.Figure(traces)
    figure.update_layout(
        height=height,
        margin={
            "l": 40 if y_title else 34,
            "r": 8,
            "t": 24 if y_title else 8,
            "b": 38 if height > COMPACT else 28,
        },
        showlegend=False,
        bargap=0.12,
        dragmode=False,
        font={"size": _SMALL},
        hovermode="closest",
        hoverlabel={"align": "left"},
        clickmode="event+select",
    )
    quiet: dict[str, Any] = {"zeroline": False, "fixedrange": True, "title_font_size": _TINY}
    figure.update_xaxes(title_text=x_title, title_standoff=4, showgrid=False, **quiet)
    figure.update_yaxes(
        exponentformat="e",
        showgrid=height > COMPACT,
        gridcolor="rgba(128,128,128,0.16)",
        nticks=5,
        **quiet,
    )
    if y_title:  # lies above the axis, where it needs no width
        figure.add_annotation(
            text=y_title,
            x=0,
            xref="paper",
            xanchor="left",
            xshift=-38,
            y=1,
            yref="paper",
            yanchor="bottom",
            yshift=5,
            showarrow=False,
            font={"size": _TINY},
        )
    return figure


def anywhere_along_x(figure: go.Figure) -> go.Figure:
    """Let any height over a bar count as that bar, so that low bars can be clicked."""
    figure.update_layout(hovermode="x", hoverdistance=-1)
    figure.update_xaxes(showspikes=False)
    return figure


def log_ticks(figure: go.Figure, low: int, high: int) -> go.Figure:
    """Label whole powers of ten on a linear axis of log10 values."""
    ticks = list(range(low, high + 1))
    figure.update_xaxes(tickvals=ticks, ticktext=[_power(t) for t in ticks])
    return figure


def _power(exponent: int) -> str:
    """0.001, 1, 100; 1e-6 where digits would have to be counted."""
    return f"1e{exponent}" if exponent < -4 else f"{10.0**exponent:g}"


def intervals(means: Sequence[float], halves: Sequence[float | None]) -> dict[str, Any]:
    """Plotly's error bars of means that cannot be negative: drawn no further down than 0.

    The width said in words is the whole one; an arm below 0 would only stretch the axis.
    """
    down = [None if h is None else min(h, max(m, 0.0)) for m, h in zip(means, halves, strict=True)]
    return {"array": list(halves), "arrayminus": down, "symmetric": False}
