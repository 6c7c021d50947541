"""One response: its text as tokens, and what each model would have said at the chosen one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from kl_core.store import queries
from kl_core.ui import (
    cached,
    continue_view,
    estimates,
    look,
    notes_view,
    response_grid,
    response_header,
    response_pair,
    response_text,
    shared,
    state,
    token_cache,
    token_panel,
)
from kl_core.ui.state import Explore
from kl_core.ui.token_data import MeasureName

Row = dict[str, Any]


def choose(run_dir: Path, place: Explore) -> Row | None:
    """The response picker; returns the chosen row of `responses`."""
    assert place.prompt is not None
    rows = queries.responses(cached.cursor(run_dir), place.prompt).to_pylist()
    if not rows:
        st.caption("This prompt has no responses in its file; choose another prompt.")
        return None
    by_slot: dict[int, Row] = {row["slot"]: row for row in rows}
    if place.response not in by_slot:
        place.not_here("response")
        place.choose_response(most_divergent(rows))
    several = len(queries.models1(cached.cursor(run_dir))) > 1
    key = f"pick_response_{run_dir.name}_{place.prompt}"
    if st.session_state.get(key) != place.response:
        st.session_state[key] = place.response

    def chosen() -> None:
        place.choose_response(st.session_state[key])

    st.selectbox(
        "Response",
        list(by_slot),
        key=key,
        on_change=chosen,
        label_visibility="collapsed",
        format_func=lambda slot: response_text.label(by_slot[slot], len(rows), several),
    )
    return by_slot[st.session_state[key]]


def most_divergent(rows: list[Row]) -> int:
    """Slot of the response that opens with a prompt."""
    slot: int = max(rows, key=_divergence)["slot"]
    return slot


def _divergence(row: Row) -> tuple[float, float, int]:
    values = (row["mean_kl"], row["mean_surprisal1"])
    first, second = (-1.0 if value is None else value for value in values)
    return first, second, -row["slot"]


def body(run_dir: Path, row: Row, measure: MeasureName, place: Explore) -> None:
    """Figures, layout and scale, then text and panel."""
    kind = row["measure"] or cached.summary(run_dir).get("measure")
    free = shared.is_one(cached.request(run_dir))
    response_header.show_stats(row, kind, free)
    layout = look.layout(place)
    shown = token_cache.scale(run_dir, measure, place.scale)
    look.bar(place, measure, shown, cached.scales(run_dir).get(measure, {}))
    if row["tokens"]:
        response_text.settle(row, place)
    if layout == "grid":
        response_grid.show(run_dir, row, measure, place, shown)
    _reading(run_dir, row, measure, place)


@st.fragment
def _reading(run_dir: Path, row: Row, measure: MeasureName, place: Explore) -> None:
    """Text and panel; a click on a token redraws only these."""
    if look.layout(place) == "pair":
        beside = response_pair.show(run_dir, row, measure, place)
        _panel(run_dir, *(beside or (row, place.position)), named=True)
    elif row["tokens"]:
        response_text.show(run_dir, row, measure, place)
        _panel(run_dir, row, place.position)
    else:
        response_text.without_tokens(row)
    if row["reasoning"]:
        with st.expander("Reasoning of this response"):
            st.text(row["reasoning"])
    state.remember(place)


def _panel(run_dir: Path, row: Row, position: int | None, named: bool = False) -> None:
    if position is None or not row["tokens"]:
        return
    cursor = cached.cursor(run_dir)
    token = queries.token(cursor, row["response_id"], position)
    if token is None:
        return
    if named:
        st.caption(f"Response {row['slot'] + 1}, token {position}")
    around = token_panel.around(cursor, token)
    model1 = row["model1"] or row["model"]
    why = estimates.why_not_asked(row, cached.request(run_dir))
    token_panel.show(token, model1, row["model2"], row["measure"], around, not_asked=why)
    with st.container(key="token_note"):  # a response's row names its file and entry, too
        notes_view.editor(run_dir, row, row, position, "note_token", text=True)
    continue_view.section(run_dir, row, token)
