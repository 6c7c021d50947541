"""The progress card of a run: state, bar, rate, time left, and what can be done."""

from __future__ import annotations

import shlex
from pathlib import Path

import streamlit as st

from kl_core.errors import KLExplorerError
from kl_core.jobs import launch
from kl_core.store import runs
from kl_core.store.parts import committed
from kl_core.store.runs import Status
from kl_core.ui import figures, gemini_calls
from kl_core.ui.markup import inert

POLL_S, POLL_IMPORT_S = 1.0, 0.25  # an import is often over in a second or two
_SENTENCES = {
    "starting": "Starting the worker …",
    "running": "Working",
    "waiting": "Waiting for your yes",
    "done": "Done",
    "cancelled": "Cancelled",
    "failed": "Stopped by an error",
    "died": "The worker ended without a word",
}


def card(run_dir: Path, key: str, what: str = "", said: str = "") -> Status:
    """Draw the card; it refreshes itself while the run works and reruns the page at the end.

    Args:
        what: a line on what this run is, shown while it works.
        said: a headline for a run at rest, instead of its own.
    """
    status = launch.status(run_dir)
    if status.active:
        poll_s = POLL_IMPORT_S if "-import-" in run_dir.name else POLL_S
        st.fragment(_live, run_every=poll_s)(run_dir, key, what)
    else:
        draw(run_dir, status, key, said=said)
    return status


def kept(run_dir: Path) -> bool:
    """Whether anything of the run is finished, so that it can be looked at."""
    return bool(committed(run_dir, "responses"))


def _live(run_dir: Path, key: str, what: str) -> None:
    status = launch.status(run_dir)
    if not status.active:
        st.rerun()
    draw(run_dir, status, key, what)


def draw(run_dir: Path, status: Status, key: str, what: str = "", said: str = "") -> None:
    """Draw the card as of now, without refreshing it."""
    with st.container(border=True, key=f"progress_{key}"):
        if what:
            st.caption(what)
        st.text(said or headline(status, kept(run_dir)))
        if status.active:
            st.progress(fraction(status))
        if detail := detail_line(status):
            st.caption(inert(detail))
        gemini_calls.show(run_dir, status)
        if status.error:
            st.text(status.error)
        _buttons(run_dir, status, key, plan=not said)
        _what_ran(run_dir, status)


def headline(status: Status, kept: bool = True) -> str:
    """State and stage in one line; for a run that ended early, what is left of it."""
    said = _SENTENCES[status.state]
    if status.state in ("cancelled", "failed", "died"):
        left = "What was finished is kept" if kept else "Nothing was finished yet"
        again = "tries again" if status.state == "failed" or not kept else "goes on"
        return f"{said}. {left}; Resume {again}."
    return f"{said}: {status.stage}" if status.stage and status.active else said


def fraction(status: Status) -> float:
    """Between 0 and 1; 0 while the total is not known."""
    return min(1.0, max(0.0, status.done / status.total)) if status.total else 0.0


def detail_line(status: Status) -> str:
    """Counts, rate and time left, as far as they are known."""
    parts = []
    if status.total or status.done:
        total = f" of {figures.count(status.total)}" if status.total else ""
        parts.append(f"{figures.count(status.done)}{total} {status.unit}".rstrip())
    if status.active and status.rate:
        parts.append(f"{figures.nats(status.rate)} {status.unit} a second")
    if status.active and status.eta_s is not None:
        parts.append(f"about {figures.duration(status.eta_s)} left")
    if status.message and status.state in ("starting", "running", "done"):
        parts.append(status.message)
    return " · ".join(parts)


def _buttons(run_dir: Path, status: Status, key: str, plan: bool) -> None:
    if status.active and st.button("Cancel", key=f"cancel_{key}"):
        launch.cancel(run_dir)
        st.toast("Asked the worker to stop at the next safe point.")
    elif status.state == "waiting" and plan and st.button("See the plan", key=f"plan_{key}"):
        st.switch_page("pages/gemini.py", query_params={"run": run_dir.name})
    elif status.state in ("cancelled", "failed", "died") and st.button(
        "Resume", key=f"resume_{key}", type="primary" if kept(run_dir) else "secondary"
    ):
        try:
            launch.resume(run_dir)
        except (KLExplorerError, OSError) as error:
            st.text(f"Resuming failed: {error}")
            return
        st.rerun()


def _what_ran(run_dir: Path, status: Status) -> None:
    bad = status.state in ("failed", "died")
    with st.expander("Command and log", expanded=bad):
        if command := command_of(run_dir):
            st.code(command, language=None, wrap_lines=True)
        st.text(f"Run folder: {run_dir}")
        if log := launch.log_tail(run_dir):
            st.code(log, language=None)


def command_of(run_dir: Path) -> str:
    """The command that did this run, as a person would type it."""
    try:
        command = runs.read_params(run_dir).get("command")
    except KLExplorerError:
        return ""
    if isinstance(command, list):
        return shlex.join(str(word) for word in command)
    return str(command or "")
