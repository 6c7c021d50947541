"""Continuations side by side, as a component: text reaches the page through textContent alone."""

from __future__ import annotations

from functools import cache
from itertools import zip_longest
from typing import Any

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from kl_core.ui import figures, visible
from kl_core.ui.browser_js import ELEMENTS
from kl_core.ui.continue_results import Continuation, Verdict

Cell = dict[str, Any] | None
TAIL = 160  # characters of the text before the place
LONGEST = 6_000  # characters of one continuation that are drawn
CSS = """
:host { display: block; container-type: inline-size }
.both { color: var(--st-text-color); font-family: var(--st-font); font-size: 13px;
  line-height: 1.5; font-variant-numeric: tabular-nums; --m1: #3a6ea5; --m2: #c2402f;
  --dim: color-mix(in srgb, var(--st-text-color) 68%, transparent) }
.saved { color: var(--dim); font-size: 12px; margin: 0 0 6px; overflow-wrap: anywhere }
.row { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 0 14px;
  border-top: 1px solid var(--st-border-color); padding: 7px 0 }
.alone .row { grid-template-columns: minmax(0, 1fr) }
.head { font-weight: 600; overflow-wrap: anywhere; padding-bottom: 5px }
.row.heads { border: 0; padding: 0 }
.head::before { content: ""; display: inline-block; width: 9px; height: 9px; border-radius: 2px;
  margin-right: 6px; background: var(--m1) }
.head.two::before { background: var(--m2) }
.said { white-space: pre-wrap; overflow-wrap: anywhere; max-height: 15em; overflow: auto;
  unicode-bidi: plaintext; scrollbar-width: thin }
.said:focus-visible { outline: 2px solid var(--dim) }
.saved .rest { color: var(--st-text-color); white-space: pre-wrap }
.saved .before { white-space: pre-wrap }
/* a box of its own: where a line breaks before the token, its mark goes along whole */
.differs { display: inline-block; max-width: 100%; overflow-wrap: anywhere; vertical-align: bottom;
  font-weight: 600; border-radius: 3px; padding: 0 1px; min-width: .5em; white-space: break-spaces;
  background: color-mix(in srgb, var(--m1) 38%, transparent) }
.two .differs { background: color-mix(in srgb, var(--m2) 34%, transparent) }
.under { color: var(--dim); font-size: 12px; margin-top: 2px; overflow-wrap: anywhere }
.verdict { grid-column: 1 / -1; margin-top: 5px; padding: 4px 9px; border-radius: 6px;
  background: var(--st-secondary-background-color); font-size: 12px; overflow-wrap: anywhere }
.verdict b { margin-right: 6px }
@container (max-width: 420px) { .row { grid-template-columns: minmax(0, 1fr); row-gap: 8px } }
"""
_JS = r"""
export default function ({ parentElement, data }) {
  let box = parentElement.querySelector('.both');
  if (!box) { box = make('div'); parentElement.append(box); }
  box.className = data.sides.length > 1 ? 'both' : 'both alone';
  box.setAttribute('role', 'region');
  box.setAttribute('aria-label', 'Continuations');
  const saved = make('div', 'saved');
  saved.append(make('span', 'what', 'Saved response: '), make('span', 'before', data.prefix),
    make('span', 'rest', data.saved));
  const heads = make('div', 'row heads');
  data.sides.forEach((side, i) => heads.append(make('div', i ? 'head two' : 'head', side)));
  box.replaceChildren(saved, heads, ...data.rows.map((row) => line(row, data)));
}

function line(row, data) {
  const out = make('div', 'row');
  row.cells.forEach((cell, i) => out.append(one(cell, data, i)));
  if (row.verdict) {
    const verdict = make('div', 'verdict');
    verdict.append(make('b', '', row.verdict[0]), make('span', '', row.verdict[1]));
    out.append(verdict);
  }
  return out;
}

function one(cell, data, i) {
  const out = make('div', i ? 'cell two' : 'cell');
  if (!cell) {
    if (!data.grouped) out.append(make('div', 'under', 'not here'));
    return out;
  }
  const said = make('div', 'said');
  said.tabIndex = 0;
  said.append(make('span', '', cell.same));
  if (cell.differs) said.append(make('span', 'differs', cell.differs));
  said.append(make('span', '', cell.after));
  out.append(said, make('div', 'under', cell.under));
  return out;
}
"""


