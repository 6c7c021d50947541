"""What the Explore page can carry out of what it shows: one list of views a tab."""

from __future__ import annotations

from typing import Any

import streamlit as st

from kl_core.plots.registry import CHARTS
from kl_core.store import queries
from kl_core.store.query import Query
from kl_core.store.runs import RunInfo
from kl_core.store.token_export import Bounds
from kl_core.ui import export_view, tokens_request
from kl_core.ui.export_view import View
from kl_core.ui.state import Explore
from kl_core.ui.table_request import TableRequest

LABEL = "Export"


def prompts(
    info: RunInfo,
    summary: dict[str, Any],
    request: TableRequest,
    row: dict[str, Any] | None,
) -> None:
    """The prompts as sorted and filtered, and what is open of them."""
    ordered = queries.prompts_query(request.sort, request.descending, where=request.where)
    views = [View("Prompts of the table", "prompts", ordered, True, command="--view prompts")]
    if row is not None:
        views.append(
            View(
                "Responses of the open prompt",
                f"prompt-{row['prompt_id']}-responses",
                queries.responses_query(row["prompt_id"]),
            )
        )
    if row is not None and row["tokens"]:
        views.append(
            View(
                "Tokens of the open response",
                f"response-{row['response_id']}-tokens",
                queries.tokens_query(row["response_id"]),
            )
        )
    export_view.popover(LABEL, info, views, "carry_prompts")


def tokens(info: RunInfo, summary: dict[str, Any], place: Explore, listed: Query | None) -> None:
    """The list of tokens, and the object that the command `tokens` writes."""
    views = []
    if listed is not None:
        extras: tuple[export_view.Extra, ...] = ()
        asked = tokens_request.read(place, summary.get("measure"), "", None)
        if asked.sort is None and asked.score in ("kl", "normalized"):
            bounds = Bounds(asked.least or 0.0, asked.most, asked.score, asked.min_kl)
            extras = (export_view.tokens_json(bounds),)
        views.append(
            View("Tokens of the list", "tokens", listed, False, extras, "--view top-tokens")
        )
    export_view.popover(LABEL, info, views, "carry_tokens")


def charts(info: RunInfo, summary: dict[str, Any]) -> None:
    """The rows behind each chart, and the chart as a page of its own."""
    views = [
        View(chart.title, f"chart-{name}", chart.query(), extras=(chart_page(name, summary),))
        for name, chart in CHARTS.items()
    ]
    export_view.popover(LABEL, info, views, "carry_charts")


def chart_page(name: str, summary: dict[str, Any]) -> export_view.Extra:
    """The chart as HTML."""
    return export_view.chart_html(name, summary)


def nothing() -> None:
    """The button where there is nothing to carry out yet."""
    st.button(LABEL, disabled=True, width="stretch", key="carry_nothing")
