"""Pickers of the Explore page's toolbar: run, view, measure."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import streamlit as st

from kl_core.store.runs import RunInfo
from kl_core.ui import estimates, figures, shared
from kl_core.ui.state import Explore
from kl_core.ui.token_data import MEASURES, MeasureName, measures_for


def run_picker(runs: list[RunInfo], place: Explore, sample: Path | None = None) -> RunInfo:
    """The run to look at; choosing another resets what is below it.

    Args:
        sample: the folder of the sample run, which its label names so.
    """
    names = run_labels(runs, sample)
    if place.run not in names:
        place.not_here("run")
        place.choose_run(next((info.id for info in runs if info.state == "done"), runs[0].id))
    key = pick("run", *names.values())
    st.session_state[key] = place.run

    def chosen() -> None:
        place.choose_run(st.session_state[key])

    st.selectbox("Run", list(names), format_func=names.__getitem__, key=key, on_change=chosen)
    return next(info for info in runs if info.id == place.run)


def pick(name: str, *labels: str) -> str:
    """A picker's key, another one for other labels: the browser knows options by their label.

    It starts with `pick_`, so that state.forget_pickers lets go of it.
    """
    digest = hashlib.sha256("\n".join(labels).encode("utf-8", "replace")).hexdigest()[:12]
    return f"pick_{name}_{digest}"


def run_labels(runs: list[RunInfo], sample: Path | None = None) -> dict[str, str]:
    """Run id → label, no two alike: the picker tells its options apart by their labels."""
    labels = {info.id: run_label(info, info.path == sample) for info in runs}
    seen = Counter(labels.values())
    return {
        info.id: labels[info.id]
        if seen[labels[info.id]] == 1
        else run_label(info, info.path == sample, twin=True)
        for info in runs
    }


def run_label(info: RunInfo, sample: bool = False, twin: bool = False) -> str:
    """One line that tells runs apart, even cut: name or models, state unless done, time, kind.

    Of a run that asked for a part, how much and when come before the models.

    Args:
        twin: another run reads the same, so the short id stands last.
    """
    names = [name for name in (models1(info), figures.model_name(info.model2)) if name]
    models = " → ".join(figures.shortened(name, 20 if info.model2 else 40) for name in names)
    kind = "sample" if sample else shared.kind(info.kind, info.request)
    title = "" if len(names) == 2 or sample else figures.one_line(info.title, 44)
    state = "" if info.state == "done" else info.state
    when = info.created[:16].replace("T", " ")
    named = figures.shortened(figures.one_line(info.name, 200), 34) if info.name else ""
    short = info.id.rsplit("-", 1)[-1] if twin else ""
    what = [models or ("" if title == kind else title)]
    if part := estimates.asked_for(info.request):
        parts = [*([named] if named else []), *part, when, *what, state, kind]
    elif named:
        parts = [named, state, when, kind, *what]
    elif twin:  # the time tells most of them apart
        parts = [when, *what, state, kind]
    else:
        parts = [*what, state, when, kind]
    return " · ".join(word for word in (*parts, short) if word)


def models1(info: RunInfo) -> str:
    """Who wrote a run's responses; of a run that sampled from several models, each by name."""
    config = info.request.get("config")
    models = config.get("models") if isinstance(config, dict) else None
    named = [each.get("name") for each in models or () if isinstance(each, dict)]
    if info.kind != "sample" or not named or not all(isinstance(name, str) for name in named):
        return figures.model_name(info.model1)
    return ", ".join(figures.model_name(name) for name in named)


_VIEWS = {None: "Prompts", "tokens": "Tokens", "charts": "Charts"}


def view_picker(place: Explore) -> str | None:
    """What the page shows of the run: its prompts, its tokens, its charts."""
    key = "pick_view"
    if st.session_state.get(key) != _VIEWS.get(place.view):
        place.view = place.view if place.view in _VIEWS else None
        st.session_state[key] = _VIEWS[place.view]

    def chosen() -> None:
        said = st.session_state[key] or _VIEWS[place.view]  # a click on the chosen one unsets it
        place.view = next(name for name, label in _VIEWS.items() if label == said)
        st.session_state[key] = said

    st.segmented_control(
        "Show",
        list(_VIEWS.values()),
        key=key,
        on_change=chosen,
        help="Prompts: which differ most, and where in them. Tokens: the words that differ most "
        "in the whole run. Charts: how the divergence is spread.",
    )
    return place.view


def measure_picker(place: Explore, summary: dict[str, Any]) -> MeasureName:
    """What colours the text; raw responses have surprisal alone."""
    options = measures_for(summary)
    if place.measure not in options:
        place.not_here("measure")
        place.measure = options[0]
    labels = {name: _measure_label(name, summary) for name in options}
    key = pick("measure", *labels.values())
    st.session_state.setdefault(key, place.measure)
    picked: MeasureName = st.selectbox(
        "Colour by",
        options,
        format_func=labels.__getitem__,
        key=key,
        help="  \n".join(f"{MEASURES[n].label}: {MEASURES[n].help}" for n in options),
    )
    place.measure = picked
    return picked


def _measure_label(name: MeasureName, summary: dict[str, Any]) -> str:
    kind = f" · {summary['measure']}" if name == "kl" and summary.get("measure") else ""
    return MEASURES[name].label + kind


def folder_for_scoring(info: RunInfo) -> str | None:
    """The folder a raw run was imported from, if it is still there."""
    folder = info.request.get("input_dir")
    return folder if isinstance(folder, str) and Path(folder).exists() else None
