"""Renaming and deleting runs from the list; a click's work is done before the page redraws."""

from __future__ import annotations

import streamlit as st

from kl_core.errors import KLExplorerError
from kl_core.jobs import launch
from kl_core.store import run_sizes, runs
from kl_core.store.runs import RunInfo
from kl_core.ui import visible

_DONE, _FAILED = "run_actions_done", "run_actions_failed"


def popover(name: str) -> str:
    """A popover's key: another one, and so a closed one, after each thing done."""
    return f"popover_{name}_{st.session_state.get(_DONE, 0)}"


def rename(info: RunInfo) -> None:
    """A box for the run's name."""
    key = f"rename_{info.id}"
    with st.form(f"rename_form_{info.id}", border=False):  # Enter in the box is the button, too
        st.text_input(
            "Name",
            value=info.name or "",
            key=key,
            max_chars=runs.NAME_LIMIT,
            placeholder="Empty for its own title",
        )
        go = f"rename_go_{info.id}"
        st.form_submit_button("Rename", key=go, on_click=_rename, args=(info, key))
    _failure(key)


def _rename(info: RunInfo, key: str) -> None:
    try:
        runs.rename_run(info.path, st.session_state[key])
    except (KLExplorerError, OSError) as error:
        st.session_state[_FAILED] = (key, f"The run was not renamed: {error}.")
    else:
        _did()


def delete(infos: list[RunInfo], key: str) -> None:
    """Names and sizes of what would go, and the button that does it."""
    names = "\n".join(
        f"{visible.plain(info.title, 60)} · {info.id} · "
        f"{run_sizes.said(run_sizes.size_bytes(info.path))}"
        for info in infos
    )
    folders = "the folder" if len(infos) == 1 else f"the folders of {len(infos):,} runs"
    st.text(f"This removes {folders} for good:\n{names}")
    st.button("Delete for good", key=f"delete_{key}", on_click=_delete, args=(infos, key))
    _failure(key)


def _delete(infos: list[RunInfo], key: str) -> None:
    """Delete them; one that was deleted elsewhere is as asked for."""
    failed = []
    for info in infos:
        try:
            launch.delete(info.path)
        except FileNotFoundError:
            continue
        except (KLExplorerError, OSError) as error:
            failed.append(f"Run {info.id} was not deleted: {error}.")
    if failed:
        st.session_state[_FAILED] = (key, "\n".join(failed))
    else:
        _did()


def _did() -> None:
    st.session_state[_DONE] = st.session_state.get(_DONE, 0) + 1
    st.session_state.pop(_FAILED, None)


def _failure(key: str) -> None:
    where, sentence = st.session_state.get(_FAILED, ("", ""))
    if where == key:
        st.text(sentence)
