"""The Tokens tab: where a run differs most, token by token or word by word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from kl_core.store.query import Query
from kl_core.store.runs import RunInfo
from kl_core.store.token_tables import Score, occurrences_query
from kl_core.ui import (
    cached,
    estimates,
    figures,
    token_data,
    tokens_controls,
    tokens_data,
    tokens_request,
    tokens_table,
)
from kl_core.ui.colour_scale import Scale
from kl_core.ui.state import Explore
from kl_core.ui.tokens_request import PAGE, TokenRequest

OCCURRENCES = 50
_PAGE, _OPENED, _LAST = "tokens_page", "tokens_opened", "tokens_last"
Export = Callable[[Query], None]


def show(
    info: RunInfo, summary: dict[str, Any], place: Explore, export: Export | None = None
) -> Query | None:
    """Draw the tab; a click on a row opens that token in its response.

    Args:
        export: draws what carries the list out, given the question behind all of it.

    Returns:
        That question, None where the run has no token to list.
    """
    measure = summary.get("measure")
    if not summary.get("tokens"):
        st.text(
            "No response of this run has log-probabilities, so there are no tokens to compare. "
            "Ask the provider for logprobs and top_logprobs, or compare two local models on the "
            "text (python -m kl_core compare)."
        )
        return None
    request = tokens_controls.show(place, measure, export)
    found = request.count_query().number(cached.cursor(info.path))
    if not found:
        st.text(_nothing(info, request))
        return request.query()
    key = f"token_list_{info.id}"
    page = _page(request, found)
    data = _data(info, summary, request, page)
    _turn(request, found, page)

    def opened() -> None:
        at = tokens_table.sent(key, "open")
        if at:
            st.session_state[_LAST] = at
            place.open(*(int(value) for value in at))

    def group() -> None:
        chosen = tokens_table.sent(key, "group")
        here = st.session_state.get(_OPENED)
        st.session_state[_OPENED] = None if here == chosen else chosen

    def resort() -> None:
        column = tokens_table.sent(key, "sort")
        if column:
            place.grouped = tokens_request.sorted_by(place.grouped, column)

    tokens_table.show(data, key, opened, group, resort)
    return request.query()


def _data(
    info: RunInfo, summary: dict[str, Any], request: TokenRequest, page: int
) -> dict[str, Any]:
    cursor = cached.cursor(info.path)
    rows = request.query(PAGE, page * PAGE, context=True).rows(cursor)
    measure = summary.get("measure")
    scale = _scale(info, summary, request.score)
    identity = f"{info.id}/{cached.version(info.path)}/{request}/{page}"
    data: dict[str, Any] = {"list": identity, "id": identity, "inner": None, "start": None}
    if request.sort is None:
        last = st.session_state.get(_LAST)
        drawn = tokens_data.token_rows(rows, request.score, scale)
        start = next((row["key"] + "0" for row in drawn if row["at"] == last), None)
        return data | {
            "label": "Tokens, highest first",
            "columns": tokens_data.columns(request.score, measure),
            "rows": drawn,
            "start": start,
        }
    opened = st.session_state.get(_OPENED)
    drawn = tokens_data.group_rows(rows, scale, opened and tokens_data.group_of(opened))
    return data | {
        "id": f"{identity}/{opened}",
        "label": "Tokens of the run by their text",
        "columns": tokens_data.group_columns(
            request.sort, request.descending, measure, bool(measure and estimates.partial(summary))
        ),
        "inner": tokens_data.columns(request.score, measure),
        "rows": _with_occurrences(info, drawn, request.score, scale),
    }


def _with_occurrences(
    info: RunInfo, rows: list[tokens_data.Row], score: Score, scale: Scale
) -> list[tokens_data.Row]:
    """The rows, below an open one its highest occurrences."""
    out: list[tokens_data.Row] = []
    for row in rows:
        out.append(row)
        if row["open"]:
            token, special = tokens_data.group_of(row["key"])
            query = occurrences_query(token, special, OCCURRENCES, score)
            found = query.rows(cached.cursor(info.path))
            out += tokens_data.token_rows(found, score, scale, depth=1)
            if row["cells"]["occurrences"] != figures.count(len(found)):
                out[-1]["note"] = (
                    f"The highest {len(found)} of {row['cells']['occurrences']}; search for this "
                    "token without grouping to see the others."
                )
    return out


def _scale(info: RunInfo, summary: dict[str, Any], score: Score) -> Scale:
    """The colours of a score, fixed for the run: those of the token view."""
    return token_data.scale(score, summary, quantiles=cached.scales(info.path).get(score))


def _page(request: TokenRequest, found: int) -> int:
    """The page shown, the first one after any change of what is listed."""
    of, page = st.session_state.get(_PAGE, (None, 0))
    return min(page, (found - 1) // PAGE) if of == request else 0


def _turn(request: TokenRequest, found: int, page: int) -> None:
    """How much there is, and the buttons to the pages around."""
    label = tokens_data.LABELS[request.score]
    first, last = page * PAGE + 1, min((page + 1) * PAGE, found)
    shown = f"{figures.count(first)}–{figures.count(last)} of {figures.count(found)}"

    def to(wanted: int) -> None:
        st.session_state[_PAGE] = (request, wanted)

    with st.container(horizontal=True, vertical_alignment="center", key="tokens_pages"):
        st.caption(f"{shown} {tokens_request.said(request, label)}", width="content")
        # there even with one page: the list stays where it is while bounds change
        for name, wanted, off in (
            ("Previous", page - 1, page == 0),
            ("Next", page + 1, last == found),
        ):
            st.button(name, key=f"tokens_{name}", disabled=off, on_click=to, args=(wanted,))


def _nothing(info: RunInfo, request: TokenRequest) -> str:
    """Why the list is empty and what to do."""
    label = tokens_data.LABELS[request.score]
    if request.text:
        return (
            f"No token like “{request.text}” within these bounds; shorten the text or clear the "
            "bounds. One token often is only a part of a word."
        )
    if request.sort is not None:
        return f"No token occurs {request.min_count} times with a score; lower the least count."
    highest = TokenRequest(request.score, min_kl=request.min_kl).query(1)
    row = highest.row(cached.cursor(info.path))
    if row is None and request.score == "normalized":
        return f"No token has KL ≥ {request.min_kl:g}; lower “KL from”."
    if row is None:
        return (
            "No token of this run has a value: the problems list says why positions could not "
            "be scored."
        )
    tried = [("lower “from”", request.least), ("raise “to”", request.most)]
    advice = " or ".join(what for what, bound in tried if bound is not None)
    return (
        f"No token has {label} within these bounds; the highest of the run is "
        f"{figures.nats(row['score'])}: {advice}."
    )
