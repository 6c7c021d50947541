"""The Compare page's body: what moved, where in the text, and what each run says there."""

from __future__ import annotations

from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st

from kl_core.store import pair_difference, run_pairs
from kl_core.store.pair_figures import figure
from kl_core.store.runs import RunInfo
from kl_core.ui import (
    figures,
    heat_grid,
    pair_cached,
    pair_data,
    pair_state,
    pair_table,
    pair_text,
    pair_unmatched,
    prompt_text,
    response_header,
    token_view,
)
from kl_core.ui.pair_cached import PairKey
from kl_core.ui.pair_scale import Scale
from kl_core.ui.pair_state import PairPlace

_ROW_PX = 26


def show(key: PairKey, a: RunInfo, b: RunInfo, place: PairPlace) -> None:
    """Verdict on top; table and points left, the chosen prompt right."""
    for sentence in pair_difference.unlike(pair_cached.heads(key)):
        st.text(sentence)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        _verdict(key, place)
        _matched(key)
    if not pair_cached.counts(key)["prompts_paired"]:
        return
    with st.container(key="pair_columns"), st.container(key="columns"):
        left, right = st.columns([9, 14], gap="medium")
    with left:
        pair_table.show(key, place)
        with st.container(key="charts"):
            pair_table.scatter(key, place)
    with right:
        _prompt(key, a, b, place)


def _verdict(key: PairKey, place: PairPlace) -> None:
    counts = pair_cached.counts(key)
    if not counts["prompts_paired"]:
        st.text(
            "These runs have no prompt in common: prompts belong together by file, place in the "
            "file and equal text, or by a text that each run has once. Choose another run B; "
            "those over the same prompts come first."
        )
        return
    found = pair_cached.difference(key, place.figure)
    st.markdown(f"**{pair_difference.verdict(found)}**", width="content")
    if said := pair_difference.left_out(found):
        st.caption(said, width="content")


def _matched(key: PairKey) -> None:
    """What was compared and what was not, with the list of the latter."""
    counts = pair_cached.counts(key)
    parts = [
        figures.counted(counts["prompts_paired"], "prompt"),
        figures.counted(counts["responses_paired"], "response"),
    ]
    if counts["prompts_paired"]:
        sums = pair_cached.sums(key)
        total = {name: pc.sum(sums[name]).as_py() for name in ("tokens", "only_a", "only_b")}
        other = pc.sum(sums["other"]).as_py()
        parts.append(figures.counted(total["tokens"], "token"))
        parts += _apart("token", total["only_a"], total["only_b"], other)
    st.caption("In both: " + " · ".join(parts), width="content")
    pair_unmatched.show(key)


def _apart(noun: str, only_a: int, only_b: int, other: int) -> list[str]:
    said = ((only_a, "only in A"), (only_b, "only in B"), (other, "with another token in B"))
    return [f"{figures.counted(n, noun)} {where}" for n, where in said if n]


def _prompt(key: PairKey, a: RunInfo, b: RunInfo, place: PairPlace) -> None:
    assert place.prompt is not None
    pair = run_pairs.prompt_pair(pair_cached.cursor(key), place.prompt)
    if pair is None:
        return
    place.partner = pair["prompt_b"]
    response_header.show_prompt(*prompt_text.title(pair))
    rows = pair_cached.run(key, run_pairs.responses_query(place.prompt))
    if not rows:
        st.caption("No response of this prompt has the same text in both runs.")
        return
    _reading(key, a, b, place, rows)


@st.fragment
def _reading(
    key: PairKey, a: RunInfo, b: RunInfo, place: PairPlace, rows: list[dict[str, Any]]
) -> None:
    """Grid, text and panel; a click in one of them redraws only these."""
    tokens = pair_cached.tokens(key, place.figure, tuple(row["pair"] for row in rows))
    if not tokens.num_rows:
        st.caption("The responses of this prompt have no log-probabilities in either run.")
        return
    heat = pair_data.heat_rows(tokens, {row["pair"]: row["slot"] for row in rows})
    _settle(place, rows, heat)
    scale = pair_cached.scale(key, place.figure)
    _grid(key, place, rows, heat, scale.top)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        row = _choose(key, place, rows)
        _links(a, b, place)
    mine = tokens.filter(pc.equal(tokens["pair"], row["pair"]))
    if mine.num_rows:
        _text(key, place, row, mine, scale)
        _panel(key, place, row)
    else:
        st.caption("This response has no log-probabilities in either run.")
    pair_state.remember(place)


def _settle(
    place: PairPlace, rows: list[dict[str, Any]], heat: list[tuple[str, list[pair_data.Value]]]
) -> None:
    """Let the place name a response and a position that are there: what moved most."""
    by_slot = {row["slot"]: values for row, (_, values) in zip(rows, heat, strict=True)}
    if place.response not in by_slot:
        moved = [abs(row["difference"] or 0.0) for row in rows]
        place.choose_response(rows[max(range(len(rows)), key=moved.__getitem__)]["slot"])
    assert place.response is not None
    values = by_slot[place.response]
    if place.position is None or place.position >= len(values):
        place.position = pair_data.farthest(values)


