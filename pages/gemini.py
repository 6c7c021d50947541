"""Gemini: model 2's distribution at every position, from an API, online or in a batch."""

import streamlit as st

from kl_core.ui import entry, gemini_place, gemini_run, gemini_start, style

entry.through_app()
style.apply(narrow=True)
st.title("Gemini")
place = gemini_place.current()
run_dir = gemini_place.run_folder(place)
if run_dir is not None:
    gemini_run.show(run_dir, place)
else:
    st.caption(
        "Asks a model behind an API what it would have said at each position of saved responses, "
        "and measures how far that is from the model that wrote them."
    )
    gemini_start.show(place)
gemini_place.finish(place)
