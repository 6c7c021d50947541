"""The list of tokens as a component: rows to click, sortable heads, groups that open."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from kl_core.ui.tokens_data import with_model
from kl_core.ui.tokens_table_js import CSS, JS


@cache
def _component() -> ComponentRenderer:
    return st.components.v2.component("kl_token_list", css=CSS, js=JS)


def show(
    data: dict[str, Any],
    key: str,
    on_open: Callable[[], None],
    on_group: Callable[[], None],
    on_sort: Callable[[], None],
) -> None:
    """Draw a list made by tokens_data; a callback runs when the reader acts.

    `sent(key, name)` tells what was sent: the place of a row, the name of a group, the
    column to sort by.
    """
    inner, rows = data["inner"], data["rows"]
    # the rows below an open group have columns of their own
    listed = "columns" if inner is None else "inner"
    data = data | {listed: with_model(data[listed], rows)}
    _component()(
        key=key, data=data, on_open_change=on_open, on_group_change=on_group, on_sort_change=on_sort
    )


def sent(key: str, name: str) -> Any:
    """What the list last sent under `open`, `group` or `sort`; None before."""
    state = st.session_state.get(key)
    value = state.get(name) if state else None
    return value["at"] if value else None
