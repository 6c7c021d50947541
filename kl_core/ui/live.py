"""A live run on the Explore page: what has come since it was drawn, and a button to see it."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from kl_core.jobs import launch
from kl_core.store import queries, so_far
from kl_core.ui import cached, figures

POLL_S = 3.0


def notice(run_dir: Path) -> None:
    """Nothing for a run that is over; for a live one the button, as soon as there is more."""
    if launch.status(run_dir).active:
        st.fragment(_look, run_every=POLL_S)(run_dir, cached.version(run_dir))


def _look(run_dir: Path, shown: str) -> None:
    if queries.run_version(run_dir) == shown:
        return
    more = so_far.finished(run_dir) - (cached.summary(run_dir).get("prompts") or 0)
    with st.container(
        horizontal=True, vertical_alignment="center", key=f"live_notice_{run_dir.name}"
    ):
        said = f"{figures.counted(more, 'more prompt')} finished" if more > 0 else "There is more"
        st.caption(f"{said}:", width="content")
        if st.button("Show them", key=f"live_refresh_{run_dir.name}"):
            cached.refresh(run_dir)
            st.rerun()
