"""The table of prompts, straight from the run's stored columns."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import streamlit as st

from kl_core.store import queries
from kl_core.ui import cached, figures, inputs, prompt_text
from kl_core.ui.inputs import TableRequest
from kl_core.ui.state import Explore

PAGE_ROWS = 200
_ROW_PX, _MIN_ROWS, _MAX_ROWS = 31, 3, 12
_FIGURES = tuple(name for name in queries.SORTS if name.startswith(("m", "total")))
_TABLE_PX, _PROMPT_PX = 476, 146  # the table in a window of 1440; the least for a prompt
TINT = "rgba(184, 55, 42, 0.12)"


def show(
    run_dir: Path, request: TableRequest, place: Explore, summary: dict[str, Any]
) -> tuple[int | None, int]:
    """Draw the table; returns the chosen prompt's id, None without one, and how many match.

    A click anywhere in a row chooses that prompt, a click on a head sorts by it.
    """
    found = queries.prompt_count(cached.cursor(run_dir), request.where)
    if not found:
        _nothing(request)
        return None, 0
    if place.prompt is not None and not _exists(run_dir, place.prompt):
        place.not_here("prompt")
        place.choose_prompt(None)
    offset = _page(run_dir, request, place, found) * PAGE_ROWS
    table = cached.prompts(
        run_dir, request.sort, request.descending, PAGE_ROWS, offset, request.where
    )
    if place.prompt is None:
        place.choose_prompt(table["prompt_id"][0].as_py())
    key = f"prompts_{run_dir.name}_{request.sort}_{request.search}_{offset}"
    columns = columns_shown(request, table)
    config = _config(request, _largest(run_dir, request), summary, columns)
    _grid(table, columns, place, key, config)
    return place.prompt, found


def _grid(
    table: pa.Table, columns: list[str], place: Explore, key: str, config: dict[str, Any]
) -> None:
    ids = table["prompt_id"].to_pylist()
    # a table of its own after each click on a head, so that the head can be clicked again
    key = f"{key}_{st.session_state.get('table_heads', 0)}"

    def clicked() -> None:
        chosen = st.session_state[key]["selection"]
        if chosen["columns"]:
            st.session_state["table_heads"] = st.session_state.get("table_heads", 0) + 1
            inputs.sort_by(chosen["columns"][0])
        elif chosen["cells"] and ids[chosen["cells"][0][0]] != place.prompt:
            place.choose_prompt(ids[chosen["cells"][0][0]])

    rows = [ids.index(place.prompt)] if place.prompt in ids else []
    st.container(key="prompts").dataframe(
        _marked(prompt_text.shown(table, config["prompt"]["width"]).select(columns), rows),
        key=key,
        on_select=clicked,
        # a table whose columns can be chosen does not sort by itself: it would sort the
        # page alone, and the chosen cell would stay where it was, on another prompt
        selection_mode=["single-cell", "single-column"],
        selection_default={"selection": {"cells": [(row, "prompt") for row in rows]}},
        hide_index=True,
        row_height=_ROW_PX,
        height=_ROW_PX * max(_MIN_ROWS, min(_MAX_ROWS, table.num_rows)) + 38,
        column_order=columns,
        column_config=config,
    )


def _marked(table: pa.Table, rows: list[int]) -> Any:
    """The table with the chosen row tinted."""
    frame: pd.DataFrame = table.to_pandas()

    def tint(row: Any) -> list[str]:
        return [f"background-color: {TINT}" if row.name in rows else ""] * len(row)

    styled: Any = frame.style.apply(tint, axis=1)
    exact = [name for name in _FIGURES if name in frame.columns]
    shares = [name for name in ("coverage",) if name in frame.columns]
    return styled.format(figures.nats, subset=exact).format(_whole_percent, subset=shares)


def _whole_percent(share: float | None) -> str:
    """A share in a narrow column; 100 % only where nothing is missing."""
    if share is None or math.isnan(share):
        return figures.MISSING
    return "100 %" if share >= 1 else f"{min(round(100 * share), 99)} %"


def columns_shown(request: TableRequest, table: pa.Table) -> list[str]:
    """Column names in the order of the table; the sort column comes first.

    Coverage is left out where every row of the table is covered in full.
    """
    scored = request.measure is not None
    lead = request.sort if request.sort not in ("prompt_id",) else ""
    lead = lead or ("mean_kl" if scored else "mean_surprisal1")
    second = [name for name in ("max_kl",) if scored and name != lead]
    partly = any(share is None or share < 1 for share in table["coverage"].to_pylist())
    tail = (["coverage"] if partly else []) if scored else ["with_logprobs"]
    return [lead, *second, "spark", "prompt", "n_responses", *tail]


def _config(
    request: TableRequest, top: float, summary: dict[str, Any], shown: list[str]
) -> dict[str, Any]:
    lead = request.sort if request.sort != "prompt_id" else "mean_kl"
    number, config = st.column_config.NumberColumn, st.column_config
    lead_px = min(max(78, 22 + 7 * len(request.label)), 118)
    scale = "surprisal_scale_max" if request.measure is None else "kl_scale_max"
    columns: dict[str, Any] = {
        "mean_kl": number("mean KL"),
        "mean_surprisal1": number("mean surprisal"),
        "max_kl": number("max", width=50, help="Largest KL at one token, nats"),
        "spark": config.LineChartColumn(
            "by position",
            width=74,
            color="red",
            y_min=0,
            y_max=float(summary.get(scale) or 1.0),
            help="KL (surprisal for raw responses) along the most divergent response; "
            "one scale for all rows",
        ),
        "prompt": config.TextColumn("prompt"),
        "n_responses": number("resp.", width=40, help="Responses in the file"),
        "with_logprobs": number("usable", width=52, help="Responses with log-probabilities"),
        "coverage": number(
            "cov.",
            width=48,
            help="Share of the log-probability entries that have a KL",
        ),
    }
    if request.sort == "mean_log_ratio":
        columns[lead] = number(request.label, width=lead_px)
    else:
        columns[lead] = config.ProgressColumn(
            request.label,
            format="%d" if request.sort in ("censored", "tokens") else "%.3g",
            min_value=0,
            max_value=top,
            width=lead_px,
            color="red",
            help=f"{request.label} of the prompt; the bar is relative to the run's highest",
        )
    used = sum(columns[name]["width"] for name in shown if name != "prompt")
    columns["prompt"]["width"] = max(_TABLE_PX - used, _PROMPT_PX)
    return columns


def _largest(run_dir: Path, request: TableRequest) -> float:
    """The run's highest value of the sort column: the bar's fixed full length."""
    sort = "mean_kl" if request.sort == "prompt_id" else request.sort
    first = cached.prompts(run_dir, sort, True, 1, 0, queries.EVERY)
    value = first[sort][0].as_py() if first.num_rows else None
    return float(value) if value and 0 < value < float("inf") else 1.0


def _page(run_dir: Path, request: TableRequest, place: Explore, found: int) -> int:
    """The page to show, of several the one with the chosen prompt when that is new here.

    Another search that leaves out the chosen prompt lets go of it.
    """
    key = f"page_{run_dir.name}_{request.sort}_{request.search}"
    seen = (request.search, request.sort, place.jump)
    changed = st.session_state.get("table_seen") != seen
    st.session_state["table_seen"] = seen
    pages = -(-found // PAGE_ROWS)
    if place.prompt is not None and changed and (request.search or pages > 1):
        ids = cached.prompt_order(run_dir, request.sort, request.descending, request.where)
        if place.prompt in ids:
            st.session_state[key] = ids.index(place.prompt) // PAGE_ROWS + 1
        elif request.search:
            place.choose_prompt(None)
    if pages == 1:
        return 0
    page = st.number_input(f"Page, of {pages:,}", 1, pages, key=key)
    return int(page) - 1


def _exists(run_dir: Path, prompt_id: int) -> bool:
    return queries.prompt(cached.cursor(run_dir), prompt_id) is not None


def _nothing(request: TableRequest) -> None:
    if request.search:
        st.caption("No prompt or response contains this text; clear the search to see all.")
    else:
        st.caption(
            "This run holds no prompts. See its problems below for what could not be read, "
            "or open another folder."
        )
