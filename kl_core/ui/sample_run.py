"""The Sample page with a run: plan and yes, progress, what came, and how to go on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from kl_core.jobs import launch
from kl_core.store import sampled, spending
from kl_core.store.sampled import SampledModel
from kl_core.ui import (
    call_run,
    progress,
    sample_asked,
    sample_card,
    sample_next,
    sample_plan,
    sample_start,
    sample_table,
    sample_words,
)
from kl_core.ui.call_run import Headlines
from kl_core.ui.sample_asked import Asked
from kl_core.ui.sample_place import Place

_SAID = Headlines(
    "No model could be sampled, and nothing else was asked. Change the settings, or try again.",
    "It was cancelled before anything was sampled.",
    "The plan of this run cannot be read; change the settings, and try again.",
)
_LOCAL = "Models of this machine alone are asked: nothing is charged, nothing leaves it."


def show(run_dir: Path, place: Place) -> None:
    """The run in its present state, with what can be done next."""
    sample_next.compared()
    asked = sample_asked.of(run_dir)
    st.text(sample_asked.heading(asked))
    if sample_asked.all_local(asked.config):
        st.caption(_LOCAL)
    status = launch.status(run_dir)
    plan = spending.read_plan(run_dir)
    if status.state == "waiting" and plan is not None:
        sample_plan.card(run_dir, plan, asked, lambda: _change(place, asked))
        if any(model.responses for model in sampled.read_sampled(run_dir)):
            _results(run_dir, asked)
        return
    early = not (progress.kept(run_dir) or spending.is_confirmed(run_dir))
    said = _SAID.of(status.state, early)
    sample_card.show(run_dir, asked, said)
    if plan is not None and spending.is_confirmed(run_dir):
        with st.expander("The plan of the last start"):
            each = sample_asked.prompts_each(asked, sampled.read_sampled(run_dir))
            sample_plan.show_figures(plan, sample_asked.all_local(asked.config), each)
    if status.active:
        st.fragment(_live, run_every=progress.POLL_S)(run_dir, asked)
        return
    _results(run_dir, asked)
    with st.container(horizontal=True):
        if progress.kept(run_dir):
            call_run.explore(run_dir, sample_next.EXPLORE, status.state == "done")
        _change(place, asked, ended=status.state == "done", primary=bool(said))
    sample_next.show(place, asked, sampled.read_sampled(run_dir))


def _live(run_dir: Path, asked: Asked) -> None:
    """The table as it fills, and the way to the results as soon as there are some."""
    _results(run_dir, asked)
    if progress.kept(run_dir):
        call_run.explore(run_dir, sample_next.EXPLORE, primary=True)


def _results(run_dir: Path, asked: Asked) -> None:
    models = sampled.read_sampled(run_dir)
    if models:
        sample_table.show(models, _unasked(run_dir, asked, models))


def _unasked(run_dir: Path, asked: Asked, models: Sequence[SampledModel]) -> set[str]:
    """Names of the models that could not be asked (any more)."""
    plan, names = spending.read_plan(run_dir), sample_asked.names(asked, models)
    said = [*(plan.warnings if plan is not None else ()), launch.status(run_dir).error or ""]
    return {failed.name for text in said for failed in sample_words.failures(text, names)[0]}


def _change(place: Place, asked: Asked, ended: bool = False, primary: bool = False) -> None:
    st.button(
        "Sample something else" if ended else "Change settings",
        key="sample_again",
        type="primary" if primary else "secondary",
        on_click=sample_start.reopen,
        args=(place, asked.config, asked.options),
    )
