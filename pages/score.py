"""Score: a second model against saved responses, on this machine or by a server."""

import streamlit as st

from kl_core.ui import entry, score_place, score_view, style

entry.through_app()
style.apply(narrow=True)
st.title("Score")
place = score_place.current()
run_dir = score_place.run_folder(place)
if run_dir is not None:
    score_view.run(run_dir, place)
else:
    score_view.form(place)
score_place.finish(place)
