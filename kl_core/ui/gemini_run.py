"""The Gemini page with a run: plan and yes, progress, the end, and the way to the results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from kl_core.jobs import launch
from kl_core.store import spending
from kl_core.ui import (
    call_run,
    figures,
    folders,
    gemini_demo,
    gemini_plan,
    gemini_settings,
    gemini_start,
    progress,
    visible,
)
from kl_core.ui.call_run import Headlines
from kl_core.ui.gemini_place import Place

KEY = "gemini_explore"
_SAID = Headlines(
    "The probe did not succeed, and nothing else was asked. Change the settings, or probe again.",
    "The probe was cancelled, and nothing else was asked.",
    "The plan of this run cannot be read; change the settings, and probe again.",
)
_LABELS = {"online": "Online", "batch": "Batch"}


def show(run_dir: Path, place: Place) -> None:
    """The run in its present state, with what can be done next."""
    options = options_of(run_dir)
    st.text(heading(place.mode, options))
    if gemini_settings.is_loopback(options.get("base_url") or ""):
        st.caption("A server on this machine is asked: nothing is charged, nothing leaves it.")
    status = launch.status(run_dir)
    plan = spending.read_plan(run_dir)
    kept = progress.kept(run_dir)
    if status.state == "waiting" and plan is not None:
        gemini_plan.card(run_dir, plan, options, lambda: _change(place, options))
        if kept:
            call_run.explore(run_dir, KEY, primary=False)
        return
    early = not (kept or spending.is_confirmed(run_dir))
    refused = status.state == "failed" and early
    progress.card(run_dir, "gemini", said=_SAID.of(status.state, early))
    if plan is not None and spending.is_confirmed(run_dir):
        with st.expander("The plan of the last start"):
            local = gemini_demo.is_local(run_dir)
            gemini_plan.show_figures(plan, 0.0 if local else plan.cost, options, local)
    if status.active:
        call_run.watch(run_dir, KEY)
        return
    with st.container(horizontal=True):
        if kept:
            call_run.explore(run_dir, KEY, status.state == "done")
        _change(place, options, ended=status.state == "done", primary=refused)


def options_of(run_dir: Path) -> dict[str, Any]:
    """The options the run was started with, from its command."""
    return call_run.options_of(run_dir, gemini_settings.from_command)


def heading(mode: str, options: dict[str, Any]) -> str:
    """Which run this is, in one line."""
    model = visible.plain(str(options.get("model2", "a model")), 60)
    parts = [f"{_LABELS[mode]}: {model}"]
    if folder := options.get("input_dir"):
        parts.append(f"on {visible.plain(figures.shortened(folders.shown(folder), 60), 60)}")
    if (budget := options.get("budget")) is not None:
        parts.append(f"{100 * budget:g} % of the calls")
    if (top := options.get("top_prompts")) is not None:
        parts.append(f"top {figures.counted(top, 'prompt')}")
    return ", ".join([" ".join(parts[:2]), *parts[2:]])


def _change(
    place: Place, options: dict[str, Any], ended: bool = False, primary: bool = False
) -> None:
    st.button(
        "Ask something else" if ended else "Change settings",
        key="gemini_again",
        type="primary" if primary else "secondary",
        on_click=gemini_start.reopen,
        args=(place, options),
    )
