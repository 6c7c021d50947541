"""The Explore page's body for one run: table and charts left, the response right."""

from __future__ import annotations

from typing import Any

import streamlit as st

from kl_core.store import queries
from kl_core.store.runs import RunInfo
from kl_core.ui import (
    cached,
    charts,
    figures,
    problems,
    prompt_table,
    response_header,
    response_view,
    table_request,
    token_data,
)
from kl_core.ui.state import Explore
from kl_core.ui.token_data import MeasureName

_CHART = {"displayModeBar": False, "displaylogo": False}


def show(info: RunInfo, summary: dict[str, Any], measure: MeasureName, place: Explore) -> None:
    """The prompts of a run and the response that is open."""
    with st.container(key="columns"):
        left, right = st.columns([5, 7], gap="medium")
    with left:
        request = table_request.ask(info.path, summary, place)
        prompt_id, found = prompt_table.show(info.path, request, place, summary)
        _counts(info, summary, found if request.where else None)
        lower = st.container(key="charts")
    if prompt_id is None:
        return
    with right:
        row = _response(info, measure, place)
    with lower:
        _charts(info, row, measure, place, summary)


def _response(info: RunInfo, measure: MeasureName, place: Explore) -> dict[str, Any] | None:
    assert place.prompt is not None
    prompt = queries.prompt(cached.cursor(info.path), place.prompt)
    title, picker = st.columns([3, 2], vertical_alignment="top")
    with title:
        response_header.show_prompt((prompt or {}).get("prompt") or "(empty prompt)")
    with picker:
        row = response_view.choose(info.path, place)
    if row is None:
        return None
    response_view.body(info.path, row, measure, place)
    return row


def _counts(info: RunInfo, summary: dict[str, Any], found: int | None) -> None:
    """The run's size and mean; `found` is how many prompts a filter left, None without one."""
    matching = "" if found is None else f"{figures.count(found)} of "
    parts = [
        matching + figures.counted(summary["prompts"], "prompt"),
        figures.counted(summary["responses"], "response"),
        figures.counted(summary["tokens"], "token"),
    ]
    if summary["without_logprobs"]:
        parts.append(f"{figures.count(summary['without_logprobs'])} without logprobs")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(" · ".join(parts), width="content")
        if mean := run_mean(summary):
            st.caption(mean, width="content", help=MEAN_HELP)
        problems.button(info.path)


MEAN_HELP = (
    "Mean KL(1‖2) over all scored tokens of the run, in nats, with its 95 % interval. The "
    "interval takes prompts as independent and the tokens within a prompt as not."
)


def run_mean(summary: dict[str, Any]) -> str:
    """The run's mean with its interval: `mean KL ≈ 0.0124 ± 0.0031`; empty without one."""
    mean, error = summary.get("mean_kl"), summary.get("se_kl")
    if mean is None:
        return ""
    sign = "" if summary.get("measure") == "full" else "≈ "
    interval = f" ± {figures.nats(1.96 * error)}" if error else ""
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
        column = "kl_lower" if measure == "kl_lower" else "kl"
        _histogram(info, column if summary.get("measure") else "surprisal1", summary)


def _by_position(info: RunInfo, row: dict[str, Any], measure: MeasureName, place: Explore) -> None:
    data = cached.token_view(info.path, row["response_id"], measure, -1, 0)
    # a chart of its own after each jump, so that the same bar can be clicked again
    key = f"chart_{info.id}_{row['response_id']}_{measure}_{place.jump}"

    def clicked() -> None:
        points = st.session_state[key]["selection"]["points"]
        if points:
            place.go(int(points[0]["x"]))

    st.plotly_chart(
        charts.by_position(data["values"], data["threshold"], data["signed"]),
        key=key,
        on_select=clicked,
        selection_mode="points",
        config=_CHART,
    )
    st.caption(
        f"{token_data.MEASURES[measure].label} along response {row['slot'] + 1}, in nats; "
        "click a position to go to that token."
    )


def _histogram(info: RunInfo, column: str, summary: dict[str, Any]) -> None:
    bins = queries.histogram(cached.cursor(info.path), column)
    if not bins.num_rows:
        st.caption("No token of this run has a value to count.")
        return
    marks = {}
    if column == "kl":
        marks = {
            "median": summary["median_kl"],
            "90 %": summary["p90_kl"],
            "99 %": summary["p99_kl"],
        }
    st.plotly_chart(
        charts.histogram(bins, list(marks.values())),
        key=f"histogram_{info.id}_{column}",
        config=_CHART,
    )
    shown = {"kl": "KL", "kl_lower": "certified KL", "surprisal1": "Surprisal"}[column]
    known = [f"{name} {figures.nats(value)}" for name, value in marks.items() if value is not None]
    lines = f" Dotted: {', '.join(known)}." if known else ""
    st.caption(f"{shown} of every scored token of the run; both axes are logarithmic.{lines}")
