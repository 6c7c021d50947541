"""Which runs the list shows, and in which order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from kl_core.store import run_sizes
from kl_core.store.runs import RunInfo

MANY = 12
_SORT, _DOWN, _TEXT = "runs_sort", "runs_descending", "runs_search"


@dataclass(frozen=True, slots=True)
class ListRequest:
    """Order and filter of the list; empty filters leave nothing out."""

    sort: str = "date"
    descending: bool = True
    states: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    text: str = ""


SORTS: dict[str, tuple[str, bool]] = {
    "date": ("newest first", True),
    "name": ("by name", False),
    "size": ("by size on disk", True),
    "tokens": ("by tokens", True),
    "state": ("by state", False),
    "kind": ("by kind", False),
}
HEADS_OF = {
    "date": "started",
    "name": "name",
    "size": "size",
    "tokens": "tokens",
    "state": "state",
    "kind": "kind",
}


def sort_by(head: str) -> None:
    """A click on a head: that order, turned round by a second click."""
    sort = next((name for name, column in HEADS_OF.items() if column == head), None)
    if sort is None:
        return
    same = st.session_state.get(_SORT) == sort
    st.session_state[_DOWN] = not st.session_state.get(_DOWN, True) if same else SORTS[sort][1]
    st.session_state[_SORT] = sort


def request(infos: list[RunInfo]) -> ListRequest:
    """Draw the filter where there are many runs; the order comes from the table's heads."""
    st.session_state.setdefault(_SORT, "date")
    st.session_state.setdefault(_DOWN, True)
    sort, descending = st.session_state[_SORT], st.session_state[_DOWN]
    if len(infos) <= MANY:
        return ListRequest(sort, descending)
    with st.container(key="runs_filter", horizontal=True, gap="small"):
        text_column, state_column, kind_column = st.container(), st.container(), st.container()
        clear_column = st.container(width="content")
    with text_column:
        text = st.text_input(
            "Search runs",
            key=_TEXT,
            placeholder="Search name, models, state, kind, id",
            label_visibility="collapsed",
        )
    with state_column:
        states = _some("States", sorted({info.state for info in infos}))
    with kind_column:
        kinds = _some("Kinds", sorted({info.kind for info in infos}))
    with clear_column:
        none = not (text.strip() or states or kinds)
        st.button("Clear", on_click=_clear, disabled=none)
    return ListRequest(sort, descending, states, kinds, text.strip())


def _clear() -> None:
    """Show all runs again."""
    st.session_state[_TEXT] = ""
    for label in ("states", "kinds"):
        st.session_state[f"runs_{label}"] = []


def _some(label: str, options: list[str]) -> tuple[str, ...]:
    key = f"runs_{label.lower()}"
    kept = [one for one in st.session_state.get(key, []) if one in options]
    if key in st.session_state:
        st.session_state[key] = kept
    return tuple(
        st.multiselect(
            label,
            options,
            key=key,
            placeholder=f"All {label.lower()}",
            label_visibility="collapsed",
        )
    )


def arranged(infos: list[RunInfo], wanted: ListRequest) -> list[RunInfo]:
    """The runs that fit, in order; equal ones newest first."""
    fitting = [info for info in infos if _fits(info, wanted)]
    held = run_sizes.counts(info.path for info in fitting) if wanted.sort == "tokens" else {}
    keys: dict[str, Callable[[RunInfo], Any]] = {
        "date": lambda info: (info.created, info.id),
        "name": lambda info: (info.name or info.title).casefold(),
        "size": lambda info: run_sizes.size_bytes(info.path),
        "tokens": lambda info: held[info.path].tokens if info.path in held else -1,
        "state": lambda info: info.state,
        "kind": lambda info: info.kind,
    }
    fitting.sort(key=lambda info: info.id, reverse=True)
    return sorted(fitting, key=keys[wanted.sort], reverse=wanted.descending)


def _fits(info: RunInfo, wanted: ListRequest) -> bool:
    if wanted.states and info.state not in wanted.states:
        return False
    if wanted.kinds and info.kind not in wanted.kinds:
        return False
    parts = (info.name, info.title, info.model1, info.model2, info.id, info.state, info.kind)
    held = "\n".join(part for part in parts if part).casefold()
    return all(word in held for word in wanted.text.casefold().split())
