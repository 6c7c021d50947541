"""Scoring with a model of this machine: the form, and the run that takes its place."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from kl_core.errors import KLExplorerError
from kl_core.jobs import launch
from kl_core.ui import progress, score_form
from kl_core.ui.score_place import Place

ABOUT = (
    "Runs a transformers model over saved responses that carry log-probabilities, and measures "
    "at each token how far it is from the model that wrote them."
)


def run(run_dir: Path, place: Place) -> None:
    """Progress, and the way to the results."""
    status = progress.card(run_dir, "score")
    with st.container(horizontal=True):
        usable = status.active or status.state == "done" or progress.kept(run_dir)
        weight: progress.Weight = "primary" if usable else "secondary"
        if st.button("Open in Explore", type=weight, disabled=status.state == "starting"):
            st.switch_page("pages/explore.py", query_params={"run": run_dir.name})
        if st.button("Score something else", disabled=status.active):
            score_form.again()
            place.run = None
            st.rerun()


def show(place: Place, folder: Path | None) -> None:
    """The form below the choice of responses, down to the button."""
    request = score_form.form(folder)
    if request is None:
        st.text("Name the responses and a model; the command to run then shows here.")
        return
    st.caption("The same from a terminal:")
    st.code(launch.command_line("score", request.options()), language=None, wrap_lines=True)
    problem = score_form.output_problem(request)
    if problem:
        st.text(f"{problem}.")
    if not st.button("Start", type="primary", disabled=problem is not None):
        return
    try:
        place.begin(launch.start("score", request.options(), score_form.nonce()))
    except (KLExplorerError, OSError) as error:
        st.text(f"The run did not start: {error}.")
        return
    st.rerun()
