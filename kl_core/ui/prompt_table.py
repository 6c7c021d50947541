"""The table of prompts, straight from the run's stored columns."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import streamlit as st

from kl_core.store import queries
from kl_core.ui import cached, estimates, figures, prompt_text, table_request
from kl_core.ui.state import Explore
from kl_core.ui.table_request import FIGURES, Figure, TableRequest

PAGE_ROWS = 200
_ROW_PX, _MIN_ROWS, _MAX_ROWS = 31, 3, 12
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
        _nothing(request, place)
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
    table = _with_models(_with_intervals(table), queries.models1(cached.cursor(run_dir)))
    key = f"prompts_{run_dir.name}_{_order_key(request)}_{offset}"
    columns = columns_shown(request, table)
    config = _config(request, _largest(run_dir, request), summary, columns)
    shown = {name: config[name] for name in columns}

    def sort_by(column: str) -> None:
        _sort_by(place, request, column)

    _grid(table, shown, place, key, sort_by)
    return place.prompt, found


def _grid(
    table: pa.Table,
    config: dict[str, Any],
    place: Explore,
    key: str,
    sort_by: Callable[[str], None],
) -> None:
    ids = table["prompt_id"].to_pylist()
    # a table of its own after each click on a head, so that the head can be clicked again
    key = f"{key}_{st.session_state.get('table_heads', 0)}"

    def clicked() -> None:
        chosen = st.session_state[key]["selection"]
        if chosen["columns"]:
            st.session_state["table_heads"] = st.session_state.get("table_heads", 0) + 1
            sort_by(chosen["columns"][0])
        elif chosen["cells"] and ids[chosen["cells"][0][0]] != place.prompt:
            place.choose_prompt(ids[chosen["cells"][0][0]])

    rows = [ids.index(place.prompt)] if place.prompt in ids else []
    st.container(key="prompts").dataframe(
        _marked(prompt_text.shown(table, config["prompt"]["width"]).select(list(config)), rows),
        key=key,
        on_select=clicked,
        # a table whose columns can be chosen does not sort by itself: it would sort the
        # page alone, and the chosen cell would stay where it was, on another prompt
        selection_mode=["single-cell", "single-column"],
        selection_default={"selection": {"cells": [(row, "prompt") for row in rows]}},
        hide_index=True,
        row_height=_ROW_PX,
        height=_ROW_PX * max(_MIN_ROWS, min(_MAX_ROWS, table.num_rows)) + 38,
        column_order=list(config),
        column_config=config,
    )


def _with_intervals(table: pa.Table) -> pa.Table:
    """The same with the texts `interval` and `asked` of each row's estimate."""
    kept = ["est_low", "est_high", "est_asked", "est_of", "scored_tokens", "not_asked"]
    rows = table.select(kept).to_pylist()
    said = [estimates.interval(row) or figures.MISSING for row in rows]
    shares = [_share_asked(row) for row in rows]
    table = table.append_column("interval", pa.array(said, pa.string()))
    return table.append_column("asked", pa.array(shares, pa.float64()))


def _with_models(table: pa.Table, names: list[str]) -> pa.Table:
    """The same with a text `model`, empty where all responses come from one model."""
    several = len(names) > 1
    shown = [
        figures.shortened(figures.model_name(name), 22) if several else ""
        for name in table["model1"].to_pylist()
    ]
    return table.append_column("model", pa.array(shown, pa.string()))


def _share_asked(row: dict[str, Any]) -> float | None:
    """Of the positions that could be asked; without an estimate of those with a value or not."""
    if row["est_of"]:
        return float(row["est_asked"] / row["est_of"])
    asked, left = row["scored_tokens"], row["not_asked"]
    return asked / (asked + left) if asked + left else None


def _marked(table: pa.Table, rows: list[int]) -> Any:
    """The table with the chosen row tinted."""
    frame: pd.DataFrame = table.to_pandas()
    # as plain lists: the table also makes text of each curve, which NumPy does slowly
    frame["spark"] = pd.Series(table["spark"].to_pylist(), dtype=object)

    def tint(whole: pd.DataFrame) -> pd.DataFrame:
        styles = pd.DataFrame("", index=whole.index, columns=whole.columns)
        styles.loc[rows] = f"background-color: {TINT}"
        return styles

    # the first column is the leading figure, whose bar needs the number
    texts = [name for name in _AS_TEXT if name in frame.columns[1:]]
    for name in texts:
        frame[name] = [_PRINTED[_kind(name)](value) for value in table[name].to_pylist()]
    styled: Any = frame.style.apply(tint, axis=None)
    for name in frame.columns:
        if name not in texts and (kind := _kind(name)) in _PRINTED:
            styled = styled.format(_PRINTED[kind], subset=[name])
    return styled


def _kind(column: str) -> str:
    if column == "asked":
        return "share"
    return FIGURES[column].kind if column in FIGURES else ""


def _whole_percent(share: float | None) -> str:
    """A share in a narrow column; 100 % only where nothing is missing."""
    if share is None or math.isnan(share):
        return figures.MISSING
    return "100 %" if share >= 1 else f"{min(round(100 * share), 99)} %"


_AS_TEXT = ("max_kl", "coverage", "asked")
_PRINTED = {
    "nats": figures.nats,
    "ratio": figures.nats,
    "share": _whole_percent,
}


