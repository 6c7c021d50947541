"""The Sample page before a run: the form, the configuration it makes, and the button."""

from __future__ import annotations

from typing import Any

import streamlit as st

from kl_core.errors import KLExplorerError
from kl_core.formats import sampling_config
from kl_core.formats.sampling_config import SamplingConfig
from kl_core.store import runs
from kl_core.ui import (
    call_start,
    gemini_demo,
    sample_demo,
    sample_fields,
    sample_files,
    sample_form,
    sample_models,
    sample_problems,
    sample_prompts,
    sample_values,
    sample_words,
    sample_yaml,
)
from kl_core.ui.sample_fields import FIELDS
from kl_core.ui.sample_place import Place

_PAGE, _FOLDER = "sample", "sample_folder"


_CSS = """<style>
.stMainBlockContainer h3 { padding: .7rem 0 .9rem }
</style>"""


def show(place: Place) -> None:
    """The form, from the prompts to the button."""
    st.html(_CSS)
    if place.missing:
        st.text(place.missing)
    sample_prompts.remembered(place)
    sample_fields.catch_up()  # a field above may speak of one below
    _above(place)

    def check() -> dict[str, str]:
        return _problems(place.way)

    sample_prompts.section(place, check)
    sample_models.section(check)
    sample_form.settings(check)
    sample_form.output(check, _new_folder())
    config, options, missing = _wanted(place)
    sample_yaml.kept()
    if not missing:
        sample_yaml.preview(config, options)
    _button(place, missing)


def _problems(way: str) -> dict[str, str]:
    """Field → why it cannot be used; what is in the prompts' file counts once it can be read."""
    found = sample_problems.problems(way, FIELDS.values())
    unread = any(name in found for name in ("texts", "file", "dataset", "max_chars"))
    return found if unread else sample_prompts.problems(way) | found


def _new_folder() -> str:
    """Where responses go unless a folder is named: one that no run has written to."""
    known = st.session_state.get(_FOLDER)
    if known is None or (runs.REPOSITORY / known).exists():
        st.session_state[_FOLDER] = sample_files.new_folder()
    return str(st.session_state[_FOLDER])


def _wanted(place: Place) -> tuple[SamplingConfig, dict[str, Any], list[str]]:
    """(configuration, options of the command, what is missing) of the fields as they are."""
    values = FIELDS.values()
    missing = sample_problems.listed(_problems(place.way), values)
    config = sample_values.config_of(place.way, values, st.session_state[_FOLDER])
    config = sample_files.settled(config)
    if not missing and (problem := sampling_config.problem_of(config, from_tokens=False)):
        missing.append(sample_words.labelled(problem))
    return config, sample_form.run_options(values), missing


def _above(place: Place) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        demo = st.button("Try it on the demo server", key="sample_demo")
        with st.popover("Load a YAML file", icon=":material/upload_file:"):
            sample_yaml.loader(place, fill)
    if demo:
        with st.spinner("Starting the demo server …"):
            _demo(place)
        st.rerun()
    if any(gemini_demo.is_demo(address) for address in _addresses()):
        call_start.demo_note("tiny models that ship")
    call_start.say(_PAGE)


def _addresses() -> list[str]:
    values = FIELDS.values()
    rows = [sample_values.of_row(values, row) for row in values.get("rows") or ()]
    return [sample_values.base_url(own) or "" for own in rows if own.get("server") == "here"]


def _demo(place: Place) -> None:
    """Fill the form for the local server, which is started if need be."""
    url = call_start.demo_address(_PAGE)
    if url is None:
        return
    fill(place, *sample_values.values_of(sample_demo.config(url)))


def fill(place: Place, way: str, values: dict[str, Any]) -> None:
    """Put these fields into the form, with a folder of its own where none is named."""
    made = sample_files.is_made(values.get("output_dir") or "")
    FIELDS.fill(values | ({"output_dir": None} if made else {}))
    st.session_state.pop(_FOLDER, None)
    place.way, place.run, place.missing = way, None, ""


def _button(place: Place, missing: list[str]) -> None:
    call_start.first(missing)
    st.button(
        "Probe and estimate",
        type="primary",
        disabled=bool(missing),
        key="sample_go",
        on_click=begin,
        args=(place,),
        help="One sample of each model finds out whether it gives log-probabilities, and what the "
        "whole run would take. Nothing else is asked before you say yes.",
    )


def begin(place: Place) -> None:
    """Start the worker; a repeated click while it is at it starts nothing new."""
    sample_fields.catch_up()
    config, options, missing = _wanted(place)
    if missing:
        return  # said above the button, which is drawn anew
    run_dir = call_start.begin(
        _PAGE,
        "sample",
        lambda: {"config": str(sample_files.keep(config))} | options,
        sample_demo.addresses(config),
    )
    if run_dir is not None:
        place.run = run_dir.name


def reopen(place: Place, config: SamplingConfig | None, options: dict[str, Any]) -> None:
    """Show the form again, with the settings of a run."""
    try:
        way, values = ("write", {}) if config is None else sample_values.values_of(config)
    except KLExplorerError as error:
        call_start.tell(_PAGE, f"The form cannot show that configuration: {error}.")
        way, values = "write", {}
    known = {name: value for name, value in options.items() if name in sample_form.RUN_OPTIONS}
    fill(place, way, values | known)
