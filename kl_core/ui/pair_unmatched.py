"""What has no partner in the other run: every prompt and response of both, with the reason."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from kl_core.store.query import Query
from kl_core.ui import figures, pair_cached
from kl_core.ui.pair_cached import PairKey

SHOWN = 500
_COLUMNS = ["run", "reason", "level", "file", "entry", "response", "prompt"]


def query(limit: int | None = None) -> Query:
    """Rows run (A or B), level, file, entry, response (from 1), reason, prompt.

    What has another text in the other run is a row of each.
    """
    page = "" if limit is None else f" LIMIT {int(limit)}"
    sides = " UNION ALL ".join(_side(side) for side in ("a", "b"))
    return Query(f"SELECT * FROM ({sides}) ORDER BY file, entry, response NULLS FIRST, run{page}")


def _side(side: str) -> str:
    name = side.upper()
    own = f"reason IN ('only in {name}', 'other text')"
    return f"""SELECT '{name}' AS run, 'prompt' AS level, p.file, p.entry, NULL::INT AS response,
      m.reason, p.prompt
    FROM prompt_match m JOIN run_{side}.prompts p ON p.prompt_id = m.prompt_{side} WHERE m.{own}
    UNION ALL SELECT '{name}', 'response', p.file, p.entry, r.slot + 1, r.reason, p.prompt
    FROM response_match r JOIN run_{side}.prompts p ON p.prompt_id = r.prompt_{side}
    WHERE r.{own}"""


def total(counts: dict[str, int], level: str) -> int:
    """How many rows of a level ("prompts", "responses") `query` has; see counts_query."""
    only = counts[f"{level}_only_a"] + counts[f"{level}_only_b"]
    return only + 2 * counts[f"{level}_other"]


def show(key: PairKey) -> None:
    """A button with the counts that opens the list; nothing where all is matched."""
    counts = pair_cached.counts(key)
    found = {noun: total(counts, f"{noun}s") for noun in ("prompt", "response")}
    if not any(found.values()):
        return
    said = ", ".join(figures.counted(n, noun) for noun, n in found.items() if n)
    with st.popover(f"{said} not matched"):
        rows = pair_cached.run(key, query(SHOWN))
        st.dataframe(_frame(rows), hide_index=True, width=640)
        if sum(found.values()) > len(rows):
            st.caption(
                f"The first {len(rows):,} of {sum(found.values()):,}; runs compare --json lists "
                "more."
            )
        if partly := counts["prompts_partly"]:
            st.caption(
                f"{figures.counted(partly, 'prompt')} with some responses not matched: figures, "
                "differences and the sentence above are over the matched ones alone."
            )


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """As texts: an empty cell where there is no number, never a word of the language."""
    shown = [
        {name: "" if row[name] is None else str(row[name]) for name in _COLUMNS}
        | {"prompt": figures.one_line(row["prompt"] or "", 80)}
        for row in rows
    ]
    return pd.DataFrame(shown, columns=_COLUMNS)