def columns_shown(request: TableRequest, table: pa.Table) -> list[str]:
    """Column names in the order of the table; the sort column comes first.

    Coverage is left out where every row of the table is covered in full. Estimated means
    have their interval and the share that was asked instead of maximum, responses, coverage.
    """
    scored = request.measure is not None
    second = [name for name in ("max_kl",) if scored and name != request.lead]
    if request.estimated:
        second = ["interval"] if request.lead in _WITH_INTERVAL else second
        models = _named(table)
        return [request.lead, *second, "spark", "prompt", *models, "asked"]
    partly = any(share is None or share < 1 for share in table["coverage"].to_pylist())
    models = _named(table)
    raw = ["with_logprobs"]
    if models and table["with_logprobs"].equals(table["n_responses"]):
        raw = []  # the same twice, where room is short
    tail = (["coverage"] if partly else []) if scored else raw
    tail = [name for name in tail if name != request.lead]
    count = [] if request.lead == "n_responses" else ["n_responses"]
    return [request.lead, *second, "spark", "prompt", *models, *count, *tail]


def _named(table: pa.Table) -> list[str]:
    """The column of models, where `_with_models` found several."""
    named = "model" in table.column_names and any(table["model"].to_pylist())
    return ["model"] if named else []


_WITH_INTERVAL = ("mean_kl", "est_low", "se_kl")


def _config(
    request: TableRequest, top: float, summary: dict[str, Any], shown: list[str]
) -> dict[str, Any]:
    number, config = st.column_config.NumberColumn, st.column_config
    known = FIGURES | table_request.figures_of(summary)
    scale = "surprisal_scale_max" if request.measure is None else "kl_scale_max"
    columns: dict[str, Any] = {
        "max_kl": _figure("max", 60, known["max_kl"].help),
        "interval": config.TextColumn("95 %", width=98, help=f"{estimates.INTERVAL_HELP}, nats"),
        "asked": _figure("asked", 48, "Share of the positions at which model 2 was asked"),
        "model": config.TextColumn("model", width=92, help="The model that wrote the responses"),
        "spark": config.LineChartColumn(
            "positions",
            width=65,
            color="red",
            y_min=0,
            y_max=float(summary.get(scale) or 1.0),
            help="KL (surprisal for raw responses) along the most divergent response; "
            "one scale for all rows; positions without a value are left out",
        ),
        "prompt": config.TextColumn("prompt"),
        "n_responses": number("resp.", width=40, help=known["n_responses"].help),
        "with_logprobs": number("usable", width=52, help="Responses with log-probabilities"),
        "coverage": _figure("cov.", 48, known["coverage"].help),
        request.lead: _lead(request.lead, known[request.lead], top, request.estimated),
    }
    used = sum(columns[name]["width"] for name in shown if name != "prompt")
    columns["prompt"]["width"] = max(_TABLE_PX - used, _PROMPT_PX)
    return columns


def _figure(label: str, width: int, help_: str) -> Any:
    """A column of ready texts: a number's cell would read None where there is no value."""
    return st.column_config.TextColumn(label, width=width, help=help_, alignment="right")


def _lead(name: str, figure: Figure, top: float, estimated: bool = False) -> Any:
    """The column of the order: a bar, or a number where there are two signs."""
    width = min(max(94 if estimated else 78, 22 + 7 * len(figure.label)), 118)
    if name == "mean_log_ratio":
        return st.column_config.NumberColumn(figure.label, width=width, help=figure.help)
    formats = {"count": "%d", "share": "percent"}
    plain = "≈ %.3g" if estimated and name in ("mean_kl", "total_kl") else "%.3g"
    return st.column_config.ProgressColumn(
        figure.label,
        format=formats.get(figure.kind, plain),
        min_value=0,
        max_value=1 if figure.kind == "share" else top,
        width=width,
        color="red",
        help=f"{figure.help}. The bar is relative to "
        f"{'all' if figure.kind == 'share' else 'the highest of the run'}.",
    )


def _largest(run_dir: Path, request: TableRequest) -> float:
    """The run's highest value of the leading figure: the bar's fixed full length."""
    first = cached.prompts(run_dir, request.lead, True, 1, 0, queries.EVERY)
    value = first[request.lead][0].as_py() if first.num_rows else None
    return float(value) if value and 0 < value < float("inf") else 1.0


def _order_key(request: TableRequest) -> str:
    """Names order and filter in a widget's key."""
    text = f"{request.sort}/{request.descending}/{request.where}"
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]


def _sort_by(place: Explore, request: TableRequest, column: str) -> None:
    """A click on a head: that order, or the other way round; other heads do nothing."""
    if column not in FIGURES:
        return
    if column == request.sort:
        place.order = None if place.order == "asc" else "asc"
    else:
        table_request.sort_by(place, column)


def _page(run_dir: Path, request: TableRequest, place: Explore, found: int) -> int:
    """The page to show, of several the one with the chosen prompt when that is new here.

    Another filter that leaves out the chosen prompt lets go of it.
    """
    key = f"page_{run_dir.name}_{_order_key(request)}"
    seen = (_order_key(request), place.jump)
    changed = st.session_state.get("table_seen") != seen
    st.session_state["table_seen"] = seen
    pages = -(-found // PAGE_ROWS)
    if place.prompt is not None and changed and (request.where or pages > 1):
        ids = cached.prompt_order(run_dir, request.sort, request.descending, request.where)
        if place.prompt in ids:
            st.session_state[key] = ids.index(place.prompt) // PAGE_ROWS + 1
        elif request.where:
            place.choose_prompt(None)
    if pages == 1:
        return 0
    page = st.number_input(f"Page, of {pages:,}", 1, pages, key=key)
    return int(page) - 1


def _exists(run_dir: Path, prompt_id: int) -> bool:
    return queries.prompt(cached.cursor(run_dir), prompt_id) is not None


def _nothing(request: TableRequest, place: Explore) -> None:
    if request.where:
        st.caption("No prompt fits the search and the filters.")
        st.button("Show all prompts", key="table_clear", on_click=place.clear_filters)
    else:
        st.caption(
            "This run holds no prompts. See its problems below for what could not be read, "
            "or open another folder."
        )
