"""Fields that keep their value while they are not drawn, with what is wrong right below them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from kl_core.ui import markup

Check = Callable[[], Mapping[str, str]]
_KEPT = "gemini_kept"


def values() -> dict[str, Any]:
    """Option → what is set, of the fields drawn or not; the session's own record."""
    found: dict[str, Any] = st.session_state.setdefault(_KEPT, {})
    return found


def fill(new: Mapping[str, Any]) -> None:
    """Set these options and empty all others; to be called before the fields are drawn."""
    kept = values()
    for name in kept:
        st.session_state.pop(_key(name), None)
    kept.clear()
    kept.update(new)


def text(name: str, label: str, check: Check, **looks: Any) -> None:
    """A line of text, and what is wrong with it once there is some."""
    st.session_state.setdefault(_key(name), values().get(name) or "")
    said = st.text_input(label, key=_key(name), **looks).strip()
    values()[name] = said or None
    if said and (problem := check().get(name)):
        wrong(problem)


def number(name: str, label: str, least: float, most: float | None = None, **looks: Any) -> None:
    """A number, or nothing for the option's default."""
    st.session_state.setdefault(_key(name), values().get(name))
    values()[name] = st.number_input(label, least, most, None, key=_key(name), **looks)


def tick(name: str, label: str, **looks: Any) -> None:
    """Yes or no."""
    st.session_state.setdefault(_key(name), bool(values().get(name)))
    values()[name] = st.checkbox(label, key=_key(name), **looks)


def share(name: str, label: str, least: int, step: int, **looks: Any) -> None:
    """A share as percent; all of it is the option's default."""
    kept = values().get(name)
    percent = 100 if kept is None else min(100, max(least, step * round(100 * kept / step)))
    st.session_state.setdefault(_key(name), percent)
    said = st.slider(label, least, 100, step=step, key=_key(name), format="%d %%", **looks)
    values()[name] = None if said == 100 else said / 100


def wrong(problem: str) -> None:
    """A sentence below the field just drawn."""
    said = markup.inert(f"{problem[0].upper()}{problem[1:]}.")
    st.markdown(f":small[:red[:material/error: {said}]]")


def _key(name: str) -> str:
    return f"ask_{name}"
