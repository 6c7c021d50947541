"""The boxes above the list of tokens: score, bounds, text, grouping."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from kl_core.store.query import Query
from kl_core.store.schema import NORMALIZED_MIN_KL
from kl_core.ui import tokens_data, tokens_request
from kl_core.ui.state import Explore
from kl_core.ui.tokens_request import TokenRequest

_COUNT = "tokens_count"


def show(
    place: Explore, measure: str | None, export: Callable[[Query], None] | None
) -> TokenRequest:
    """Draw the boxes; writes what they say into the place."""
    with st.container(
        horizontal=True, vertical_alignment="bottom", gap="small", key="tokens_controls"
    ):
        _grouping(place)
        if place.grouped is None:
            _score(place, measure)
        text = _text(place)
        count = None
        if place.grouped is None:
            _bounds(place, measure)
        else:
            count = _count(place, measure)
        request = tokens_request.read(place, measure, text, count)
        with st.container(key="tokens_export", width="content"):
            if export is not None:
                export(request.query())
    return request


def _grouping(place: Explore) -> None:
    key, single, grouped = "pick_token_grouping", "Each token", "By word"
    st.session_state.setdefault(key, single if place.grouped is None else grouped)

    def chosen() -> None:
        here = st.session_state[key] or single
        place.grouped = None if here == single else place.grouped or "total"

    st.segmented_control(
        "List",
        [single, grouped],
        key=key,
        on_change=chosen,
        width="content",
        required=True,
        help="Single tokens of the run, or all occurrences of the same token together: "
        "which words differ everywhere.",
    )


def _score(place: Explore, measure: str | None) -> None:
    known = tokens_request.scores(measure)
    if len(known) < 2:
        return
    key = "pick_token_score"
    here = tokens_request.read(place, measure, "", None).score
    st.session_state.setdefault(key, here)

    def chosen() -> None:
        place.score = st.session_state[key]
        place.least = place.most = None  # a bound in nats means nothing for a ratio
        for name in ("least", "most"):
            st.session_state.pop(f"pick_token_{name}", None)

    st.selectbox(
        "Score",
        known,
        key=key,
        on_change=chosen,
        format_func=lambda name: tokens_data.LABELS[name],
        width=140,
        help="KL in nats, or KL/(H1+H2): large where both models are sure of something else.",
    )


def _text(place: Explore) -> str:
    key = "pick_token_text"
    if st.session_state.get(key, "") != (place.find or ""):
        st.session_state[key] = place.find or ""

    def typed() -> None:
        place.find = st.session_state[key] or None

    said: str = st.text_input(
        "Token contains", key=key, on_change=typed, placeholder="any token", width=170
    )
    return said


def _bounds(place: Explore, measure: str | None) -> None:
    score = tokens_request.read(place, measure, "", None).score
    label = tokens_data.LABELS[score]
    place.least = _number("least", f"{label} from", place.least, "no limit", "Least score listed.")
    place.most = _number("most", "to", place.most, "no limit", "Highest score listed.")
    if score == "normalized":
        place.floor = _number(
            "floor",
            "KL from",
            place.floor,
            f"{NORMALIZED_MIN_KL:g}",
            "Tokens below this KL in nats are left out: there the ratio divides noise by noise.",
        )


def _number(name: str, label: str, text: str | None, empty: str, help_: str) -> str | None:
    """A box for a number of the place; gives it as the address writes it."""
    key = f"pick_token_{name}"
    st.session_state.setdefault(key, tokens_request.number(text))
    value = st.number_input(
        label, value=None, key=key, placeholder=empty, format="%g", step=0.1, width=158, help=help_
    )
    return None if value is None else f"{value:.10g}"


def _count(place: Explore, measure: str | None) -> int:
    default = tokens_request.read(place, measure, "", None).min_count
    kept: int | None = st.session_state.get(_COUNT)
    key = "pick_token_count"
    st.session_state.setdefault(key, kept)
    value: int | None = st.number_input(
        "Seen at least",
        value=None,
        key=key,
        min_value=1,
        step=1,
        placeholder=f"{default}",
        width=130,
        help="Occurrences a token needs to be listed: a mean over one or two says little.",
    )
    st.session_state[_COUNT] = value
    return default if value is None else value
