"""Every response of a prompt as a row of colours; a cell opens its response at its token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from kl_core.ui import cached, figures, heat_grid, shared, token_cache
from kl_core.ui.colour_scale import Scale
from kl_core.ui.reading_measures import MEASURES
from kl_core.ui.state import Explore
from kl_core.ui.token_data import MeasureName

MAX_VALUES = 300_000


def show(
    run_dir: Path, row: dict[str, Any], measure: MeasureName, place: Explore, scale: Scale
) -> None:
    """The grid of the prompt of `row`; draws at most MAX_VALUES cells and says what is left."""
    assert place.prompt is not None
    every = token_cache.grid_rows(run_dir, place.prompt, measure)
    drawn = fitting(every)
    if not drawn:
        st.caption("No response of this prompt has tokens, so there is no grid to draw.")
        return
    slots = [slot for slot, _, _ in drawn]
    key = f"grid_{run_dir.name}_{place.prompt}_{measure}"

    def picked() -> None:
        cell = heat_grid.picked(key)
        if cell is not None and cell[0] < len(slots):
            _open(place, slots[cell[0]], cell[1])

    selected = None
    if place.response in slots and place.position is not None:
        selected = (slots.index(place.response), place.position)
    data = heat_grid.build(
        [(f"Response {slot + 1}", values) for slot, _, values in drawn],
        scale.top,
        f"{key}/{scale}/{drawn[0][1]}",
        MEASURES[measure].signed,
        scale.threshold,
        MEASURES[measure].label,
        low=scale.low,
        log=scale.log,
        left_out=shared.left_out(cached.request(run_dir)),
    )
    heat_grid.show(data, key, picked, selected)
    if len(drawn) < len(every):
        left = figures.counted(len(every) - len(drawn), "response")
        st.caption(f"The grid holds {figures.count(MAX_VALUES)} cells; {left} are left out of it.")


def fitting(rows: list[token_cache.GridRow]) -> list[token_cache.GridRow]:
    """The first rows that together stay below MAX_VALUES, one at least."""
    kept: list[token_cache.GridRow] = []
    total = 0
    for row in rows:
        total += len(row[2])
        if kept and total > MAX_VALUES:
            break
        kept.append(row)
    return kept


def _open(place: Explore, slot: int, position: int) -> None:
    if slot != place.response:
        place.choose_response(slot)
    place.go(position)
