"""The filter of the prompt table: providers, models, finish reasons, tags, bounds of figures."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from kl_core.store.filters import BOUNDED, LENGTH, PromptFilter, Range
from kl_core.ui import cached, figures
from kl_core.ui.inputs import pick
from kl_core.ui.state import Explore

_FACETS = {
    "provider": ("provider", "Provider"),
    "model": ("model", "Model that answered"),
    "finish": ("finish_reason", "Finish reason"),
}
_LENGTH_LABEL = "length of a response, tokens"


def popover(run_dir: Path, known: Mapping[str, Any], place: Explore) -> None:
    """The button with the count of active conditions, and the form under it."""
    active = sum(len(getattr(place, name)) for name in ("provider", "model", "finish", "tag"))
    active += len(place.range)
    label = f"Filter · {active}" if active else "Filter"
    with st.popover(label, width="stretch", key="filter_popover"):
        facets = cached.facets(run_dir)
        drawn = [_facet(place, name, facets) for name in _FACETS]
        tags = _tags(run_dir, place)
        if not any([*drawn, tags]):
            st.caption("All responses have the same provider, model and finish reason.")
        _bounds(known, place)
        if active or place.q:
            st.button("Show all prompts", key="filter_clear", on_click=place.clear_filters)


def where(run_dir: Path, place: Explore) -> PromptFilter:
    """The place's conditions as a filter; bounds that say nothing are left out."""
    ids = cached.tagged(run_dir, place.tag) if place.tag else None
    ranges = tuple(found for text in place.range if (found := parse_range(text)) is not None)
    return PromptFilter(place.q or "", place.provider, place.model, place.finish, ranges, ids)


def parse_range(text: str) -> Range | None:
    """`column:low:high` with either end empty; None where it is no bound."""
    parts = text.split(":")
    if len(parts) != 3 or parts[0] not in BOUNDED:
        return None
    low, high = (_number(part) for part in parts[1:])
    return None if low is None and high is None else Range(parts[0], low, high)


def say_range(text: str, known: Mapping[str, Any]) -> str:
    """A bound in words: `mean KL ≥ 0.100`."""
    found = parse_range(text)
    if found is None:
        return "no bound"
    figure = known.get(found.column)
    name = _LENGTH_LABEL if found.column == LENGTH else figure.label if figure else found.column
    low = f"{found.low:g} ≤ " if found.low is not None else ""
    high = f" ≤ {found.high:g}" if found.high is not None else ""
    return f"{low}{name}{high}"


def _facet(place: Explore, name: str, facets: dict[str, dict[str, int]]) -> bool:
    """One multiselect; nothing where there is no choice."""
    column, label = _FACETS[name]
    counts = facets.get(column, {})
    chosen: tuple[str, ...] = getattr(place, name)
    options = [*counts, *(value for value in chosen if value not in counts)]
    if len(options) < 2 and not chosen:
        return False
    labels = _labels(options, counts)
    _multiselect(place, name, label, options, labels)
    return True


def _labels(options: list[str], counts: Mapping[str, int]) -> dict[str, str]:
    """What a value shows as: inert, short, with its count; no two alike."""
    labels: dict[str, str] = {}
    for value in options:
        text = figures.shortened(figures.one_line(value), 34) or "(empty)"
        label = f"{text} · {figures.count(counts.get(value, 0))}"
        while label in labels.values():
            label += "′"
        labels[value] = label
    return labels


def _multiselect(
    place: Explore, name: str, label: str, options: list[str], labels: dict[str, str]
) -> None:
    key = pick(f"filter_{name}", *labels.values())
    if st.session_state.get(key) != list(getattr(place, name)):
        st.session_state[key] = list(getattr(place, name))

    def chosen() -> None:
        setattr(place, name, tuple(st.session_state[key]))

    st.multiselect(
        label, options, key=key, on_change=chosen, format_func=lambda value: labels[value]
    )


def _tags(run_dir: Path, place: Explore) -> bool:
    counts = cached.tag_counts(run_dir)
    options = [*counts, *(tag for tag in place.tag if tag not in counts)]
    if not options:
        return False
    _multiselect(place, "tag", "Tag", options, _labels(options, counts))
    return True


def _bounds(known: Mapping[str, Any], place: Explore) -> None:
    """Bounds there are, each removable, and a form for another."""
    bounds = [text for text in place.range if parse_range(text) is not None]
    if bounds:
        labels = {text: say_range(text, known) for text in bounds}
        _multiselect(place, "range", "Bounds of figures", bounds, labels)
    options = [*known, LENGTH]
    names = {name: figure.label for name, figure in known.items()} | {LENGTH: _LENGTH_LABEL}
    column_key = pick("bound", *names.values())

    def added() -> None:
        low, high = (_written(st.session_state[f"bound_{end}"]) for end in ("low", "high"))
        text = f"{st.session_state[column_key]}:{low}:{high}"
        if parse_range(text) is not None and text not in place.range:
            place.range = (*place.range, text)

    with st.form("filter_bound", border=False, clear_on_submit=True):
        st.selectbox("Figure", options, format_func=names.__getitem__, key=column_key)
        left, right = st.columns(2)
        left.number_input("at least", value=None, format="%g", key="bound_low")
        right.number_input("at most", value=None, format="%g", key="bound_high")
        st.form_submit_button("Add bound", on_click=added)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _written(value: float | None) -> str:
    return "" if value is None else f"{value:.10g}"
