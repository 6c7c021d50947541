"""The table of prompts, straight from the run's stored columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import streamlit as st

from kl_core.store import queries
from kl_core.ui import cached
from kl_core.ui.inputs import TableRequest
from kl_core.ui.state import Explore

PAGE_ROWS = 200
_ROW_PX, _MIN_ROWS, _MAX_ROWS = 31, 3, 12
_TINT = "rgba(184, 55, 42, 0.12)"


def show(run_dir: Path, request: TableRequest, place: Explore, scored: bool) -> int | None:
    """Draw the table; returns the chosen prompt's id, None where there is no prompt.

    A click anywhere in a row chooses that prompt.
    """
    found = queries.prompt_count(cached.cursor(run_dir), request.search)
    if not found:
        _nothing(request)
        return None
    offset = _page(found, f"page_{run_dir.name}_{request.search}") * PAGE_ROWS
    table = cached.prompts(
        run_dir, request.sort, request.descending, PAGE_ROWS, offset, request.search
    )
    ids = table["prompt_id"].to_pylist()
    if place.prompt is None or not _exists(run_dir, place.prompt):
        place.choose_prompt(ids[0])
    key = f"prompts_{run_dir.name}_{request.sort}_{request.search}_{offset}"
    _grid(table, request, place, key, _largest(run_dir, request), scored)
    return place.prompt


def _grid(
    table: pa.Table, request: TableRequest, place: Explore, key: str, top: float, scored: bool
) -> None:
    ids = table["prompt_id"].to_pylist()

    def clicked() -> None:
        cells = st.session_state[key]["selection"]["cells"]
        if cells and ids[cells[0][0]] != place.prompt:
            place.choose_prompt(ids[cells[0][0]])

    rows = [ids.index(place.prompt)] if place.prompt in ids else []
    columns = columns_shown(request, scored)
    st.container(key="prompts").dataframe(
        _marked(table.select([name for name in columns if name in table.column_names]), rows),
        key=key,
        on_select=clicked,
        selection_mode="single-cell",
        selection_default={"selection": {"cells": [(row, "prompt") for row in rows]}},
        hide_index=True,
        row_height=_ROW_PX,
        height=_ROW_PX * max(_MIN_ROWS, min(_MAX_ROWS, table.num_rows)) + 38,
        column_order=columns,
        column_config=_config(request, top),
    )


def _marked(table: pa.Table, rows: list[int]) -> Any:
    """The table with the chosen row tinted."""
    frame = table.to_pandas()

    def tint(row: Any) -> list[str]:
        return [f"background-color: {_TINT}" if row.name in rows else ""] * len(row)

    return frame.style.apply(tint, axis=1)


def columns_shown(request: TableRequest, scored: bool) -> list[str]:
    """Column names in the order of the table; the sort column comes first."""
    lead = request.sort if request.sort not in ("prompt_id",) else ""
    lead = lead or ("mean_kl" if scored else "mean_surprisal1")
    second = [name for name in ("max_kl",) if scored and name != lead]
    tail = ["n_responses", "coverage"] if scored else ["n_responses", "with_logprobs"]
    return [lead, *second, "spark", "prompt", *tail]


def _config(request: TableRequest, top: float) -> dict[str, Any]:
    lead = request.sort if request.sort != "prompt_id" else "mean_kl"
    number, config = st.column_config.NumberColumn, st.column_config
    columns: dict[str, Any] = {
        "mean_kl": number("mean KL", format="%.3g"),
        "mean_surprisal1": number("mean surprisal", format="%.3g"),
        "max_kl": number("max", format="%.3g", width=56, help="Largest KL at one token, nats"),
        "spark": config.LineChartColumn(
            "by position",
            width=78,
            color="red",
            help="KL (surprisal for raw responses) along the most divergent response",
        ),
        "prompt": config.TextColumn("prompt", width=144),
        "n_responses": number("resp.", width=40, help="Responses in the file"),
        "with_logprobs": number("usable", width=52, help="Responses with log-probabilities"),
        "coverage": number(
            "cov.",
            format="percent",
            width=50,
            help="Share of the log-probability entries that have a KL",
        ),
    }
    if request.sort == "mean_log_ratio":
        columns[lead] = number(request.label, format="%.3g", width=96)
    else:
        columns[lead] = config.ProgressColumn(
            request.label,
            format="%.3g",
            min_value=0,
            max_value=top,
            width=88,
            color="red",
            help=f"{request.label} of the prompt; the bar is relative to the run's highest",
        )
    return columns


def _largest(run_dir: Path, request: TableRequest) -> float:
    """The run's highest value of the sort column: the bar's fixed full length."""
    if request.sort == "prompt_id":
        request = TableRequest("mean_kl", request.label, request.search)
    first = cached.prompts(run_dir, request.sort, True, 1, 0, "")
    value = first[request.sort][0].as_py() if first.num_rows else None
    return float(value) if value and 0 < value < float("inf") else 1.0


def _page(found: int, key: str) -> int:
    pages = -(-found // PAGE_ROWS)
    if pages == 1:
        return 0
    page = st.number_input(f"Page, of {pages:,}", 1, pages, key=key)
    return int(page) - 1


def _exists(run_dir: Path, prompt_id: int) -> bool:
    return queries.prompt(cached.cursor(run_dir), prompt_id) is not None


def _nothing(request: TableRequest) -> None:
    if request.search:
        st.info("No prompt or response contains this text; clear the search to see all.")
    else:
        st.info(
            "This run holds no prompts. See its problems below for what could not be read, "
            "or open another folder."
        )
