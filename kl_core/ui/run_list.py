"""The list of runs and the card of one of them."""

from __future__ import annotations

from typing import Any

import streamlit as st

from kl_core.errors import KLExplorerError
from kl_core.jobs import launch
from kl_core.store.runs import RunInfo
from kl_core.ui import figures, progress

_ROW_PX, _MAX_ROWS = 35, 12


def table(infos: list[RunInfo]) -> RunInfo | None:
    """One row a run, newest first; a click anywhere in a row chooses it."""
    key = "runs_table"
    rows = [_row(info) for info in infos]
    st.dataframe(
        {name: [row[name] for row in rows] for name in rows[0]},
        key=key,
        on_select="rerun",
        selection_mode="single-cell",
        hide_index=True,
        height=_ROW_PX * (min(_MAX_ROWS, len(rows)) + 1) + 3,
        column_config={
            "progress": st.column_config.ProgressColumn(
                "progress", format="percent", min_value=0, max_value=1, width=110
            )
        },
    )
    cells = st.session_state[key]["selection"]["cells"] if key in st.session_state else []
    if cells and cells[0][0] < len(infos):
        st.session_state["runs_chosen"] = infos[cells[0][0]].id
    wanted = st.session_state.get("runs_chosen")
    return next((info for info in infos if info.id == wanted), infos[0])


def _row(info: RunInfo) -> dict[str, Any]:
    done = 1.0 if info.state == "done" else progress.fraction(info.status)
    return {
        "state": info.state,
        "kind": info.kind,
        "model 1": info.model1 or "",
        "model 2": info.model2 or "",
        "progress": done,
        "started": info.created[:16].replace("T", " "),
        "run": info.id,
    }


def detail(info: RunInfo) -> None:
    """State, command and buttons of one run."""
    st.subheader("Selected run")
    st.text(f"{info.id}\n{figures.one_line(info.title, 120)}")
    status = progress.card(info.path, info.id)
    with st.container(horizontal=True):
        if st.button("Open in Explore", key=f"open_{info.id}", type="primary"):
            st.switch_page("pages/explore.py", query_params={"run": info.id})
        with st.popover("Delete", disabled=status.active):
            _delete(info)


def _delete(info: RunInfo) -> None:
    st.text(f"This removes the folder of run {info.id} for good.")
    if not st.button("Delete for good", key=f"delete_{info.id}"):
        return
    try:
        launch.delete(info.path)
    except (KLExplorerError, OSError) as error:
        st.text(f"The run was not deleted: {error}.")
        return
    st.session_state.pop("runs_chosen", None)
    st.rerun()
