"""Pickers of the Explore page's toolbar: run, measure, order, search."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from kl_core.jobs import launch
from kl_core.store.filters import PromptFilter
from kl_core.store.runs import RunInfo
from kl_core.ui import figures
from kl_core.ui.state import Explore
from kl_core.ui.token_data import MEASURES, MeasureName, measures_for

SORTS_SCORED = {
    "mean_kl": "mean KL",
    "max_kl": "max KL",
    "total_kl": "total KL",
    "mean_lower": "certified ≥",
    "median_kl": "median KL",
    "mean_log_ratio": "mean log-ratio",
    "mean_surprisal1": "surprisal, model 1",
    "censored": "censored tokens",
}
SORTS_FULL = {
    "mean_kl": "mean KL",
    "max_kl": "max KL",
    "total_kl": "total KL",
    "mean_reverse": "mean KL(2‖1)",
    "median_kl": "median KL",
    "mean_log_ratio": "mean log-ratio",
    "mean_surprisal1": "surprisal, model 1",
}
SORTS_RAW = {
    "mean_surprisal1": "mean surprisal",
    "mean_entropy1": "mean entropy",
    "tokens": "tokens",
}
_SORT_KEY = "sort_picker"
_ARRIVALS = "in file order"


@dataclass(frozen=True, slots=True)
class TableRequest:
    """Which prompts, in which order."""

    sort: str
    label: str
    search: str
    measure: str | None = None

    @property
    def where(self) -> PromptFilter:
        """What the table leaves out."""
        return PromptFilter(text=self.search)

    @property
    def descending(self) -> bool:
        """Everything sorts from high to low but the order of arrival."""
        return self.sort != "prompt_id"


def run_picker(runs: list[RunInfo], place: Explore, sample: Path | None = None) -> RunInfo:
    """The run to look at; choosing another resets what is below it.

    Args:
        sample: the folder of the sample run, which its label names so.
    """
    names = run_labels(runs, sample)
    if place.run not in names:
        place.not_here("run")
        place.choose_run(next((info.id for info in runs if info.state == "done"), runs[0].id))
    key = _pick("run", *names.values())
    st.session_state[key] = place.run

    def chosen() -> None:
        place.choose_run(st.session_state[key])

    st.selectbox("Run", list(names), format_func=names.__getitem__, key=key, on_change=chosen)
    return next(info for info in runs if info.id == place.run)


def _pick(name: str, *labels: str) -> str:
    """A picker's key, another one for other labels: the browser knows options by their label."""
    digest = hashlib.sha256("\n".join(labels).encode("utf-8", "replace")).hexdigest()[:12]
    return f"pick_{name}_{digest}"


def run_labels(runs: list[RunInfo], sample: Path | None = None) -> dict[str, str]:
    """Run id → label, no two alike: the picker tells its options apart by their labels."""
    labels = {info.id: run_label(info, info.path == sample) for info in runs}
    seen = list(labels.values())
    return {
        run: label if seen.count(label) == 1 else f"{label} · {run.rsplit('-', 1)[-1]}"
        for run, label in labels.items()
    }


def run_label(info: RunInfo, sample: bool = False) -> str:
    """One line that tells runs apart: state unless done, models or title, kind, time."""
    names = [figures.model_name(name) for name in (info.model1, info.model2) if name]
    models = " → ".join(figures.shortened(name) for name in names)
    kind = "sample" if sample else info.kind
    title = "" if len(names) == 2 or sample else figures.one_line(info.title, 44)
    state = "" if info.state == "done" else info.state
    when = info.created[:16].replace("T", " ")
    parts = [state, title if title != kind else "", models, kind, when]
    return " · ".join(part for part in parts if part)


def measure_picker(place: Explore, summary: dict[str, Any]) -> MeasureName:
    """What colours the text; raw responses have surprisal alone."""
    options = measures_for(summary.get("measure"))
    if place.measure not in options:
        place.not_here("measure")
        place.measure = options[0]
    labels = {name: _measure_label(name, summary) for name in options}
    key = _pick("measure", *labels.values())
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


def table_request(summary: dict[str, Any]) -> TableRequest:
    """The order and the search of the prompt table."""
    sorts = sorts_for(summary.get("measure"))
    options = [*sorts, "prompt_id"]
    key = _pick("sort", *options)
    st.session_state[_SORT_KEY] = (key, options)
    left, right = st.columns([2, 3], gap="small")
    with left:
        sort = st.selectbox(
            "Sort prompts by",
            options,
            key=key,
            label_visibility="collapsed",
            format_func=lambda name: f"by {sorts[name]}" if name in sorts else _ARRIVALS,
        )
    with right:
        search = st.text_input(
            "Search prompts and responses",
            key="search_prompts",
            label_visibility="collapsed",
            placeholder="Search prompts and responses",
        )
    shown = sort if sort in sorts else options[0]
    return TableRequest(sort, sorts[shown], search.strip(), summary.get("measure"))


def sort_by(column: str) -> None:
    """Set the order from a click on a table's head; heads without an order do nothing."""
    key, options = st.session_state.get(_SORT_KEY, ("", []))
    if column in options:
        st.session_state[key] = column


def sorts_for(measure: str | None) -> dict[str, str]:
    """Column → label of the orders that a run of this measure can have."""
    if measure is None:
        return SORTS_RAW
    return SORTS_FULL if measure == "full" else SORTS_SCORED


def folder_for_scoring(info: RunInfo) -> str | None:
    """The folder a raw run was imported from, if it is still there."""
    folder = info.request.get("input_dir")
    return folder if isinstance(folder, str) and Path(folder).exists() else None


def offer_scoring(info: RunInfo, summary: dict[str, Any]) -> None:
    """Raw responses: say what is missing, and lead to what adds it."""
    if not summary.get("tokens"):
        _offer_compare(info)
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            "These responses come from one model, so the text shows its surprisal; a second "
            "model adds the divergence.",
            width="content",
        )
        folder = folder_for_scoring(info)
        if st.button("Score these", key="score_these", type="primary"):
            st.switch_page("pages/score.py", query_params={"input": folder} if folder else {})


def _offer_compare(info: RunInfo) -> None:
    """No response has log-probabilities: only what works from the text can help."""
    st.caption(
        "No response of this run came with log-probabilities, so there is nothing to measure "
        "yet. Two local models can still be compared on the text, from a terminal:"
    )
    folder = folder_for_scoring(info) or "FOLDER"
    options = {"input_dir": folder, "model1": "MODEL_1", "model2": "MODEL_2"}
    st.code(launch.command_line("compare", options), language=None, wrap_lines=True)
