"""Sample: responses with log-probabilities, from servers, Gemini or models of this machine."""

import streamlit as st

from kl_core.ui import entry, sample_place, sample_run, sample_start, style

entry.through_app()
style.apply(narrow=True)
st.title("Sample")
place = sample_place.current()
run_dir = sample_place.run_folder(place)
if run_dir is not None:
    sample_run.show(run_dir, place)
else:
    st.caption(
        "Asks one or more models to answer your prompts, and keeps each answer with the "
        "log-probabilities of its tokens."
    )
    sample_start.show(place)
sample_place.finish(place)