def _grid(
    key: PairKey,
    place: PairPlace,
    rows: list[dict[str, Any]],
    heat: list[tuple[str, list[pair_data.Value]]],
    top: float,
) -> None:
    identity = f"{key.identity}/{place.prompt}/{place.figure}"
    said = f"{pair_data.short(figure(place.figure))}, B − A,"
    data = heat_grid.build(heat, top, identity, True, top / 4, said)
    widget = f"pair_heat_{key.identity}_{place.prompt}"

    def picked() -> None:
        cell = heat_grid.picked(widget)
        if cell is not None:
            place.response = rows[cell[0]]["slot"]
            place.go(cell[1])

    assert place.response is not None
    assert place.position is not None
    slots = [row["slot"] for row in rows]
    with st.container(key="pair_grid"):
        heat_grid.show(data, widget, picked, (slots.index(place.response), place.position))


def _choose(key: PairKey, place: PairPlace, rows: list[dict[str, Any]]) -> dict[str, Any]:
    by_slot = {row["slot"]: row for row in rows}
    widget = f"pick_pair_response_{key.identity}_{place.prompt}"
    st.session_state[widget] = place.response

    def chosen() -> None:
        place.choose_response(st.session_state[widget])

    st.selectbox(
        "Response",
        list(by_slot),
        key=widget,
        on_change=chosen,
        label_visibility="collapsed",
        format_func=lambda slot: _label(by_slot[slot], len(rows)),
    )
    return by_slot[place.response if place.response in by_slot else rows[0]["slot"]]


def _label(row: dict[str, Any], total: int) -> str:
    means = (
        f"mean KL A {figures.nats(row['mean_a'])}, B {figures.nats(row['mean_b'])} "
        f"({figures.signed(row['difference'])})"
    )
    return f"Response {row['slot'] + 1}, of {total} in both · {means}"


def _text(
    key: PairKey, place: PairPlace, row: dict[str, Any], tokens: pa.Table, scale: Scale
) -> None:
    identity = f"{key.identity}/{row['pair']}/{place.figure}"
    widget = f"pair_tokens_{key.identity}_{row['pair']}"

    def moved() -> None:
        position = token_view.selected(widget)
        if position is not None:
            place.position = position

    if place.start is None or place.drawn != identity:
        place.start, place.drawn = place.position, identity
    data = pair_data.text(tokens, figure(place.figure), scale, identity)
    pair_text.show({**data, "start": place.start, "jump": place.jump}, widget, moved)


def _panel(key: PairKey, place: PairPlace, row: dict[str, Any]) -> None:
    """Both runs' figures at the chosen token, and both lists of model 2."""
    assert place.position is not None
    cursor = pair_cached.cursor(key)
    a = run_pairs.token_query("a", row["response_a"], place.position).row(cursor)
    b = run_pairs.token_query("b", row["response_b"], place.position).row(cursor)
    if a is None or b is None:
        st.caption(f"Only run {'A' if a else 'B'} has a token {place.position} here.")
        return
    both = st.container(horizontal=True, gap="xsmall")  # one below the other where narrow
    with both.container(width=310):
        st.caption(f"Token {place.position}")
        text = st.column_config.TextColumn
        config = {name: text(name, alignment="right", width=62) for name in ("A", "B", "B − A")}
        config |= {"figure": text("figure", width=86), "unit": text("unit", width=38)}
        _frame(pair_data.token_figures(a, b), "pair_figures", config)
    with both.container(key="pair_lists_box", width=284):
        st.caption("Model 2's lists; P: model 1, of A")
        config = {
            "token": text("token", width=60),
            "P": text("P", width=46, alignment="right"),
            "Q in A": _bar("Q in A", "red"),
            "Q in B": _bar("Q in B", "blue"),
            "ln B/A": text("ln B/A", width=48, alignment="right"),
        }
        _frame(pair_data.candidates(a, b), "pair_lists", config)


def _bar(name: str, colour: Literal["red", "blue"]) -> Any:
    return st.column_config.ProgressColumn(
        name, format="%.3f", min_value=0.0, max_value=1.0, width=64, color=colour
    )


def _frame(rows: list[dict[str, Any]], key: str, config: dict[str, Any] | None = None) -> None:
    st.dataframe(
        pd.DataFrame(rows),
        key=key,
        hide_index=True,
        row_height=_ROW_PX,
        height=_ROW_PX * min(8, max(2, len(rows))) + 38,
        column_config=config,
    )


def _links(a: RunInfo, b: RunInfo, place: PairPlace) -> None:
    for name, info, prompt in (("A", a, place.prompt), ("B", b, place.partner)):
        if st.button(
            f"Explore {name}", key=f"pair_open_{name}", help=f"Open this token of run {name}"
        ):
            address = {"run": info.id, "prompt": prompt, "response": place.response}
            address["position"] = place.position
            words = {name: str(value) for name, value in address.items()}
            st.switch_page("pages/explore.py", query_params=words)
