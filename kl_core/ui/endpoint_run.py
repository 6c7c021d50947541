"""The Score page with a run by a server: plan and yes, progress, the end, and the results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import streamlit as st

from kl_core.errors import KLExplorerError
from kl_core.jobs import launch
from kl_core.store import runs, spending
from kl_core.ui import (
    call_run,
    endpoint_settings,
    endpoint_start,
    figures,
    folders,
    gemini_demo,
    gemini_plan,
    progress,
    visible,
)
from kl_core.ui.call_run import Headlines
from kl_core.ui.score_place import Place

KEY = "endpoint_explore"
_SAID = Headlines(
    "The server did not pass the probe, and nothing else was asked. Change the settings, or probe "
    "again.",
    "The probe was cancelled, and nothing else was asked.",
    "The plan of this run cannot be read; change the settings, and probe again.",
)
_STUMBLED = (
    "The app itself met an error that it did not expect, and nothing else was asked. The log below "
    "says where; probe again, or change the settings."
)
_UNEXPECTED = "unexpected "  # begins the worker's sentence on an error that it does not know
_KINDS = {
    "vllm": "by vLLM",
    "sglang": "by SGLang",
    "echo": "by a server with echo",
    "completion": "position by position",
    "chat": "position by position, as a chat,",
}


def show(run_dir: Path, place: Place) -> None:
    """The run in its present state, with what can be done next."""
    options = options_of(run_dir)
    st.text(heading(options))
    if said := found_line(run_dir):
        st.text(said)
    status, plan = launch.status(run_dir), spending.read_plan(run_dir)
    kept = progress.kept(run_dir)
    if status.state == "waiting" and plan is not None:
        gemini_plan.card(run_dir, plan, options, lambda: _change(place, options))
        if kept:
            call_run.explore(run_dir, KEY, primary=False)
        return
    early = not (kept or spending.is_confirmed(run_dir))
    progress.card(
        run_dir, "endpoint", said=_instead(status, early), words=endpoint_settings.in_labels
    )
    if plan is not None and (spending.is_confirmed(run_dir) or not early):
        with st.expander("The plan of the last start"):
            local = gemini_demo.is_local(run_dir)
            gemini_plan.show_figures(plan, 0.0 if local else plan.cost, options, local)
    if status.active:
        call_run.watch(run_dir, KEY)
        return
    with st.container(horizontal=True):
        if kept:
            call_run.explore(run_dir, KEY, status.state == "done")
        refused = status.state == "failed" and early
        _change(place, options, ended=status.state == "done", primary=refused)


def _instead(status: runs.Status, early: bool) -> str:
    """A headline for a run that ended before anything was spent; empty for all others."""
    said = _SAID.of(status.state, early)
    return _STUMBLED if said and status.error.startswith(_UNEXPECTED) else said


def options_of(run_dir: Path) -> dict[str, Any]:
    """The options the run was started with, from its command."""
    return call_run.options_of(run_dir, endpoint_settings.from_command)


def heading(options: dict[str, Any]) -> str:
    """Which run this is, in one line."""
    said = f"By a server: {visible.plain(str(options.get('model2', 'a model')), 60)}"
    if folder := options.get("input_dir"):
        said += f" on {visible.plain(figures.shortened(folders.shown(folder), 60), 60)}"
    return said


def found_line(run_dir: Path) -> str:
    """Where the run asks, and what the probe found there; for st.text, which makes no link."""
    try:
        found = runs.read_params(run_dir).get("identity2")
    except KLExplorerError:
        found = None
    found = found if isinstance(found, dict) else {}
    address = visible.plain(str(found.get("base_url") or gemini_demo.address_of(run_dir)), 100)
    kind = _KINDS.get(str(found.get("server")), "")
    if not address:
        return ""
    said = f"Scored {kind} at" if kind else "Asks"
    local = gemini_demo.is_local(run_dir)
    where = ", on this machine: nothing is charged, nothing leaves it" if local else ""
    return f"{said} {address}{where}."


def _change(
    place: Place, options: dict[str, Any], ended: bool = False, primary: bool = False
) -> None:
    st.button(
        "Score something else" if ended else "Change settings",
        key="endpoint_again",
        type="primary" if primary else "secondary",
        on_click=endpoint_start.reopen,
        args=(place, options),
    )
