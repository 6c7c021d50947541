"""The tokens of one response on the page, or why it has none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from kl_core.ui import cached, estimates, figures, look, token_cache, token_view
from kl_core.ui.state import Explore
from kl_core.ui.token_data import MeasureName

Row = dict[str, Any]


def label(row: Row, total: int, several: bool = False) -> str:
    """One line for the picker: number, mean, provider, or that it cannot be scored.

    Args:
        several: the run's responses come from several models, so each is named.
    """
    parts = [f"Response {row['slot'] + 1} of {total}"]
    if several and row["model1"]:
        parts.append(figures.shortened(figures.one_line(figures.model_name(row["model1"])), 20))
    if row["mean_kl"] is not None:
        about = "≈ " if estimates.is_one(row) else ""
        parts.append(f"KL {about}{figures.nats(row['mean_kl'])}")
    elif row["error"]:
        parts.append("not scored")
    if row["provider"]:
        parts.append(figures.shortened(figures.one_line(row["provider"]), 16))
    return " · ".join(parts)


def show(
    run_dir: Path,
    row: Row,
    measure: MeasureName,
    place: Explore,
    clicked: Callable[[], None] | None = None,
) -> None:
    """The tokens of the chosen response; `place` follows the reader, then `clicked` hears."""
    layout = "cells" if look.layout(place) == "cells" else "prose"
    key = f"tokens_{run_dir.name}_{row['response_id']}"

    def moved() -> None:
        position = token_view.selected(key)
        if position is not None:
            place.position = position
            if clicked is not None:
                clicked()

    position = settle(row, place)
    drawn = f"{key}/{cached.version(run_dir)}/{measure}/{layout}/{place.scale}"
    if place.start is None or place.drawn != drawn:
        place.start, place.drawn = position, drawn
    data = token_cache.token_view(
        run_dir, row["response_id"], measure, place.start, place.jump, place.scale, layout
    )
    token_view.show(data, key, moved)


def settle(row: Row, place: Explore) -> int:
    """A position that the response has: its highest where none or a wrong one is asked for."""
    if place.position is None or place.position >= row["tokens"]:
        place.not_here("position")
        place.position = row["max_position"] or 0
    return place.position


def without_tokens(row: Row) -> None:
    """A response that could not be scored: why, what now, and its text."""
    st.text(
        f"This response is not scored: {row['error'] or 'it has no log-probabilities'}. "
        "Ask the provider for logprobs and top_logprobs, or compare two local models on the "
        "text (python -m kl_core compare)."
    )
    with st.container(border=True, height=320):
        st.text(row["text"] or "(empty)")
