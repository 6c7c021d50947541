"""What the pages of runs of calls share: their options, headlines, and the way to the results."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import streamlit as st

from kl_core.errors import KLExplorerError
from kl_core.store import runs
from kl_core.ui import progress

Weight = Literal["primary", "secondary"]


@dataclass(frozen=True, slots=True)
class Headlines:
    """What a page says of a run that ended before anything was spent."""

    refused: str
    broken_off: str
    no_plan: str

    def of(self, state: runs.State, early: bool) -> str:
        """The headline; "" where the card's own will do.

        Args:
            early: nothing was spent yet.
        """
        if state == "waiting":
            return self.no_plan
        return (
            {"failed": self.refused, "cancelled": self.broken_off}.get(state, "") if early else ""
        )


def options_of(run_dir: Path, parse: Callable[[Sequence[str]], dict[str, Any]]) -> dict[str, Any]:
    """The options a run was started with, from its command; {} where that cannot be read."""
    try:
        words = shlex.split(progress.command_of(run_dir))
        frozen = runs.read_params(run_dir).get("request") or {}
    except (ValueError, KLExplorerError):
        return {}
    found = parse(words)
    if "input_dir" not in found and isinstance(frozen.get("input_dir"), str):
        found["input_dir"] = frozen["input_dir"]
    return found


def explore(run_dir: Path, key: str, primary: bool) -> None:
    """The way to the results."""
    weight: Weight = "primary" if primary else "secondary"
    if st.button("Open in Explore", type=weight, key=key):
        st.switch_page("pages/explore.py", query_params={"run": run_dir.name})


def watch(run_dir: Path, key: str) -> None:
    """The way to the results of a live run, as soon as there are some."""

    def look() -> None:
        if progress.kept(run_dir):
            explore(run_dir, key, primary=True)

    st.fragment(look, run_every=progress.POLL_S)()
