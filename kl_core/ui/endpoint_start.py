"""The Score page before a run by a server: responses, settings, and the button that starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from kl_core.jobs import launch
from kl_core.ui import (
    call_start,
    endpoint_form,
    endpoint_settings,
    gemini_demo,
    responses_choice,
    score_form,
)
from kl_core.ui.endpoint_form import FIELDS
from kl_core.ui.score_place import Place

_PAGE = "endpoint"
ABOUT = (
    "Sends saved responses to a server that runs model 2 and asks for the log-probabilities of "
    "what is written there: one request a response, where the server can."
)
_CSS = "<style>.stMainBlockContainer h3 { padding: .7rem 0 1rem }</style>"
DEMO_MODEL, DEMO_TOKENIZER = "tiny-tuned", "sample_data/models/tiny-tuned"


def show(place: Place, folder: Path | None) -> None:
    """The form below the choice of responses, down to the button."""
    st.html(_CSS)
    st.subheader("Server and model")
    problems = endpoint_form.form()
    options = endpoint_settings.options(FIELDS.values())
    if folder is not None:
        options = {"input_dir": str(folder)} | options
        st.caption("The same from a terminal:")
        st.code(launch.command_line("endpoint", options), language=None, wrap_lines=True)
    missing = ["choose the responses"] if folder is None else []
    missing += problems.values()
    call_start.first(missing)
    st.button(
        "Probe and estimate",
        type="primary",
        disabled=bool(missing),
        key="endpoint_start",
        on_click=_begin,
        args=(place, options),
        help="One request finds out what the server can do. The plan then says what the whole run "
        "takes; where it costs, nothing else is asked before you say yes.",
    )
    call_start.say(_PAGE)


def demo_button(place: Place) -> None:
    """Fill the form for the local server, which is started if need be."""
    pressed = st.button(
        "Try it on the demo server",
        key="endpoint_demo",
        help="A server on this machine that answers like vLLM, from a tiny model that ships with "
        "the app. It needs no key and costs nothing.",
    )
    if pressed:
        with st.spinner("Starting the demo server …"):
            _demo(place)
        st.rerun()


def demo_note() -> None:
    """That the demo server is asked, where it is."""
    if gemini_demo.is_demo(FIELDS.values().get("base_url") or ""):
        call_start.demo_note()


def _demo(place: Place) -> None:
    address = call_start.demo_address(_PAGE)
    if address is None:
        return
    responses_choice.forget(score_form.KEY)
    responses_choice.choose(score_form.KEY, str(responses_choice.SAMPLE))
    place.input = None
    FIELDS.fill({"model2": DEMO_MODEL, "base_url": f"{address}/v1", "tokenizer": DEMO_TOKENIZER})


def _begin(place: Place, options: dict[str, Any]) -> None:
    """Start the worker; a repeated click while it is at it starts nothing new."""
    addresses = [options.get("base_url") or ""]
    run_dir = call_start.begin(_PAGE, "endpoint", lambda: options, addresses)
    if run_dir is not None:
        place.begin(run_dir)


def reopen(place: Place, options: dict[str, Any]) -> None:
    """Show the form again, with the settings of a run."""
    FIELDS.fill({name: value for name, value in options.items() if name != "input_dir"})
    responses_choice.forget(score_form.KEY)
    place.input = str(options["input_dir"]) if "input_dir" in options else None
    place.run, place.missing = None, ""
