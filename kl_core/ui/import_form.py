"""Open files: one folder of responses, and on request a second one to compare it with."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from kl_core.ui import upload

KEY = "open"
_SECOND = "open_second"


def ask() -> tuple[Path, Path | None] | None:
    """Draw the form; (responses, another model's or None) once the button was pressed."""
    first = upload.choose(KEY)
    wanted = st.checkbox(
        "Compare with responses of another model to the same prompts: free, no calls",
        key="open_against",
        help="Wherever answers of both models begin with the same text, both have said what comes "
        "next: their lists are compared there. What lies beyond the shared beginnings stays open.",
    )
    second = upload.choose(_SECOND, " of model 2") if wanted else None
    if first is None:
        return None
    verb = "Compare" if wanted else "Import"
    ready = not wanted or (second is not None and second.ready)
    if not upload.button(KEY, verb, first, ready):
        return None
    folder = first.take()
    if folder is None or second is None:
        return None if folder is None else (folder, None)
    other = second.take()
    return None if other is None else (folder, other)
