"""Carry out what the Compare page shows: paired prompts, and what has no counterpart."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import streamlit as st

from kl_core.store import export, pair_figures, run_pairs
from kl_core.store.query import Query
from kl_core.store.runs import RunInfo
from kl_core.ui import export_view, pair_cached
from kl_core.ui.pair_cached import PairKey
from kl_core.ui.pair_state import PairPlace


def popover(key: PairKey, a: RunInfo, b: RunInfo, place: PairPlace) -> None:
    """A button that opens the downloads; nothing is computed until one is clicked."""
    stem = f"{a.id}_against_{b.id}"
    with st.popover("Export", width="stretch", key="pair_export_box"):
        st.caption("All paired prompts by the chosen figure; differences are B − A.")
        order = place.order if place.order in pair_figures.ORDERS else "moved"
        paired = pair_figures.prompts_query(place.figure, order)
        _buttons(key, paired, f"{stem}_{place.figure}", "prompts")
        st.caption("What has no counterpart in the other run, with the reason.")
        _buttons(key, run_pairs.unmatched_query(), f"{stem}_unmatched", "unmatched")
        st.caption("The same from a terminal, as JSON:")
        command = f"python -m kl_core runs compare {a.id} {b.id} --figure {place.figure} --json"
        st.code(command, language=None, wrap_lines=True)


def _buttons(key: PairKey, query: Query, stem: str, what: str) -> None:
    with st.container(horizontal=True, gap="small"):
        for kind, (label, mime) in export_view.FORMATS.items():
            st.download_button(
                label,
                _maker(key, query, kind),
                f"{stem}.{kind}",
                mime,
                key=f"pair_export_{what}_{kind}",
                on_click="ignore",
            )


def _maker(key: PairKey, query: Query, kind: export.Format) -> Callable[[], bytes]:
    here = pair_cached.cursor(key)

    def make() -> bytes:
        stream = BytesIO()
        cursor = here.cursor()  # the download is made in a thread of its own
        export.write_to(stream, query, cursor, kind)
        return stream.getvalue()

    return make
