"""The Explore page's body for one run: table and charts left, the response right."""

from __future__ import annotations

from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from kl_core.numeric.intervals import half_width
from kl_core.store import queries, so_far
from kl_core.store.runs import RunInfo
from kl_core.ui import (
    cached,
    carry_out,
    charts_view,
    estimates,
    export_view,
    figures,
    notes_view,
    problems,
    prompt_table,
    prompt_text,
    response_header,
    response_view,
    shared,
    table_request,
    token_cache,
)
from kl_core.ui.state import Explore
from kl_core.ui.token_data import MEASURES, MeasureName


def show(
    info: RunInfo,
    summary: dict[str, Any],
    measure: MeasureName,
    place: Explore,
    export: DeltaGenerator,
) -> None:
    """The prompts of a run and the response that is open; `export` holds the export's button."""
    with st.container(key="columns"):
        left, right = st.columns([5, 7], gap="medium")
    with left:
        request = table_request.ask(info.path, summary, place)
        prompt_id, found = prompt_table.show(info.path, request, place, summary)
        _counts(info, summary, place, found if request.where else None)
        lower = st.container(key="charts")
    row = None
    if prompt_id is not None:
        with right:
            row = _response(info, measure, place)
    with export:
        carry_out.prompts(info, summary, request, row, place.tag)
    if prompt_id is None:
        return
    with lower:
        _charts(info, row, measure, place, summary)


def _response(info: RunInfo, measure: MeasureName, place: Explore) -> dict[str, Any] | None:
    assert place.prompt is not None
    prompt = queries.prompt(cached.cursor(info.path), place.prompt)
    with st.container(key="response_head", horizontal=True, vertical_alignment="top", gap="small"):
        title = st.container(key="response_title")
        note, picker = st.container(width="content"), st.container(width=226)
    with title:
        response_header.show_prompt(*prompt_text.title(prompt or {}))
    if prompt is not None:
        with note:
            notes_view.editor(info.path, prompt, key="note_prompt")
    with picker:
        row = response_view.choose(info.path, place)
    if row is None:
        return None
    response_view.body(info.path, row, measure, place)
    return row


def _counts(info: RunInfo, summary: dict[str, Any], place: Explore, found: int | None) -> None:
    """The run's size and mean, its problems, notes and files.

    Args:
        found: how many prompts a filter left, None without one.
    """
    matching = "" if found is None else f"{figures.count(found)} of "
    whole = "" if found is None else "whole run: "
    tokens = figures.counted(summary["tokens"], "token")
    if shared.is_one(info.request):
        tokens = f"{figures.count(summary['scored_tokens'])} of {tokens} shared"
    parts = [
        matching + entries(info, summary["prompts"]),
        whole + figures.counted(summary["responses"], "response"),
        tokens,
    ]
    if summary["without_logprobs"]:
        parts.append(f"{figures.count(summary['without_logprobs'])} without logprobs")
    mean = run_mean(summary)
    with st.container(key="counts", gap=None):
        said = " · ".join([*parts, mean] if mean else parts)
        about = ESTIMATE_HELP if estimates.is_one(summary) else MEAN_HELP
        st.caption(said, help=about if mean else None)
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            problems.button(info.path)
            notes_view.popover(info.path, place)
            export_view.run_popover(info, summary)


def prompts_so_far(info: RunInfo, shown: int) -> str:
    """`21 prompts`; of a run that is not done `8 of 21 prompts so far`."""
    if info.state == "done":
        return figures.counted(shown, "prompt")
    of = so_far.in_all(info.path, estimates.wanted(info.request) is not None)
    if of is None or of < shown:
        return f"{figures.counted(shown, 'prompt')} so far"
    return f"{figures.count(shown)} of {figures.counted(of, 'prompt')} so far"


def entries(info: RunInfo, shown: int) -> str:
    """As prompts_so_far; where several models answer the same prompts, those and how many."""
    cursor = cached.cursor(info.path)
    models, distinct = len(queries.models1(cursor)), queries.distinct_prompts(cursor)
    if models < 2 or info.state != "done" or distinct == shown:
        return prompts_so_far(info, shown)
    prompts = figures.counted(distinct, "prompt")
    by = f" × {models} models" if distinct * models == shown else f" by {models} models"
    return f"{figures.count(shown)} entries: {prompts}{by}"


MEAN_HELP = (
    "Mean KL(1‖2) over all scored tokens of the run, in nats, with its 95 % interval. The "
    "interval takes prompts as independent and the tokens within a prompt as not."
)

ESTIMATE_HELP = (
    "Mean KL(1‖2) over all tokens of the run that could be asked, in nats, estimated from those "
    "that were, with its 95 % interval over other draws of positions in the same responses."
)


def run_mean(summary: dict[str, Any]) -> str:
    """The run's mean with its interval: `mean KL ≈ 0.0124 ± 0.0031`; empty without one.

    Estimated from some positions it is `mean KL ≈ 0.21 (0.05 – 1.3) over draws`.
    """
    mean, error = summary.get("mean_kl"), summary.get("se_kl")
    if mean is None:
        return ""
    if estimates.is_one(summary):
        return f"mean KL ≈ {figures.nats(mean)}{estimates.within(summary)} over draws"
    sign = "" if summary.get("measure") == "full" else "≈ "
    half = half_width(error, summary.get("scored_prompts"))
    interval = f" ± {figures.nats(half)}" if half else ""
    if half and half > mean:  # a divergence is never below 0
        interval = f" (0 – {figures.nats(mean + half)})"
    return f"mean KL {sign}{figures.nats(mean)}{interval}"


def _charts(
    info: RunInfo,
    row: dict[str, Any] | None,
    measure: MeasureName,
    place: Explore,
    summary: dict[str, Any],
) -> None:
    here, whole = st.tabs(["By position", "Histogram of the run"])
    with here:
        if row is not None and row["tokens"]:
            _by_position(info, row, measure, place)
        else:
            st.caption("There are no log-probabilities here, so there is nothing to draw.")
    with whole:
        charts_view.small_histogram(info, summary, place, certified=measure == "kl_lower")


def _by_position(info: RunInfo, row: dict[str, Any], measure: MeasureName, place: Explore) -> None:
    data = token_cache.token_view(info.path, row["response_id"], measure, -1, 0, place.scale)
    charts_view.by_position(
        info,
        row,
        measure,
        MEASURES[measure].label,
        data["values"],
        data["threshold"],
        data["signed"],
        place,
        MEASURES[measure].unit,
    )
