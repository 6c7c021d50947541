"""Compare runs: two runs over the same responses, and what moved between them."""

import streamlit as st

from kl_core.errors import KLExplorerError
from kl_core.store import runs
from kl_core.ui import (
    copy_link,
    entry,
    live,
    pair_cached,
    pair_export,
    pair_inputs,
    pair_state,
    pair_view,
    progress,
    style,
)

entry.through_app()
style.apply()
place = pair_state.current()
infos = pair_inputs.comparable(runs.list_runs(runs.default_root()))
if len(infos) < 2:
    st.title("Compare runs")
    st.text(
        "Comparing needs two runs over the same responses: two candidate models, two dates, two "
        "precisions. "
        + ("There is one run so far. " if infos else "There is no run yet. ")
        + "Score the same folder against another model on the page Score, or open "
        "another set of results on Explore."
    )
    st.stop()
missing = pair_inputs.settle(place, infos)
with st.container(key="toolbar", horizontal=True, vertical_alignment="bottom", gap="small"):
    run_a, run_b = pair_inputs.toolbar(place, infos)
    figure_column = st.container(key="toolbar_figure", width=168)
    export_column = st.container(key="toolbar_export", width=98)
    with st.container(width=100):
        copy_link.show()
if missing:
    st.caption(missing)
working = [info for info in (run_a, run_b) if info.status.active]
for info in working:
    name = "A" if info is run_a else "B"
    st.text(f"Run {name} still works; what it has finished is compared.")
    progress.card(info.path, f"pair_{name}")
if working:
    live.notice(working[0].path)
try:
    key = pair_cached.key_of(run_a.path, run_b.path)
    pair_cached.cursor(key)
except KLExplorerError as error:
    st.text(f"These runs cannot be compared: {error}.")
    pair_state.finish(place)
    st.stop()
if pair_cached.counts(key)["prompts_paired"]:
    with figure_column:
        pair_inputs.figure_picker(place, key)
    with export_column:
        pair_export.popover(key, run_a, run_b, place)
pair_view.show(key, run_a, run_b, place)
pair_state.finish(place)
