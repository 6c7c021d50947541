"""Which saved responses a computation reads: a folder, an upload, a run's, or the sample."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from kl_core.errors import KLExplorerError
from kl_core.store import runs
from kl_core.ui import folders, inputs, upload

SAMPLE = runs.REPOSITORY / "sample_data" / "responses" / "openrouter"
A_RUN, THE_SAMPLE = "A run: what it read", "The sample that ships with the app"


def folder(key: str, given: str | None, changed: Callable[[], object]) -> Path | None:
    """Draw the picker, or what was chosen with a button to change it.

    Args:
        given: a folder from the address; it counts once.
        changed: called when the user lets go of what was chosen.

    Returns:
        The folder or archive, None until one is chosen that may be read.
    """
    if given and st.session_state.get(f"{key}_seed") != given:
        st.session_state[f"{key}_seed"] = given
        choose(key, given)
    chosen = st.session_state.get(_input(key))
    if not chosen:
        picked = upload.picker(key, "Use these responses", {A_RUN: _a_run, THE_SAMPLE: _sample})
        if picked is None:
            return None
        choose(key, str(picked))
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.text(f"Responses: {folders.shown(chosen)}")
        if st.button("Change", key=f"{key}_change"):
            forget(key)
            changed()
            st.rerun()
    try:
        return folders.allowed_folder(chosen)
    except KLExplorerError as error:
        st.text(f"These responses cannot be used: {error}.")
        return None


def choose(key: str, path: str) -> None:
    """As if the user had picked it."""
    st.session_state[_input(key)] = path


def chosen(key: str) -> str | None:
    """What is chosen, checked or not."""
    return st.session_state.get(_input(key))


def forget(key: str) -> None:
    """Back to the picker."""
    for name in (_input(key), f"{key}_seed"):
        st.session_state.pop(name, None)


def _input(key: str) -> str:
    return f"{key}_input"


def _a_run(key: str, verb: str) -> Path | None:
    infos = runs.list_runs(runs.default_root())
    usable = {info.id: info for info in infos if inputs.folder_for_scoring(info)}
    if not usable:
        st.text("No run names a folder that is still there; choose one another way.")
        return None
    labels = inputs.run_labels(list(usable.values()))
    run = st.selectbox("Run", list(usable), format_func=labels.__getitem__, key=f"{key}_of_run")
    found = inputs.folder_for_scoring(usable[run])
    assert found is not None
    st.text(f"It read {found}")
    if not st.button(verb, key=f"{key}_of_run_go", type="primary"):
        return None
    try:
        return folders.allowed_folder(found)
    except KLExplorerError as error:
        st.text(f"What the run read cannot be used: {error}.")
        return None


def _sample(key: str, verb: str) -> Path | None:
    st.caption("21 prompts about an island, answered by a tiny model; in the app's own folder.")
    return SAMPLE if st.button(verb, key=f"{key}_sample_go", type="primary") else None
