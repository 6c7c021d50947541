"""What has no partner in the other run: every prompt and response of both, with the reason."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from kl_core.store import run_pairs
from kl_core.ui import figures, pair_cached
from kl_core.ui.pair_cached import PairKey

SHOWN = 500
_COLUMNS = ["run", "reason", "level", "file", "entry", "response", "prompt"]


def total(counts: dict[str, int], level: str) -> int:
    """How many rows of "prompts" or "responses" run_pairs.unmatched_query gives."""
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
        rows = pair_cached.run(key, run_pairs.unmatched_query(SHOWN))
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
