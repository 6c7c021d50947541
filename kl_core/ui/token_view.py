"""The token view: a response as running text, coloured by how far the models differ."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from kl_core.ui.token_view_css import CSS
from kl_core.ui.token_view_js import JS


@cache
def _component() -> ComponentRenderer:
    return st.components.v2.component("kl_token_view", css=CSS, js=JS)


def show(data: dict[str, Any], key: str, on_move: Callable[[], None]) -> None:
    """Draw the view; `on_move` runs when the reader has selected another position.

    `data` (token_data.build) has to stay equal while only the selection moves: the
    browser then keeps what it drew. `selected(key)` tells the position.
    """
    _component()(key=key, data=data, on_pos_change=on_move)


def selected(key: str) -> int | None:
    """The position last selected in the view, None before the first click."""
    state = st.session_state.get(key)
    moved = state.get("pos") if state else None
    return int(moved["at"]) if moved else None
