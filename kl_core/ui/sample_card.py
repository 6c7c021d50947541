"""The progress card of a run of `sample`, in the page's own words and units."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import streamlit as st

from kl_core.jobs import launch
from kl_core.store import sampled
from kl_core.store.runs import Status
from kl_core.store.sampled import SampledModel
from kl_core.ui import progress, sample_asked, sample_words
from kl_core.ui.sample_asked import Asked

_FINISHED = re.compile(r"[\d,]+ (?:file|prompt)s? finished")
KEY = "sample"


def show(run_dir: Path, asked: Asked, said: str) -> None:
    """Draw it; it refreshes itself while the run works and reruns the page at the end.

    Args:
        said: a headline for a run at rest, instead of its own.
    """
    if launch.status(run_dir).active:
        st.fragment(_live, run_every=progress.POLL_S)(run_dir, asked)
    else:
        _draw(run_dir, asked, said)


def _live(run_dir: Path, asked: Asked) -> None:
    if not launch.status(run_dir).active:
        st.rerun()
    _draw(run_dir, asked, "")


def _draw(run_dir: Path, asked: Asked, said: str) -> None:
    models = sampled.read_sampled(run_dir)
    status = worded(launch.status(run_dir), asked, models)
    progress.draw(run_dir, status, KEY, said=said)


def worded(status: Status, asked: Asked, models: Sequence[SampledModel]) -> Status:
    """The same with a line for each model that failed, counted in responses at its end."""
    if status.error:
        names = sample_asked.names(asked, models)
        status = replace(status, error=sample_words.error_text(status.error, names))
    if _FINISHED.fullmatch(status.message):
        status = replace(status, message="")  # the table beside it says more
    if status.state == "done" and models and status.unit in ("prompts", "files", "responses"):
        there, wanted = sum(each.responses for each in models), sum(each.wanted for each in models)
        status = replace(status, done=there, total=wanted, unit="responses")
    return status
