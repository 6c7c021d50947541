"""Prompts of two runs, by how far they moved: the table, and the points beside it."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
import streamlit as st

from kl_core.plots import pairs as plots
from kl_core.store.pair_figures import FIGURES
from kl_core.ui import figures, inputs, pair_cached, prompt_text
from kl_core.ui.pair_cached import PairKey
from kl_core.ui.pair_state import PairPlace
from kl_core.ui.prompt_table import TINT

PAGE_ROWS = 200
_ROW_PX, _MAX_ROWS = 31, 9
_ORDERS = {
    "moved": "moved most",
    "up": "higher in B first",
    "down": "higher in A first",
    "a": "highest in A",
    "b": "highest in B",
    "tokens": "longest first",
    "file": "in file order",
}
_HEADS = {"figure_a": "a", "figure_b": "b", "tokens": "tokens", "prompt": "file"}
_WIDTHS = {"difference": 74, "figure_a": 60, "figure_b": 60, "tokens": 56, "prompt": 136}
_WIDTHS_SHARED = {"difference": 60, "figure_a": 108, "figure_b": 108, "tokens": 54, "prompt": 96}
_OVER = "over the tokens of matched responses that have a value in both runs"
_KEYS = "pair_heads"


def show(key: PairKey, place: PairPlace) -> None:
    """Draw the table; a click in a row chooses the prompt, on a head the order."""
    table = pair_cached.prompts(key, place.figure, _order(place))
    ids = table["prompt_a"].to_pylist()
    if place.prompt not in ids:
        place.choose_prompt(ids[0])
    page = _page(key, place, ids)
    shown = table.slice(page * PAGE_ROWS, PAGE_ROWS)
    _grid(key, place, shown, f"{place.order}_{page}")


def _order(place: PairPlace) -> str:
    if place.order not in _ORDERS:
        place.order = "moved"
    widget = inputs.pick("pair_order")
    st.session_state[widget] = place.order

    def chosen() -> None:
        place.order = st.session_state[widget]

    st.selectbox(
        "Order of the prompts",
        list(_ORDERS),
        format_func=_ORDERS.__getitem__,
        key=widget,
        on_change=chosen,
        label_visibility="collapsed",
    )
    return place.order


def _page(key: PairKey, place: PairPlace, ids: list[int]) -> int:
    """Which page of a long table: the one with the open prompt, until another is asked for."""
    pages = -(-len(ids) // PAGE_ROWS)
    if pages == 1:
        return 0
    widget, seen = "pair_page", (key.identity, place.figure, place.order, place.jump)
    if st.session_state.get("pair_page_seen") != seen:
        st.session_state["pair_page_seen"] = seen
        st.session_state[widget] = ids.index(place.prompt) // PAGE_ROWS + 1 if place.prompt else 1
    return int(st.number_input(f"Page, of {pages:,}", 1, pages, key=widget)) - 1


def _grid(key: PairKey, place: PairPlace, table: pa.Table, part: str) -> None:
    ids = table["prompt_a"].to_pylist()
    heads = st.session_state.get(_KEYS, 0)
    # a table of its own after each click on a head, so that the head can be clicked again
    widget = f"pair_table_{key.identity}_{place.figure}_{part}_{heads}"

    def clicked() -> None:
        chosen = st.session_state[widget]["selection"]
        if chosen["columns"]:
            st.session_state[_KEYS] = heads + 1
            place.order = _next(place.order, chosen["columns"][0])
        elif chosen["cells"] and ids[chosen["cells"][0][0]] != place.prompt:
            place.choose_prompt(ids[chosen["cells"][0][0]])

    rows = [ids.index(place.prompt)] if place.prompt in ids else []
    config = _config(place.figure, any(head["not_asked"] for head in pair_cached.heads(key)))
    st.container(key="prompts").dataframe(
        _styled(table, rows, config["prompt"]["width"]),
        key=widget,
        on_select=clicked,
        # a table whose columns can be chosen does not sort the page alone by itself
        selection_mode=["single-cell", "single-column"],
        selection_default={"selection": {"cells": [(row, "prompt") for row in rows]}},
        hide_index=True,
        row_height=_ROW_PX,
        height=_ROW_PX * max(2, min(_MAX_ROWS, table.num_rows)) + 38,
        column_config=config,
    )


def _next(order: str, head: str) -> str:
    """The order a click on a head asks for; the difference goes moved → up → down."""
    if head == "difference":
        return {"moved": "up", "up": "down"}.get(order, "moved")
    return _HEADS.get(head, order)


def _styled(table: pa.Table, rows: list[int], width_px: int) -> Any:
    shown = prompt_text.shown(table, width_px).select(list(_WIDTHS))
    frame: pd.DataFrame = shown.to_pandas()

    def tint(row: Any) -> list[str]:
        return [f"background-color: {TINT}" if row.name in rows else ""] * len(row)

    styled: Any = frame.style.apply(tint, axis=1)
    return styled.format(figures.signed, subset=["difference"]).format(
        figures.nats, subset=["figure_a", "figure_b"]
    )


def _config(figure: str, partial: bool = False) -> dict[str, Any]:
    """The columns; `partial` where a run was asked at some tokens only."""
    number, label = st.column_config.NumberColumn, FIGURES[figure].label
    which = ", shared tokens" if partial else ""
    widths = _WIDTHS | (_WIDTHS_SHARED if partial else {})
    heads = {
        "difference": number("B − A", help=f"{label} in B less that in A, nats"),
        "figure_a": number(f"A{which}", help=f"{label} in A, nats; {_OVER}"),
        "figure_b": number(f"B{which}", help=f"{label} in B, nats; {_OVER}"),
        "tokens": number("tokens", help="Tokens in both runs with a value in both"),
        "prompt": st.column_config.TextColumn("prompt"),
    }
    return {name: head | {"width": widths[name]} for name, head in heads.items()}


def scatter(key: PairKey, place: PairPlace) -> None:
    """Draw the points; a click on one chooses the prompt."""
    table = pair_cached.prompts(key, place.figure, "file")
    values_a, values_b, ids = (
        table[name].to_pylist() for name in ("figure_a", "figure_b", "prompt_a")
    )
    label = FIGURES[place.figure].label
    drawn, points, known = plots.scatter(values_a, values_b, ids, label, place.prompt)
    # a chart of its own after each choice, so that the same point can be clicked again
    widget = f"pair_scatter_{key.identity}_{place.figure}_{place.prompt}"

    def clicked() -> None:
        found = st.session_state[widget]["selection"]["points"]
        if found and "customdata" in found[0]:
            chosen = found[0]["customdata"]
            place.choose_prompt(int(chosen[0] if isinstance(chosen, list) else chosen))
            place.jump += 1

    st.plotly_chart(
        drawn,
        key=widget,
        on_select=clicked,
        selection_mode="points",
        config={"displayModeBar": False, "displaylogo": False},
    )
    said = [f"A point is a prompt; above the line, in blue, its {label} is higher in B"]
    if points < known:
        said.append(
            f"{points:,} of {known:,} are drawn: the {plots.MOVED_MOST:,} that moved most and "
            "an even sample of the others"
        )
    if known < table.num_rows:
        missing = figures.counted(table.num_rows - known, "prompt")
        said.append(f"{missing} without a finite value in both runs cannot be drawn")
    st.caption(". ".join(said) + ".")
