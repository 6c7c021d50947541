"""What the prompt table shows: its order, a text to search for, filters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import streamlit as st

from kl_core.store.filters import PromptFilter
from kl_core.store.schema import NORMALIZED_MIN_KL
from kl_core.ui import estimates, filter_form
from kl_core.ui.inputs import pick
from kl_core.ui.state import Explore

ARRIVAL = "prompt_id"
_ARRIVAL_LABEL = "in file order"


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of a prompt that the table can be sorted and filtered by.

    Attributes:
        label: as the picker and the column's head name it.
        help: one line on what it means.
        kind: how a cell prints it: nats, a share of one, a count.
    """

    label: str
    help: str
    kind: str = "nats"


FIGURES = {
    "mean_kl": Figure("mean KL", "Mean KL(1‖2) over the scored tokens, nats"),
    "max_kl": Figure("max KL", "Largest KL at one token, nats"),
    "total_kl": Figure("total KL", "Sum of the KL over all scored tokens, nats"),
    "median_kl": Figure("median KL", "Half of the scored tokens lie below, nats"),
    "p90_kl": Figure("KL, 90th pct", "Nine of ten scored tokens lie below, nats"),
    "p99_kl": Figure("KL, 99th pct", "99 of 100 scored tokens lie below, nats"),
    "mean_lower": Figure(
        "certified ≥", "Mean of the certified bounds: the true mean KL is no smaller, nats"
    ),
    "mean_normalized": Figure(
        "KL/(H1+H2)",
        f"Mean of KL over the sum of both entropies, over tokens with a KL of at least "
        f"{NORMALIZED_MIN_KL:g} nats",
        "ratio",
    ),
    "mean_reverse": Figure("KL(2‖1)", "Mean KL the other way round, nats"),
    "mean_js": Figure("JS", "Mean Jensen–Shannon divergence, nats; at most ln 2"),
    "mean_log_ratio": Figure(
        "log-ratio", "Mean of ln P − ln Q of the sampled tokens, nats; signed"
    ),
    "est_low": Figure(
        "95 % from", "Lower end of the 95 % interval of the mean KL: safely divergent, nats"
    ),
    "se_kl": Figure("± of the mean", "Standard error of the mean KL over the responses, nats"),
    "top1_agreement": Figure(
        "same first choice", "Share of tokens where both models have the same first choice", "share"
    ),
    "mean_surprisal1": Figure("surprisal 1", "Mean of −ln P of the sampled tokens, nats"),
    "mean_surprisal2": Figure("surprisal 2", "Mean of −ln Q of the sampled tokens, nats"),
    "mean_entropy1": Figure("entropy 1", "Mean entropy of model 1's lists, nats"),
    "mean_entropy2": Figure("entropy 2", "Mean entropy of model 2's lists, nats"),
    "tokens": Figure("tokens", "Log-probability entries of all responses", "count"),
    "coverage": Figure("coverage", "Share of the log-probability entries that have a KL", "share"),
    "censored_share": Figure(
        "censored", "Share of tokens outside model 2's list: their ln Q is only bounded", "share"
    ),
    "n_responses": Figure("responses", "Responses in the file", "count"),
}
_RAW = ("mean_surprisal1", "mean_entropy1", "tokens", "n_responses")
_NEVER_FULL = ("mean_lower", "censored_share")
# what a budget leaves as it is: of every token, or said anew
_OF_ALL = ("mean_surprisal1", "mean_entropy1", "tokens", "coverage", "n_responses", "est_low")
_ESTIMATED = {
    "mean_kl": "Mean KL(1‖2), estimated from the asked tokens, nats",
    "total_kl": "Sum of the KL over all tokens that could be asked, estimated, nats",
    "mean_lower": "Certified bound of the mean KL, nats: a token that was not asked counts as 0",
    "se_kl": "Standard error of the mean KL over other draws of positions, nats",
}


@dataclass(frozen=True, slots=True)
class TableRequest:
    """Which prompts, in which order; `estimated` where means have intervals."""

    sort: str
    descending: bool
    where: PromptFilter
    measure: str | None = None
    estimated: bool = False

    @property
    def lead(self) -> str:
        """The figure of the first column."""
        fallback = "mean_kl" if self.measure is not None else "mean_surprisal1"
        return self.sort if self.sort in FIGURES else fallback


