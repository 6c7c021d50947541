"""How a response is read: the pickers of its layout, its colour scale and its neighbour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from kl_core.ui import colour_scale, figures
from kl_core.ui.colour_scale import Scale
from kl_core.ui.reading_measures import MEASURES, Measure, MeasureName
from kl_core.ui.state import Explore

LAYOUTS = {
    "prose": ("Prose", "the response as running text"),
    "cells": ("Cells", "one token a cell, its figure below it"),
    "grid": ("Grid", "every response of the prompt as a row of colours above the text"),
    "pair": ("Pair", "two responses of the prompt side by side"),
}
_OWN = "own"
_LAYOUT, _SCALE, _LOW, _HIGH = "pick_layout", "pick_scale", "pick_scale_low", "pick_scale_high"
_CSS = """<style>
.st-key-look { min-height: 32px }
.st-key-look [data-testid="stButtonGroup"] button { min-height: 28px; padding: 2px 11px }
.st-key-look [data-testid="stPopover"] button { min-height: 30px; padding: 2px 11px }
.st-key-look [data-testid="stButtonGroup"] p, .st-key-look [data-testid="stPopover"] p {
  font-size: .82rem }
@media (max-width: 900px), (min-width: 1151px) and (max-width: 1320px) {
  .st-key-pair > [data-testid="stLayoutWrapper"] > [data-testid="stHorizontalBlock"] {
    flex-direction: column }
  .st-key-pair > [data-testid="stLayoutWrapper"] > [data-testid="stHorizontalBlock"]
    > [data-testid="stColumn"] { width: 100%; flex: 1 1 auto; min-width: 100% }
}
</style>"""


def layout(place: Explore) -> str:
    """The layout that `place` asks for; an unknown one is noted as missing."""
    if place.layout is not None and place.layout not in LAYOUTS:
        place.not_here("layout")
        place.layout = None
    return place.layout or "prose"


def bar(
    place: Explore,
    measure: MeasureName,
    shown: Scale,
    quantiles: Mapping[str, float | None],
) -> None:
    """Layout and scale in one line above the text.

    Args:
        shown: the scale that holds now.
        quantiles: of the measure over the run, named beside the choices.
    """
    st.html(_CSS)
    with st.container(
        horizontal=True,
        horizontal_alignment="distribute",
        vertical_alignment="center",
        gap="small",
        key="look",
    ):
        _layout_picker(place)
        with st.popover("Scale"):
            _scale_picker(place, MEASURES[measure], shown, quantiles)


def _layout_picker(place: Explore) -> None:
    st.session_state.setdefault(_LAYOUT, layout(place))

    def chosen() -> None:
        picked = st.session_state[_LAYOUT] or "prose"
        place.layout = None if picked == "prose" else picked

    st.segmented_control(
        "Layout",
        list(LAYOUTS),
        format_func=lambda name: LAYOUTS[name][0],
        key=_LAYOUT,
        on_change=chosen,
        required=True,
        label_visibility="collapsed",
        width="content",
    )


def _scale_picker(
    place: Explore, measure: Measure, shown: Scale, quantiles: Mapping[str, float | None]
) -> None:
    st.session_state.setdefault(_SCALE, _named(place.scale))

    def chosen() -> None:
        picked = st.session_state[_SCALE]
        own = colour_scale.written(shown.low, shown.top)
        place.scale = {"auto": None, _OWN: own}.get(picked, picked)

    st.radio(
        "Full colour at",
        ["auto", *colour_scale.WORDS, _OWN],
        format_func=lambda name: scale_label(name, measure, quantiles),
        key=_SCALE,
        on_change=chosen,
    )
    if st.session_state[_SCALE] == _OWN:
        _own_ends(place, measure, shown)
    st.caption("The same for every response of the run; the legend under the text says which.")


def _own_ends(place: Explore, measure: Measure, shown: Scale) -> None:
    ends = colour_scale.own(place.scale) or (shown.low, shown.top)
    st.session_state.setdefault(_LOW, ends[0])
    st.session_state.setdefault(_HIGH, ends[1])

    def typed() -> None:
        low, high = st.session_state[_LOW], st.session_state[_HIGH]
        if low is not None and high is not None:
            place.scale = colour_scale.written(low, high)

    unit = f", {measure.unit}" if measure.unit else ""
    least = 1.0 if measure.ranks else 0.0
    left, right = st.columns(2, gap="small")
    with left:
        _number(f"No colour up to{unit}", _LOW, typed)
    with right:
        _number(f"Full colour from{unit}", _HIGH, typed)
    if colour_scale.own(place.scale) is None or shown.said != colour_scale.OWN:
        st.caption(
            f"{figures.nats(st.session_state[_LOW])} to {figures.nats(st.session_state[_HIGH])} "
            f"is no scale: the first has to be smaller, the second above {least:g}. "
            "The run's own scale is shown."
        )


def _number(label: str, key: str, typed: Any) -> None:
    st.number_input(label, min_value=0.0, step=None, format="%g", key=key, on_change=typed)


def _named(text: str | None) -> str:
    """The radio button that a scale's text belongs to."""
    if text in colour_scale.QUANTILES:
        return str(text)
    return _OWN if colour_scale.own(text) else "auto"


def scale_label(name: str, measure: Measure, quantiles: Mapping[str, float | None]) -> str:
    """A choice of scale with the value it gives in this run."""
    if name == "auto":
        return "automatic: the 99.9th percentile, rounded up"
    if name == _OWN:
        return "my own ends"
    value = quantiles.get(colour_scale.QUANTILES[name])
    unit = f" {measure.unit}" if measure.unit else ""
    known = "not known" if value is None else f"{figures.nats(value)}{unit}"
    return f"{colour_scale.WORDS[name]}: {known}"