@cache
def _component() -> ComponentRenderer:
    return st.components.v2.component("kl_continuations", css=CSS, js=ELEMENTS + _JS)


def show(made: dict[str, Any]) -> None:
    """Draw what `data` gives."""
    _component()(key="continuations", data=made)


def data(
    prefix: str,
    rest: bytes,
    names: dict[str, str],
    found: dict[str, dict[int, Continuation]],
    said: dict[int, Verdict],
) -> dict[str, Any]:
    """Everything the component draws.

    Args:
        prefix: the text before the place; rest: the saved response from there on.
        names: folder of responses → model.
        found: folder of responses → continuations by number.
        said: verdicts by number.
    """
    sides = [found.get(folder, {}) for folder in names]
    if said:  # each verdict is on a pair
        numbers = sorted({number for side in sides for number in side})
        pairs: list[list[Cell]] = [[_cell(side.get(n)) for side in sides] for n in numbers]
        verdicts = [_verdict(said.get(number), names) for number in numbers]
    else:
        columns = [_together(side) for side in sides]
        pairs = [list(row) for row in zip_longest(*columns)]
        verdicts = [None] * len(pairs)
    rows = [
        {"cells": cells, "verdict": verdict} for cells, verdict in zip(pairs, verdicts, strict=True)
    ]
    return {
        "grouped": not said,
        "prefix": tail(prefix),
        "saved": _cut(visible.lines(rest[:800].decode("utf-8", errors="ignore")), 120),
        "sides": [_named(name) for name in names.values()],
        "rows": rows,
    }


def grouped(made: dict[str, Any]) -> bool:
    """Whether something in what `data` gives stands for several equal continuations."""
    cells = [cell for row in made["rows"] for cell in row["cells"] if cell]
    return any(cell["times"] > 1 for cell in cells)


def _together(side: dict[int, Continuation]) -> list[Cell]:
    """The cells of a side, the most frequent first; equal ones are one, with their number."""
    alike: dict[tuple[Any, ...], list[Continuation]] = {}
    for _, one in sorted(side.items()):
        alike.setdefault((one.same, one.differs, one.after, one.finish, one.error), []).append(one)
    return [_cell(same[0], len(same)) for same in sorted(alike.values(), key=len, reverse=True)]


def tail(prefix: str) -> str:
    """The end of the text before the place, from a word on."""
    if len(prefix) <= TAIL:
        return visible.lines(prefix)
    cut = prefix[-TAIL:]
    start = cut.find(" ")
    return "…" + visible.lines(cut[start:] if 0 <= start < TAIL // 2 else cut)


def _cell(one: Continuation | None, times: int = 1) -> Cell:
    if one is None:
        return None
    broken = "\n" * (len(one.differs) - len(one.differs.rstrip("\n")))
    several = f"{times} × · " if times > 1 else ""
    return {
        "same": visible.lines(one.same),
        "differs": visible.show(one.differs).replace(visible.OPEN, "").replace(visible.CLOSE, ""),
        "after": broken + _cut(visible.lines(one.after), LONGEST),
        "under": several + under(one),
        "times": times,
    }


def under(one: Continuation) -> str:
    """The figures of a continuation in a line."""
    parts = []
    if one.error:
        parts.append(visible.plain(one.error, 200))
    elif one.logprob is None:
        parts.append("log-probabilities are missing at some tokens, so there is no sum")
    else:
        parts.append(f"ln p = {figures.nats(one.logprob)}, {figures.nats(one.per_token)} a token")
    if one.tokens:
        parts.append(figures.counted(one.tokens, "token"))
    if one.finish == "length":
        parts.append("cut at the limit")
    if not one.differs and not one.after:
        parts.append("nothing was said" if not one.same else "as in the saved response")
    return " · ".join(parts)


def _verdict(said: Verdict | None, names: dict[str, str]) -> list[str] | None:
    if said is None:
        return None
    reason = visible.lines(said.reason)
    if said.winner is None:
        return ["No verdict.", reason]
    if said.winner == "tie":
        return ["Judged a tie.", reason]
    better = names.get(said.winner, said.winner)
    return [f"Judged better: {_named(better)}.", reason]


def _named(model: str) -> str:
    return visible.plain(figures.model_name(model), 80)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
