"""The progress card of a run: state, bar, rate, time left, and what can be done."""

from __future__ import annotations

import shlex
from pathlib import Path

import streamlit as st

from kl_core.errors import KLExplorerError
from kl_core.jobs import launch
from kl_core.store import runs
from kl_core.store.runs import Status
from kl_core.ui import figures

POLL_S = 1.0
_SENTENCES = {
    "starting": "Starting the worker …",
    "running": "Working",
    "done": "Done",
    "cancelled": "Cancelled. What was finished is kept and can be explored; Resume goes on.",
    "failed": "Stopped by an error. What was finished is kept; Resume tries again.",
    "died": "The worker ended without a word. What was finished is kept; Resume goes on.",
}


def card(run_dir: Path, key: str) -> Status:
    """Draw the card; it refreshes itself while the run works and reruns the page at the end."""
    status = launch.status(run_dir)
    if status.active:
        st.fragment(_live, run_every=POLL_S)(run_dir, key)
    else:
        _draw(run_dir, status, key)
    return status


def _live(run_dir: Path, key: str) -> None:
    status = launch.status(run_dir)
    if not status.active:
        st.rerun()
    _draw(run_dir, status, key)


def _draw(run_dir: Path, status: Status, key: str) -> None:
    with st.container(border=True, key=f"progress_{key}"):
        st.text(headline(status))
        if status.active:
            st.progress(fraction(status))
        if detail := detail_line(status):
            st.caption(_inert(detail))
        if status.error:
            st.text(status.error)
        _buttons(run_dir, status, key)
        _what_ran(run_dir, status)


def headline(status: Status) -> str:
    """State and stage in one line."""
    stage = f": {status.stage}" if status.stage and status.active else ""
    return f"{_SENTENCES[status.state]}{stage}"


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
    if status.message:
        parts.append(status.message)
    return " · ".join(parts)


def _buttons(run_dir: Path, status: Status, key: str) -> None:
    if status.active and st.button("Cancel", key=f"cancel_{key}"):
        launch.cancel(run_dir)
        st.toast("Asked the worker to stop at the next safe point.")
    elif status.state in ("cancelled", "failed", "died") and st.button(
        "Resume", key=f"resume_{key}", type="primary"
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
        st.code(launch.log_tail(run_dir) or "The log is empty.", language=None)


def command_of(run_dir: Path) -> str:
    """The command that did this run, as a person would type it."""
    try:
        command = runs.read_params(run_dir).get("command")
    except KLExplorerError:
        return ""
    if isinstance(command, list):
        return shlex.join(str(word) for word in command)
    return str(command or "")


def _inert(text: str) -> str:
    """Worker messages may quote a file; captions read markdown, so take its signs away."""
    return "".join(" " if char in "[]`*_$<>:!#|\\~" else char for char in text)
