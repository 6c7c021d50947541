"""Pickers of the Explore page's toolbar: run, measure, order, search."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

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
SORTS_RAW = {
    "mean_surprisal1": "mean surprisal",
    "mean_entropy1": "mean entropy",
    "tokens": "tokens",
}
_ARRIVALS = "in file order"


@dataclass(frozen=True, slots=True)
class TableRequest:
    """Which prompts, in which order."""

    sort: str
    label: str
    search: str

    @property
    def descending(self) -> bool:
        """Everything sorts from high to low but the order of arrival."""
        return self.sort != "prompt_id"


def run_picker(runs: list[RunInfo], place: Explore) -> RunInfo:
    """The run to look at; choosing another resets what is below it."""
    names = run_labels(runs)
    if place.run not in names:
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


def run_labels(runs: list[RunInfo]) -> dict[str, str]:
    """Run id → label, no two alike: the picker tells its options apart by their labels."""
    labels = {info.id: run_label(info) for info in runs}
    seen = list(labels.values())
    return {
        run: label if seen.count(label) == 1 else f"{label} · {run.rsplit('-', 1)[-1]}"
        for run, label in labels.items()
    }


def run_label(info: RunInfo) -> str:
    """One line that tells runs apart: models or title, and time; the same in every state."""
    models = [figures.model_name(name) for name in (info.model1, info.model2) if name]
    title = (
        f"{' → '.join(models)} · {info.kind}"
        if len(models) == 2
        else (" · ".join([info.title, *models]))
    )
    when = info.created[:16].replace("T", " ")
    return f"{figures.one_line(title, 70)} · {when}"


def measure_picker(place: Explore, summary: dict[str, Any]) -> MeasureName:
    """What colours the text; raw responses have surprisal alone."""
    options = measures_for(summary.get("measure") is not None)
    if place.measure not in options:
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
    sorts = SORTS_SCORED if summary.get("measure") is not None else SORTS_RAW
    options = [*sorts, "prompt_id"]
    left, right = st.columns([2, 3], gap="small")
    with left:
        sort = st.selectbox(
            "Sort prompts by",
            options,
            key=_pick("sort", *options),
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
    return TableRequest(sort, sorts[shown], search.strip())


def folder_for_scoring(info: RunInfo) -> str | None:
    """The folder a raw run was imported from, if it is still there."""
    folder = info.request.get("input_dir")
    return folder if isinstance(folder, str) and Path(folder).exists() else None


def offer_scoring(info: RunInfo) -> None:
    """Raw responses: say what is missing, and lead to the page that adds it."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            "These responses come from one model, so the text shows its surprisal; a second "
            "model adds the divergence.",
            width="content",
        )
        folder = folder_for_scoring(info)
        if st.button("Score these", key="score_these", type="primary"):
            st.switch_page("pages/score.py", query_params={"input": folder} if folder else {})


def plain(text: str) -> str:
    """An id from an address as a short word that no markdown can hide in."""
    return "".join(char if char.isalnum() or char == "-" else "?" for char in text[:60])
