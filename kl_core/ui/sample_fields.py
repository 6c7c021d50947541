"""The fields of the Sample page, and the kinds of field that only it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from kl_core.ui.form_fields import Check, Fields

FIELDS = Fields("draw")


def put(name: str, value: Any) -> None:
    """Set one field; to be called before it is drawn."""
    st.session_state.pop(FIELDS.key(name), None)
    FIELDS.values()[name] = value


def catch_up() -> None:
    """Take what the browser sent: a click may come before the fields were drawn again."""
    values = FIELDS.values()
    for name in values:
        if FIELDS.key(name) in st.session_state:
            said = st.session_state[FIELDS.key(name)]
            values[name] = (said.strip() or None) if isinstance(said, str) else said


def area(name: str, label: str, **looks: Any) -> None:
    """Lines of text, as they are typed."""
    values, key = FIELDS.values(), FIELDS.key(name)
    st.session_state.setdefault(key, values.get(name) or "")
    values[name] = st.text_area(label, key=key, **looks) or None


def select(name: str, label: str, options: Mapping[Any, str], **looks: Any) -> Any:
    """One of a few, the first where nothing is set; returns it."""
    values, key = FIELDS.values(), FIELDS.key(name)
    kept = values.get(name)
    st.session_state.setdefault(key, kept if kept in options else next(iter(options)))
    labels = dict(options)
    picked = st.selectbox(label, list(options), format_func=labels.__getitem__, key=key, **looks)
    values[name] = picked
    return picked


def checked_number(
    name: str, label: str, check: Check, least: float, most: float | None = None, **looks: Any
) -> None:
    """A number, and what is wrong with it."""
    FIELDS.number(name, label, least, most, **looks)
    if FIELDS.values().get(name) is not None:
        FIELDS.fault(name, check)
