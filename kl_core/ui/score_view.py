"""The Score page's body: who works out model 2's side, and the form or the run of that."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from kl_core.ui import endpoint_run, endpoint_start, responses_choice, score_form, score_local
from kl_core.ui.score_place import WAYS, Place

_BY = "score_by"
_LABELS = {"machine": "With a model of this machine", "server": "By a server"}
_ABOUT = {"machine": score_local.ABOUT, "server": endpoint_start.ABOUT}


def run(run_dir: Path, place: Place) -> None:
    """A run in its present state."""
    shown = endpoint_run.show if place.by == "server" else score_local.run
    shown(run_dir, place)


def form(place: Place) -> None:
    """The choice of the way, the responses, then the way's own form."""
    if place.missing:
        st.text(place.missing)
    with st.container(horizontal=True, vertical_alignment="center"):
        _way(place)
        if place.by == "server":
            endpoint_start.demo_button(place)
    st.caption(_ABOUT[place.by])
    if place.by == "server":
        endpoint_start.demo_note()
    folder = _responses(place)
    shown = endpoint_start.show if place.by == "server" else score_local.show
    shown(place, folder)


def _way(place: Place) -> None:
    st.session_state[_BY] = place.by

    def chosen() -> None:
        place.by = st.session_state[_BY]

    st.segmented_control(
        "Who works out model 2's side",
        list(WAYS),
        format_func=_LABELS.__getitem__,
        key=_BY,
        on_change=chosen,
        required=True,
        label_visibility="collapsed",
        width="content",
    )


def _responses(place: Place) -> Path | None:
    def let_go() -> None:
        place.input = None

    folder = responses_choice.folder(score_form.KEY, place.input, let_go)
    place.input = responses_choice.chosen(score_form.KEY)
    return folder
