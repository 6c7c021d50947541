"""The token view as the Compare page has it: as high as its text, so that the tables follow."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from kl_core.ui.token_view_css import CSS
from kl_core.ui.token_view_js import JS

_FITTING = """
.text { height: auto; min-height: 46px; max-height: clamp(96px, calc(100vh - 640px), 420px);
  padding: 7px 16px; resize: none }
.foot { min-height: 0 }
"""


@cache
def _component() -> ComponentRenderer:
    return st.components.v2.component("kl_pair_token_view", css=CSS + _FITTING, js=JS)


def show(data: dict[str, Any], key: str, on_move: Callable[[], None]) -> None:
    """Draw the view; see token_view.show, and token_view.selected for the position."""
    _component()(key=key, data=data, on_pos_change=on_move)
