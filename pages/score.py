"""Score locally: a model of this machine against saved responses."""

import streamlit as st

from kl_core.errors import KLExplorerError
from kl_core.jobs import launch
from kl_core.ui import entry, progress, score_form, style

entry.through_app()
style.apply(narrow=True)
st.title("Score locally")
st.caption(
    "Runs a transformers model over saved responses that carry log-probabilities, and measures "
    "at each token how far it is from the model that wrote them."
)

run_dir = score_form.started()
if run_dir is not None:
    status = progress.card(run_dir, "score")
    with st.container(horizontal=True):
        usable = status.active or status.state == "done" or progress.kept(run_dir)
        weight = "primary" if usable else "secondary"
        if st.button("Open in Explore", type=weight, disabled=status.state == "starting"):
            st.switch_page("pages/explore.py", query_params={"run": run_dir.name})
        if st.button("Score something else", disabled=status.active):
            score_form.again()
            st.rerun()
    st.stop()

request = score_form.form()
if request is None:
    st.text("Name the responses and a model; the command to run then shows here.")
    st.stop()
st.caption("The same from a terminal:")
st.code(launch.command_line("score", request.options()), language=None, wrap_lines=True)
problem = score_form.output_problem(request)
if problem:
    st.text(f"{problem}.")
if st.button("Start", type="primary", disabled=problem is not None):
    try:
        score_form.begin(launch.start("score", request.options(), score_form.nonce()))
    except (KLExplorerError, OSError) as error:
        st.text(f"The run did not start: {error}.")
        st.stop()
    st.rerun()
