"""Runs: every computation and import, its state, and what can be done with it."""

import streamlit as st

from kl_core.store import runs
from kl_core.ui import entry, run_list, style

entry.through_app()
style.apply()
st.title("Runs")
root = runs.default_root()
infos = runs.list_runs(root)
if not infos:
    st.text(
        "No runs yet. Open Explore to import the sample, or score a directory of responses on "
        "the page Score."
    )
else:
    run_list.show(infos)
st.caption("Each run is a folder; deleting it deletes the run.")
st.text(f"Folder of the runs: {root}")
