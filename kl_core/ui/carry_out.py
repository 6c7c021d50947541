"""What the Explore page can carry out of what it shows: one list of views a tab."""

from __future__ import annotations

from typing import Any

import streamlit as st

from kl_core.plots.registry import CHARTS
from kl_core.store import queries
from kl_core.store.query import Query
from kl_core.store.runs import RunInfo
from kl_core.store.token_export import Bounds
from kl_core.ui import carry_commands, export_view, tokens_request
from kl_core.ui.export_view import View
from kl_core.ui.state import Explore
from kl_core.ui.table_request import TableRequest

LABEL = "Export"
COUNT = "tokens_count"
"""Where the session keeps the least count of the Tokens tab, None for its default."""


def prompts(
    info: RunInfo,
    summary: dict[str, Any],
    request: TableRequest,
    row: dict[str, Any] | None,
    tags: tuple[str, ...] = (),
) -> None:
    """The prompts as sorted and filtered, and what is open of them.

    Args:
        tags: those that the request's prompts were chosen by; the command names them.
    """
    views = prompt_views(request, row, tags)
    export_view.popover(LABEL, info, views, "carry_prompts")


def prompt_views(
    request: TableRequest, row: dict[str, Any] | None, tags: tuple[str, ...]
) -> list[View]:
    """What of the Prompts tab can be carried out; `row` is the open response."""
    ordered = queries.prompts_query(request.sort, request.descending, where=request.where)
    command = carry_commands.prompts(request, tags)
    views = [View("Prompts of the table", "prompts", ordered, True, command=command)]
    if row is None:
        return views
    prompt_id, response_id = row["prompt_id"], row["response_id"]
    views.append(
        View(
            "Responses of the open prompt",
            f"prompt-{prompt_id}-responses",
            queries.responses_query(prompt_id),
            command=("--view", "responses", "--prompt", str(prompt_id)),
        )
    )
    if row["tokens"]:
        views.append(
            View(
                "Tokens of the open response",
                f"response-{response_id}-tokens",
                queries.tokens_query(response_id),
                command=("--view", "tokens", "--response", str(response_id)),
            )
        )
    return views


def tokens(info: RunInfo, summary: dict[str, Any], place: Explore, listed: Query | None) -> None:
    """The list of tokens, and the object that the command `tokens` writes."""
    views = [] if listed is None else [token_view(summary, place, listed)]
    export_view.popover(LABEL, info, views, "carry_tokens")


def token_view(summary: dict[str, Any], place: Explore, listed: Query) -> View:
    """The list of tokens as it is bounded, searched and grouped."""
    count = st.session_state.get(COUNT)
    asked = tokens_request.read(place, summary.get("measure"), place.find or "", count)
    command = carry_commands.tokens(asked) if asked.query() == listed else None
    extras: tuple[export_view.Extra, ...] = ()
    if asked.sort is None and asked.score in ("kl", "normalized"):
        bounds = Bounds(asked.least, asked.most, asked.score, asked.min_kl)
        extras = (export_view.tokens_json(bounds, asked.text),)
    return View("Tokens of the list", "tokens", listed, False, extras, command)


def charts(info: RunInfo, summary: dict[str, Any]) -> None:
    """The rows behind each chart, and the chart as a page of its own."""
    export_view.popover(LABEL, info, chart_views(summary), "carry_charts")


def chart_views(summary: dict[str, Any]) -> list[View]:
    """Each chart of the registry."""
    return [
        View(
            chart.title,
            f"chart-{name}",
            chart.query(),
            extras=(chart_page(name, summary),),
            command=("--view", f"chart:{name}"),
        )
        for name, chart in CHARTS.items()
    ]


def chart_page(name: str, summary: dict[str, Any]) -> export_view.Extra:
    """The chart as HTML."""
    return export_view.chart_html(name, summary)


def nothing() -> None:
    """The button where there is nothing to carry out yet."""
    st.button(LABEL, disabled=True, width="stretch", key="carry_nothing")
