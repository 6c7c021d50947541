"""One response: its text as tokens, and what each model would have said at the chosen one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from kl_core.store import queries
from kl_core.ui import cached, figures, response_header, state, token_panel, token_view
from kl_core.ui.state import Explore
from kl_core.ui.token_data import MeasureName


def choose(run_dir: Path, place: Explore) -> dict[str, Any] | None:
    """The response picker; returns the chosen row of `responses`."""
    assert place.prompt is not None
    rows = queries.responses(cached.cursor(run_dir), place.prompt).to_pylist()
    if not rows:
        st.caption("This prompt has no responses in its file; choose another prompt.")
        return None
    by_slot: dict[int, dict[str, Any]] = {row["slot"]: row for row in rows}
    if place.response not in by_slot:
        place.not_here("response")
        place.choose_response(max(rows, key=_divergence)["slot"])
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
        format_func=lambda slot: label(by_slot[slot], len(rows)),
    )
    return by_slot[st.session_state[key]]


def _divergence(row: dict[str, Any]) -> tuple[float, float, int]:
    values = (row["mean_kl"], row["mean_surprisal1"])
    first, second = (-1.0 if value is None else value for value in values)
    return first, second, -row["slot"]


def label(row: dict[str, Any], total: int) -> str:
    """One line for the picker: number, mean, provider, or that it cannot be scored."""
    parts = [f"Response {row['slot'] + 1} of {total}"]
    if row["mean_kl"] is not None:
        parts.append(f"KL {figures.nats(row['mean_kl'])}")
    elif row["error"]:
        parts.append("not scored")
    if row["provider"]:
        parts.append(figures.shortened(figures.one_line(row["provider"]), 16))
    return " · ".join(parts)


@st.fragment
def body(run_dir: Path, row: dict[str, Any], measure: MeasureName, place: Explore) -> None:
    """Figures, text and panel; a click on a token redraws only these."""
    summary = cached.summary(run_dir)
    response_header.show_stats(row, summary.get("measure"))
    if not row["tokens"]:
        _without_tokens(row)
        return
    key = f"tokens_{run_dir.name}_{row['response_id']}"

    def moved() -> None:
        position = token_view.selected(key)
        if position is not None:
            place.position = position

    if place.position is None or place.position >= row["tokens"]:
        place.not_here("position")
        place.position = row["max_position"] or 0
    drawn = f"{key}/{queries.run_version(run_dir)}/{measure}"
    if place.start is None or place.drawn != drawn:
        place.start, place.drawn = place.position, drawn
    data = cached.token_view(run_dir, row["response_id"], measure, place.start, place.jump)
    token_view.show(data, key, moved)
    token = queries.token(cached.cursor(run_dir), row["response_id"], place.position)
    if token is not None:
        model1, model2 = row["model1"] or row["model"], row["model2"]
        token_panel.show(token, model1, model2, row["measure"])
    if row["reasoning"]:
        with st.expander("Reasoning of this response"):
            st.text(row["reasoning"])
    state.remember(place)


def _without_tokens(row: dict[str, Any]) -> None:
    """A response that could not be scored: why, what now, and its text."""
    st.text(
        f"This response is not scored: {row['error'] or 'it has no log-probabilities'}. "
        "Ask the provider for logprobs and top_logprobs, or compare two local models on the "
        "text (python -m kl_core compare)."
    )
    with st.container(border=True, height=320):
        st.text(row["text"] or "(empty)")
