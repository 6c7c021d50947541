"""What the token view and the grid of a prompt's responses show, kept between reruns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from kl_core.store import queries, reading_queries
from kl_core.ui import cached, token_data
from kl_core.ui.colour_scale import Scale
from kl_core.ui.heat_grid import NOT_ASKED
from kl_core.ui.token_data import MeasureName

GridRow = tuple[int, int, list[Any]]  # slot, response_id, one value a position (heat_grid.Value)


def scale(run_dir: Path, measure: MeasureName, text: str | None = None) -> Scale:
    """The scale of a measure over the run, or the reader's own (`text`)."""
    quantiles = cached.scales(run_dir).get(measure)
    return token_data.scale(measure, cached.summary(run_dir), text, quantiles)


def token_view(
    run_dir: Path,
    response_id: int,
    measure: MeasureName,
    start: int,
    jump: int,
    scale_text: str | None = None,
    layout: str = "prose",
) -> dict[str, Any]:
    """The token view's data; equal for equal arguments while the run is the same."""
    version = cached.version(run_dir)
    data = _token_view(str(run_dir), version, response_id, measure)
    shown = token_data.coloured(data, scale(run_dir, measure, scale_text))
    identity = f"{data['id']}/{layout}"
    return {**shown, "id": identity, "layout": layout, "start": start, "jump": jump}


@st.cache_resource(max_entries=32, show_spinner=False)
def _token_view(
    run_dir: str, version: str, response_id: int, measure: MeasureName
) -> dict[str, Any]:
    here = Path(run_dir)
    columns = dict.fromkeys([*token_data.COLUMNS, token_data.column(measure)])
    rows = queries.tokens(cached.cursor(here), response_id).select(list(columns))
    identity = f"{here.name}/{version}/{response_id}"
    return token_data.build(rows, measure, cached.summary(here), identity)


def grid_rows(run_dir: Path, prompt_id: int, measure: MeasureName) -> list[GridRow]:
    """Values of every response of a prompt that has tokens, by slot."""
    return _grid_rows(str(run_dir), cached.version(run_dir), prompt_id, measure)


@st.cache_resource(max_entries=16, show_spinner=False)
def _grid_rows(run_dir: str, version: str, prompt_id: int, measure: MeasureName) -> list[GridRow]:
    query = reading_queries.values_query(prompt_id, measure)
    rows = query.rows(cached.cursor(Path(run_dir)))
    return [(row["slot"], row["response_id"], _values(row)) for row in rows if row["tokens"]]


def _values(row: dict[str, Any]) -> list[Any]:
    pairs = zip(row["values"], row["asked"], strict=True)
    return [value if asked or value is not None else NOT_ASKED for value, asked in pairs]
