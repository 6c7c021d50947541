"""Two responses of one prompt side by side; the panel follows the token last clicked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from kl_core.store import queries
from kl_core.ui import cached, estimates, figures, response_text, token_cache, token_view
from kl_core.ui.state import Explore
from kl_core.ui.token_data import MeasureName

Row = dict[str, Any]
_LAST = "pair_last_click"  # (response_id, position, jump) while the second was clicked last


def leave() -> None:
    """The first response was clicked last."""
    st.session_state.pop(_LAST, None)


def show(run_dir: Path, row: Row, measure: MeasureName, place: Explore) -> tuple[Row, int] | None:
    """Draw `row` and a second one; returns the second and its token if clicked last.

    A prompt with one response has no second: its place says so.
    """
    assert place.prompt is not None
    rows: list[Row] = queries.responses(cached.cursor(run_dir), place.prompt).to_pylist()
    others = {one["slot"]: one for one in rows if one["slot"] != row["slot"]}
    with st.container(key="pair"):
        left, right = st.columns(2, gap="small", vertical_alignment="bottom")
    with left:
        _head(row)
        if row["tokens"]:
            response_text.show(run_dir, row, measure, place, leave)
        else:
            response_text.without_tokens(row)
    with right:
        if not others:
            st.caption("This prompt has one response, so there is none to put beside it.")
            return None
        second = _choose(run_dir, row, others, place)
        if second["tokens"]:
            _second(run_dir, second, measure, place)
        else:
            response_text.without_tokens(second)
    last = st.session_state.get(_LAST)
    if last is None or last[0] != second["response_id"] or last[2] != place.jump:
        return None
    return second, last[1]


def _choose(run_dir: Path, row: Row, others: dict[int, Row], place: Explore) -> Row:
    """The picker of the second response."""
    if place.second not in others:
        if place.second != row["slot"]:
            place.not_here("second")
        place.second = _default(others)
    key = f"pick_second_{run_dir.name}_{place.prompt}_{row['slot']}"
    if st.session_state.get(key) != place.second:
        st.session_state[key] = place.second

    def chosen() -> None:
        place.second = st.session_state[key]
        leave()

    st.selectbox(
        "Beside it",
        list(others),
        key=key,
        on_change=chosen,
        label_visibility="collapsed",
        format_func=lambda slot: response_text.label(others[slot], len(others) + 1),
    )
    return others[st.session_state[key]]


def _default(others: dict[int, Row]) -> int:
    """The first other response with tokens, else the first."""
    return next((slot for slot, row in others.items() if row["tokens"]), min(others))


def _head(row: Row) -> None:
    mean = row["mean_kl"] if row["mean_kl"] is not None else row["mean_surprisal1"]
    what = "mean KL" if row["mean_kl"] is not None else "mean surprisal"
    tokens = figures.counted(row["tokens"], "token")
    about = "≈ " if estimates.is_one(row) else ""
    mean_said = f"{what} {about}{figures.nats(mean)}{estimates.within(row)}"
    st.caption(f"Response {row['slot'] + 1} · {mean_said} · {tokens}")


def _second(run_dir: Path, row: Row, measure: MeasureName, place: Explore) -> None:
    key = f"beside_{run_dir.name}_{row['response_id']}"

    def moved() -> None:
        position = token_view.selected(key)
        if position is not None:
            st.session_state[_LAST] = (row["response_id"], position, place.jump)

    start = row["max_position"] or 0
    data = token_cache.token_view(
        run_dir, row["response_id"], measure, start, 0, place.scale, "prose"
    )
    token_view.show(data, key, moved)
