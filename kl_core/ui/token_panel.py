"""The token panel: what each model would have said at one position, and what it means."""

from __future__ import annotations

from functools import cache
from typing import Any

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from kl_core.ui import explain, panel_data
from kl_core.ui.token_panel_js import CSS, JS


@cache
def _component() -> ComponentRenderer:
    return st.components.v2.component("kl_token_panel", css=CSS, js=JS)


def show(
    token: dict[str, Any], model1: str | None, model2: str | None, measure: str | None
) -> None:
    """Draw the panel for one row of the store's `tokens`, both lists included."""
    data = panel_data.build(token, model1, model2, measure)
    data["sentences"] = explain.sentences(token, measure)
    _component()(key="token_panel", data=data)
