"""The list of what could not be used in a run's input, and what to do about it."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pandas as pd
import streamlit as st

from kl_core.store import queries
from kl_core.ui import cached, figures, visible

_SHOWN = 1000
_WRAPPED, _CHARACTERS = ("reason", "hint"), 29  # that fit a line of their columns
_LINE_PX, _LEAST_LINES, _MOST_PX = 19, 2, 430


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
    st.markdown("**Notes on the input and the answers**")
    st.caption(
        "What could not be used, or only in part; everything else was. Each row says where, why, "
        "and what to do."
    )
    rows = queries.problems(cached.cursor(run_dir), _SHOWN).to_pylist()
    shown = [{**row, **{name: _wrapped(row[name]) for name in _WRAPPED}} for row in rows]
    lines = [row[name].count("\n") + 1 for row in shown for name in _WRAPPED]
    height = _LINE_PX * max(_LEAST_LINES, *lines) + 10  # every row is as high as the highest
    st.dataframe(
        pd.DataFrame(shown),
        hide_index=True,
        width=654,
        row_height=height,
        height=min(height * len(rows), _MOST_PX) + 38,
        column_config={
            "file": st.column_config.TextColumn("file", width=118),
            "place": st.column_config.TextColumn("where", width=92),
            "reason": st.column_config.TextColumn("what happened", width=216),
            "hint": st.column_config.TextColumn("what to do", width=216),
        },
    )
    if found > _SHOWN:
        st.caption(f"The first {_SHOWN:,} of {found:,}; `problems` of the command line lists all.")


def _wrapped(text: str | None) -> str:
    """The text with a line break where a line of its column is full; the grid keeps those."""
    lines = textwrap.wrap(visible.plain(text or "", 2000), _CHARACTERS)
    return "\n".join(lines)
