"""The token panel: what each model would have said at one position, and what it means."""

from __future__ import annotations

from functools import cache
from typing import Any

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from kl_core.store.query import Cursor
from kl_core.store.token_tables import around_query
from kl_core.ui import explain, explain_kinds, panel_data, panel_facts
from kl_core.ui.estimates import NOT_DRAWN
from kl_core.ui.explain_kinds import Around
from kl_core.ui.token_panel_css import CSS
from kl_core.ui.token_panel_js import JS


@cache
def _component() -> ComponentRenderer:
    return st.components.v2.component("kl_token_panel", css=CSS, js=JS)


def show(
    token: dict[str, Any],
    model1: str | None,
    model2: str | None,
    measure: str | None,
    around: Around = (),
    key: str = "token_panel",
    not_asked: str = NOT_DRAWN,
) -> None:
    """Draw the panel for one row of the store's `tokens`, both lists included.

    Args:
        around: the neighbours that `around(cursor, token)` gives; without them a byte's
            character and a span's text are not named.
        key: another one for each panel of a page.
        not_asked: why model 2 was not asked, where it was not.
    """
    _component()(key=key, data=data(token, model1, model2, measure, around, not_asked))


def data(
    token: dict[str, Any],
    model1: str | None,
    model2: str | None,
    measure: str | None,
    around: Around = (),
    not_asked: str = NOT_DRAWN,
) -> dict[str, Any]:
    """Everything the panel draws."""
    made = panel_data.build(token, model1, model2, measure)
    made["sentences"] = explain.sentences(token, measure, around, not_asked)
    return made | panel_facts.build(token, measure)


def around(cursor: Cursor, token: dict[str, Any]) -> list[dict[str, Any]]:
    """The neighbours that the explanation of a byte or a span needs; none for plain tokens."""
    reach = explain_kinds.needs_around(token)
    return [] if reach is None else around_query(token["response_id"], *reach).rows(cursor)
