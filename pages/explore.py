"""Explore: prompts sorted by divergence; one response's tokens; what each model would say."""

import streamlit as st

from kl_core.errors import KLExplorerError
from kl_core.jobs import launch
from kl_core.store import runs
from kl_core.ui import (
    cached,
    carry_out,
    charts_view,
    copy_link,
    entry,
    estimates,
    explore_view,
    import_form,
    inputs,
    live,
    problems,
    progress,
    sample,
    score_offer,
    shared,
    state,
    style,
    tokens_view,
    upload,
)

entry.through_app()
style.apply()
OPENED = "files_opened"
place = state.current()
sample_run = sample.ensure()
infos = sample.first(runs.list_runs(runs.default_root()), sample_run)


def open_files() -> None:
    """The popover that brings responses in."""
    chosen = import_form.ask()
    if chosen is not None:
        place.choose_run(upload.start_import(*chosen).name)
        st.session_state[OPENED] = st.session_state.get(OPENED, 0) + 1
        st.rerun()


if not infos:
    st.title("Explore")
    st.text(
        "No run yet. Open a directory of responses below, or score one against a local model "
        "on the page Score."
    )
    open_files()
    st.stop()

with st.container(key="toolbar", horizontal=True, vertical_alignment="bottom", gap="small"):
    run_column = st.container(key="toolbar_run")
    view_column = st.container(width="content")
    measure_column = st.container(key="toolbar_measure", width=168)
    export_column, open_column = st.container(width=98), st.container(width=118)
    link_column = st.container(width=100)
    with run_column:
        info = inputs.run_picker(infos, place, sample_run)
    # another key after each import: a popover of its own, and closed
    popover = f"open_files_{st.session_state.get(OPENED, 0)}"
    with open_column, st.popover("Open files", width="stretch", key=popover):
        open_files()
    with link_column:
        copy_link.show()
note = st.empty()

if launch.status(info.path).state != "done":
    about = sample.ABOUT if info.path == sample_run else ""
    progress.card(info.path, info.id, about, compact=True)
live.notice(info.path)
try:
    summary = cached.summary(info.path)
except KLExplorerError as error:
    st.text(f"This run cannot be opened: {error}.")
    state.finish(place)
    st.stop()
if not summary.get("prompts"):
    if info.state == "done":
        st.caption(
            "This run holds no prompts. Open files that hold responses, or look at the page Runs "
            "for what this run was asked to read."
        )
        problems.button(info.path)
    elif estimates.wanted(info.request):
        st.caption("Prompts appear when the search has given them up or found them.")
    state.finish(place)
    st.stop()
with view_column:
    view = inputs.view_picker(place)
if said := estimates.caption(summary, info.request, over=info.state == "done"):
    st.caption(said)
if said := shared.caption(summary, info.request, cached.shared_contexts(info.path)):
    st.caption(said)
if view == "tokens":
    listed = tokens_view.show(info, summary, place)
    with export_column:
        carry_out.tokens(info, summary, place, listed)
elif view == "charts":
    charts_view.show(info, summary, place)
    with export_column:
        carry_out.charts(info, summary)
else:
    with measure_column:
        measure = inputs.measure_picker(place, summary)
    if summary.get("measure") is None:
        score_offer.show(info, summary, place)
    explore_view.show(info, summary, measure, place, export_column)
state.finish(place)
if missing := state.missing(place):
    note.caption(missing)
