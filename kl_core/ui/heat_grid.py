"""A heatmap of positions × responses that can be clicked: one canvas, one row a response."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from kl_core.ui import visible
from kl_core.ui.heat_grid_js import CSS, JS

Value = float | str | None
NOT_ASKED = "not asked"


@cache
def _component() -> ComponentRenderer:
    return st.components.v2.component("kl_heat_grid", css=CSS, js=JS)


def build(
    rows: Sequence[tuple[str, Sequence[Value]]],
    top: float,
    identity: str,
    signed: bool = False,
    threshold: float | None = None,
    measure: str = "KL",
    tokens: Sequence[Sequence[str]] | None = None,
    low: float = 0.0,
    log: bool = False,
    left_out: str = NOT_ASKED,
) -> dict[str, Any]:
    """The grid's `data`; equal arguments give equal data.

    Args:
        rows: (label, one value a position) of each row; None where not known, NOT_ASKED where
            a budget left it out, "inf" and "-inf" as strings; rows may differ in length.
        top: value of full colour, the same as in the text beside it.
        identity: names what is drawn, so that the browser keeps it while the selection moves.
        signed: positive values blue, negative red.
        threshold: cells from here on carry a tick as a second cue.
        tokens: token texts of each row, for the line under the pointer.
        low: size of no colour.
        log: equal ratios are equal steps of colour (ranks).
        left_out: what to say of NOT_ASKED positions.
    """
    return {
        "id": identity,
        "labels": [visible.plain(label, 28) for label, _ in rows],
        "rows": [[_sendable(value) for value in values] for _, values in rows],
        "tokens": [[visible.plain(t, 24) for t in row] for row in tokens] if tokens else None,
        "top": top,
        "low": low,
        "log": log,
        "left_out": left_out,
        "threshold": threshold,
        "signed": signed,
        "measure": measure,
    }


def show(
    data: dict[str, Any],
    key: str,
    on_pick: Callable[[], None],
    selected: tuple[int, int] | None = None,
) -> None:
    """Draw the grid; `on_pick` runs when a cell was chosen, `picked(key)` tells which."""
    chosen = list(selected) if selected else None
    _component()(key=key, data={**data, "selected": chosen}, on_cell_change=on_pick)


def picked(key: str) -> tuple[int, int] | None:
    """(row, position) last chosen in the grid, None before the first click."""
    state = st.session_state.get(key)
    cell = state.get("cell") if state else None
    return (int(cell["row"]), int(cell["at"])) if cell else None


def _sendable(value: Value) -> Value:
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "inf" if value > 0 else "-inf"
    return float(f"{value:.6g}") if isinstance(value, float) else value
