"""One chart on a page: title, figure, caption, and a click that counts once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import plotly.graph_objects as go
import streamlit as st


def config(run_id: str, name: str) -> dict[str, Any]:
    """Plotly's buttons: the download alone, as a PNG named after run and chart."""
    return {
        "displaylogo": False,
        "modeBarButtons": [["toImage"]],
        "toImageButtonOptions": {"filename": f"kl_{run_id}_{name}", "format": "png", "scale": 2},
    }


def figure(
    drawn: go.Figure,
    run_id: str,
    name: str,
    jump: int,
    follow: Callable[[Any], None],
    alt: str,
) -> None:
    """Draw a figure; `follow` gets the `customdata` of the mark that was clicked.

    The chart is another one after each jump, so that the same mark can be clicked again.
    """
    key = f"chart_{name}_{run_id}_{jump}"

    def clicked() -> None:
        points = st.session_state[key]["selection"]["points"]
        if points:
            follow(points[0]["customdata"])

    st.plotly_chart(
        drawn,
        key=key,
        on_select=clicked,
        selection_mode="points",
        config=config(run_id, name),
        alt=alt,
    )
