"""The progress card of a run: state, bar, rate, time left, and what can be done."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import streamlit as st

from kl_core.errors import KLExplorerError
from kl_core.jobs import launch
from kl_core.store import runs, spending
from kl_core.store.parts import committed
from kl_core.store.runs import Status
from kl_core.ui import figures, gemini_calls, gemini_demo
from kl_core.ui.markup import inert

Weight = Literal["primary", "secondary"]
BAR_PX = 72
_PAGES = {"endpoint": "score", "sample": "sample"}  # where a plan is agreed to; else on Gemini
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


def card(
    run_dir: Path,
    key: str,
    what: str = "",
    said: str = "",
    compact: bool = False,
    words: Callable[[str], str] = str,
) -> Status:
    """Draw the card; it refreshes itself while the run works and reruns the page at the end.

    Args:
        what: a line on what this run is, shown while it works.
        said: a headline for a run at rest, instead of its own.
        compact: one line with the details folded, above something that matters more.
        words: turns an error's sentence into the words of the page's form.
    """
    status = launch.status(run_dir)
    if status.active:
        poll_s = POLL_IMPORT_S if "-import-" in run_dir.name else POLL_S
        st.fragment(_live, run_every=poll_s)(run_dir, key, what, compact)
    else:
        draw(run_dir, status, key, said=said, compact=compact, words=words)
    return status


def kept(run_dir: Path) -> bool:
    """Whether anything of the run is finished, so that it can be looked at."""
    return bool(committed(run_dir, "responses"))


def _live(run_dir: Path, key: str, what: str, compact: bool) -> None:
    status = launch.status(run_dir)
    if not status.active:
        st.rerun()
    draw(run_dir, status, key, what, compact=compact)


def draw(
    run_dir: Path,
    status: Status,
    key: str,
    what: str = "",
    said: str = "",
    compact: bool = False,
    words: Callable[[str], str] = str,
) -> None:
    """Draw the card as of now, without refreshing it."""
    if compact:
        _one_line(run_dir, status, key, what)
        return
    with st.container(border=True, key=f"progress_{key}"):
        if what:
            st.caption(what)
        st.text(said or _head(run_dir, status))
        if status.active:
            st.progress(fraction(status))
        if detail := _detail(run_dir, status):
            st.caption(inert(detail))
        gemini_calls.show(run_dir, status)
        if status.error:
            st.text(words(status.error))
        _buttons(run_dir, status, key, plan=not said)
        with st.expander("Command and log", expanded=_unexplained(status)):
            _what_ran(run_dir)


def _one_line(run_dir: Path, status: Status, key: str, what: str) -> None:
    """Bar, counts, time left and a button; the rest unfolds from `More`."""
    if what:
        st.caption(what)
    looks: dict[str, Any] = {"vertical_alignment": "center", "gap": "xsmall"}
    with st.container(horizontal=True, key=f"progress_{key}", **looks):
        if status.active:
            st.progress(fraction(status), width=BAR_PX)
        st.caption(inert(_brief(run_dir, status)), width="content")
        _buttons(run_dir, status, key, plan=True)
        with st.popover("More", key=f"more_{key}"):
            if detail := _detail(run_dir, status):
                st.caption(inert(detail))
            gemini_calls.show(run_dir, status)
            _what_ran(run_dir)
    if status.error:
        st.text(status.error)


def _brief(run_dir: Path, status: Status) -> str:
    """State, count and time left in one line."""
    head, made = _head(run_dir, status), gemini_calls.brief(run_dir, status)
    if made:  # Cancelled (207 of 1,021 calls). What was finished is kept …
        return head.replace(". ", f" ({made}). ", 1)
    parts = (head, _counts(status), _left(status).removeprefix("about "))
    return " · ".join(part for part in parts if part)


def stopping(run_dir: Path, status: Status) -> bool:
    """Whether the worker is asked to stop and has not yet."""
    return status.active and (run_dir / "cancel").exists()


def _head(run_dir: Path, status: Status) -> str:
    if stopping(run_dir, status):
        return "Stopping …"
    finished = kept(run_dir)
    again = gemini_calls.again(run_dir, finished)
    own = gemini_calls.headline(run_dir, status)
    return own or headline(status, finished, again)


def headline(status: Status, kept: bool = True, again: str = "Resume") -> str:
    """State and stage in one line; for a run that ended early, what is left of it."""
    said = _SENTENCES[status.state]
    if status.state in ("cancelled", "failed", "died"):
        left = "What was finished is kept" if kept else "Nothing was finished yet"
        on = "tries again" if status.state == "failed" or not kept else "goes on"
        return f"{said}. {left}; " + (f"Resume {on}." if again == "Resume" else "probe again.")
    return f"{said}: {status.stage}" if status.stage and status.state == "running" else said


def fraction(status: Status) -> float:
    """Between 0 and 1; 0 while the total is not known."""
    return min(1.0, max(0.0, status.done / status.total)) if status.total else 0.0


def detail_line(status: Status, waiting: str = "") -> str:
    """Counts, rate and time left, as far as they are known.

    Args:
        waiting: what batch jobs do, whose rows come all at once: no rate, no time left.
    """
    parts = [_counts(status)]
    if status.active and status.rate and not _at_once(status):
        parts.append(f"{figures.nats(status.rate)} {status.unit} a second")
    parts.append(_left(status))
    if waiting:
        parts.append(waiting)
    elif status.message and status.state in ("starting", "running", "done"):
        parts.append(status.message)
    return " · ".join(part for part in parts if part)


def _detail(run_dir: Path, status: Status) -> str:
    waits = status.active and _at_once(status)
    return detail_line(status, gemini_calls.waiting(spending.read_stats(run_dir)) if waits else "")


def _at_once(status: Status) -> bool:
    return status.unit == "rows"


def _counts(status: Status) -> str:
    if not (status.total or status.done):
        return ""
    total = f" of {figures.count(status.total)}" if status.total else ""
    return f"{figures.count(status.done)}{total} {status.unit}".rstrip()


def _left(status: Status) -> str:
    """The time left; where that is over and calls are not, for how many the run waits."""
    if not status.active or status.eta_s is None or _at_once(status):
        return ""
    if round(status.eta_s) > 0:
        return f"about {figures.duration(status.eta_s)} left"
    last = (status.total or 0) - status.done
    calls = last > 0 and status.unit in gemini_calls.COUNTED  # rows have returned above
    return f"waiting for the last {last:,}" if calls else ""


def _buttons(run_dir: Path, status: Status, key: str, plan: bool) -> None:
    if status.active:
        st.button(
            "Cancel",
            key=f"cancel_{key}",
            disabled=stopping(run_dir, status),
            on_click=launch.cancel,
            args=(run_dir,),
            help="What is finished is kept.",
        )
    elif status.state == "waiting" and plan and st.button("See the plan", key=f"plan_{key}"):
        kind = next((kind for kind in _PAGES if f"-{kind}-" in run_dir.name), "")
        page = f"pages/{_PAGES.get(kind, 'gemini')}.py"
        st.switch_page(page, query_params={"run": run_dir.name})
    elif status.state in ("cancelled", "failed", "died"):
        _again(run_dir, key)


def _again(run_dir: Path, key: str) -> None:
    finished = kept(run_dir)
    weight: Weight = "primary" if finished else "secondary"
    if not st.button(gemini_calls.again(run_dir, finished), key=f"resume_{key}", type=weight):
        return
    try:
        with st.spinner("Starting …"):
            gemini_demo.revive(gemini_demo.address_of(run_dir))
            launch.resume(run_dir)
    except (KLExplorerError, OSError) as error:
        st.text(f"Resuming failed: {error}")
        return
    st.rerun()


def _unexplained(status: Status) -> bool:
    """Whether only the log can tell why the run ended."""
    return status.state == "died" or (status.state == "failed" and not status.error)


def _what_ran(run_dir: Path) -> None:
    if command := command_of(run_dir):
        st.code(command, language=None, wrap_lines=True)
    st.text(f"Run folder: {run_dir}")
    if log := launch.log_tail(run_dir):
        st.code(log, language=None, wrap_lines=True)


def command_of(run_dir: Path) -> str:
    """The command that did this run, as a person would type it."""
    try:
        command = runs.read_params(run_dir).get("command")
    except KLExplorerError:
        return ""
    if isinstance(command, list):
        return shlex.join(str(word) for word in command)
    return str(command or "")