def figures_of(summary: dict[str, Any]) -> dict[str, Figure]:
    """The figures that this run has a value of."""
    measure = summary.get("measure")
    if measure is None:
        return {name: FIGURES[name] for name in _RAW}
    always: tuple[str, ...] = ("se_kl", "tokens", "coverage", "n_responses")
    always += ("est_low",) if estimates.some(summary) else ()
    if summary.get("with_mean"):  # a search gives means to those it found, and the run none
        always += ("mean_kl", "total_kl", "mean_lower")
    known = {
        name: figure
        for name, figure in FIGURES.items()
        if (name in always or summary.get(name) is not None)
        and not (measure == "full" and name in _NEVER_FULL)
    }
    if not estimates.partial(summary):
        return known
    drawn = estimates.some(summary)
    return {name: _of_a_part(name, figure, drawn) for name, figure in known.items()}


def _of_a_part(name: str, figure: Figure, drawn: bool) -> Figure:
    """The figure as it stands where not every position was asked, `drawn` by a budget or not."""
    if name in _ESTIMATED:
        said = _ESTIMATED[name] if drawn else f"{figure.help}. {estimates.FOUND_ONLY}"
        return replace(figure, help=said)
    if name in _OF_ALL:
        return figure
    return replace(figure, help=f"{figure.help}. {estimates.ASKED_ONLY}")


def ask(run_dir: Path, summary: dict[str, Any], place: Explore) -> TableRequest:
    """Draw order, search and filters above the table."""
    known = figures_of(summary)
    with st.container(key="table_tools"):
        order, turn, search, filters = st.columns(
            [3.2, 0.8, 3.6, 2.1], gap="small", vertical_alignment="bottom"
        )
        with order:
            sort = _sort(known, place)
        with turn:
            _direction(place)
        with search:
            _search(place)
        with filters:
            filter_form.popover(run_dir, known, place)
    return TableRequest(
        sort,
        place.order != "asc",
        filter_form.where(run_dir, place),
        summary.get("measure"),
        estimates.some(summary),
    )


def _sort(known: dict[str, Figure], place: Explore) -> str:
    options = [*known, ARRIVAL]
    labels = {name: f"by {figure.label}" for name, figure in known.items()}
    labels[ARRIVAL] = _ARRIVAL_LABEL
    if place.sort is not None and place.sort not in options:
        place.not_here("sort")
        place.sort = None
    key = pick("sort", *labels.values())
    wanted = place.sort or options[0]
    if st.session_state.get(key) != wanted:
        st.session_state[key] = wanted

    def chosen() -> None:
        sort_by(place, st.session_state[key], options[0])

    st.selectbox(
        "Sort prompts by",
        options,
        key=key,
        on_change=chosen,
        label_visibility="collapsed",
        format_func=labels.__getitem__,
    )
    return wanted


def sort_by(place: Explore, column: str, default: str = "") -> None:
    """Another order; the arrow starts from the natural end: highest first, files as they are."""
    place.sort = None if column == default else column
    place.order = "asc" if column == ARRIVAL else None


def _direction(place: Explore) -> None:
    upwards = place.order == "asc"

    def turned() -> None:
        place.order = None if upwards else "asc"

    st.button(
        "↑" if upwards else "↓",
        key="turn_order",
        on_click=turned,
        width="stretch",
        help="Lowest first; click for the highest first"
        if upwards
        else "Highest first; click for the lowest first",
    )


def _search(place: Explore) -> None:
    key = "pick_search"
    if st.session_state.get(key, "").strip() != (place.q or ""):
        st.session_state[key] = place.q or ""

    def typed() -> None:
        place.q = st.session_state[key].strip() or None

    st.text_input(
        "Search prompts and responses",
        key=key,
        on_change=typed,
        label_visibility="collapsed",
        placeholder="Search texts",
        help="Prompts that contain this text, themselves or in one of their responses",
    )
