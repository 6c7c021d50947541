"""The list of runs and the card of one of them."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from kl_core.errors import KLExplorerError
from kl_core.jobs import launch
from kl_core.store.runs import RunInfo
from kl_core.ui import figures, progress
from kl_core.ui.prompt_table import TINT

_ROW_PX, _MAX_ROWS = 35, 12


def table(infos: list[RunInfo]) -> RunInfo | None:
    """One row a run, newest first; a click anywhere in a row chooses it."""
    key = "runs_table"
    rows = [_row(info) for info in infos]
    ids = [info.id for info in infos]
    chosen = st.session_state.get("runs_chosen")
    tinted = ids.index(chosen) if chosen in ids else 0
    frame = pd.DataFrame(rows)

    def tint(row: Any) -> list[str]:
        return [f"background-color: {TINT}" if row.name == tinted else ""] * len(row)

    def clicked() -> None:
        cells = st.session_state[key]["selection"]["cells"]
        if cells and cells[0][0] < len(ids):
            st.session_state["runs_chosen"] = ids[cells[0][0]]

    st.dataframe(
        frame.style.apply(tint, axis=1),
        key=key,
        on_select=clicked,
        selection_mode=["single-cell", "single-column"],  # no sorting: see prompt_table
        hide_index=True,
        height=_ROW_PX * (min(_MAX_ROWS, len(rows)) + 1) + 3,
        column_config={
            "progress": st.column_config.ProgressColumn(
                "progress", format="percent", min_value=0, max_value=1, width=110
            )
        },
    )
    return infos[tinted]


def _row(info: RunInfo) -> dict[str, Any]:
    done = 1.0 if info.state == "done" else progress.fraction(info.status)
    return {
        "state": info.state,
        "title": figures.one_line(info.title, 60) if info.title != info.kind else "",
        "kind": info.kind,
        "model 1": figures.shortened(figures.model_name(info.model1)),
        "model 2": figures.shortened(figures.model_name(info.model2)),
        "progress": done,
        "started": info.created[:16].replace("T", " "),
        "run": info.id,
    }


def detail(info: RunInfo) -> None:
    """State, command and buttons of one run."""
    st.subheader("Selected run")
    st.text(f"{info.id}\n{figures.one_line(info.title, 120)}")
    status = progress.card(info.path, info.id)
    usable = status.state == "done" or progress.kept(info.path)
    with st.container(horizontal=True):
        if st.button(
            "Open in Explore", key=f"open_{info.id}", type="primary" if usable else "secondary"
        ):
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
