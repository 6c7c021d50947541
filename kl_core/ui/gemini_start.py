"""The Gemini page before a run: mode, responses, settings, and the button that probes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from kl_core.jobs import launch
from kl_core.ui import (
    call_start,
    gemini_advice,
    gemini_credentials,
    gemini_demo,
    gemini_fields,
    gemini_form,
    gemini_settings,
    responses_choice,
)
from kl_core.ui.gemini_place import MODES, Place

KEY = "gemini"
_MODE = "gemini_mode"
_LABELS = {"online": "Online", "batch": "Batch"}
_CSS = """<style>
.stMainBlockContainer h3 { padding: .7rem 0 1rem }
</style>"""
DEMO_MODEL, DEMO_PROJECT = "tiny-tuned", "demo"


def show(place: Place) -> None:
    """The form, from the mode to the button."""
    st.html(_CSS)
    if place.missing:
        st.text(place.missing)
    _mode(place)
    folder = _responses(place)
    st.subheader("Model and settings")
    problems = gemini_form.form(place.kind)
    options = gemini_settings.options(place.kind, gemini_fields.values())
    if folder is not None:
        options = {"input_dir": str(folder)} | options
        st.caption("The same from a terminal:")
        st.code(launch.command_line(place.kind, options), language=None, wrap_lines=True)
    missing = ["choose the responses"] if folder is None else []
    missing += problems.values()
    have = gemini_credentials.found()
    if todo := gemini_credentials.needed(place.kind, gemini_fields.values(), have):
        missing.append(todo)
    with st.container():
        call_start.first(missing)
        st.button(
            "Probe and estimate",
            type="primary",
            disabled=bool(missing),
            key="gemini_probe",
            on_click=begin,
            args=(place, options),
            help="One call finds out whether the model does what is needed, and what the whole "
            "run would take. Nothing else is asked before you say yes.",
        )
    call_start.say(KEY)


def _mode(place: Place) -> None:
    st.session_state[_MODE] = place.mode

    def chosen() -> None:
        place.mode = st.session_state[_MODE]

    with st.container(horizontal=True, vertical_alignment="center"):
        st.segmented_control(
            "How to ask",
            list(MODES),
            format_func=_LABELS.__getitem__,
            key=_MODE,
            on_change=chosen,
            required=True,
            label_visibility="collapsed",
            width="content",
        )
        demo = st.button(
            "Try it on the demo server",
            key="gemini_demo",
            help="A server on this machine that answers like Gemini, from a tiny model that "
            "ships with the app. It needs no key and costs nothing.",
        )
    if demo:
        with st.spinner("Starting the demo server …"):
            _demo(place)
        st.rerun()
    st.caption(gemini_advice.GENERAL[place.kind])
    if gemini_demo.is_demo(gemini_fields.values().get("base_url") or ""):
        call_start.demo_note()


def _responses(place: Place) -> Path | None:
    def let_go() -> None:
        place.input = None

    if not (responses_choice.chosen(KEY) or place.input):  # what is chosen says so itself
        st.subheader("Responses")
    folder = responses_choice.folder(KEY, place.input, let_go)
    place.input = responses_choice.chosen(KEY)
    return folder


def _demo(place: Place) -> None:
    """Fill the form for the local server, which is started if need be."""
    url = call_start.demo_address(KEY)
    if url is None:
        return
    responses_choice.forget(KEY)
    responses_choice.choose(KEY, str(responses_choice.SAMPLE))
    place.input = None
    gemini_fields.fill(
        {
            "model2": DEMO_MODEL,
            "project_id": DEMO_PROJECT,
            "base_url": url,
            "storage_url": url,
        }
    )


def begin(place: Place, options: dict[str, Any]) -> None:
    """Start the worker that probes; a repeated click while it is at it starts nothing new."""
    addresses = [options.get("base_url") or ""]
    run_dir = call_start.begin(KEY, place.kind, lambda: options, addresses)
    if run_dir is not None:
        place.run = run_dir.name


def reopen(place: Place, options: dict[str, Any]) -> None:
    """Show the form again, with the settings of a run."""
    gemini_fields.fill({name: value for name, value in options.items() if name != "input_dir"})
    responses_choice.forget(KEY)
    place.input = str(options["input_dir"]) if "input_dir" in options else None
    place.run, place.missing = None, ""
