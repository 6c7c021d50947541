"""The list of what could not be used in a run's input, and what to do about it."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from kl_core.store import queries
from kl_core.ui import cached, figures

_SHOWN, _ROW_PX = 1000, 66  # rows high enough for three lines of wrapped text


def button(run_dir: Path) -> None:
    """A button with the count; the list opens beneath it. Nothing where all is well."""
    found = queries.problem_count(cached.cursor(run_dir))
    if not found:
        return
    word = "problem" if found == 1 else "problems"
    with st.popover(f"{figures.count(found)} {word}", type="tertiary", width="content"):
        listing(run_dir, found)


def listing(run_dir: Path, found: int) -> None:
    """The rows themselves: file, place, reason, what to do."""
    st.caption(
        "These parts of the input could not be used; everything else was. Each row says "
        "where, why, and what to do."
    )
    st.dataframe(
        queries.problems(cached.cursor(run_dir), _SHOWN),
        hide_index=True,
        width=760,
        row_height=_ROW_PX,
        height=_ROW_PX * min(found, 6) + 38,
        column_config={
            "file": st.column_config.TextColumn("file", width=150),
            "place": st.column_config.TextColumn("where", width=110),
            "reason": st.column_config.TextColumn("what happened", width=245),
            "hint": st.column_config.TextColumn("what to do", width=245),
        },
    )
    if found > _SHOWN:
        st.caption(f"The first {_SHOWN:,} of {found:,}; `problems` of the command line lists all.")
