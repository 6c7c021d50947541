"""Queries of the pages: connections cached per run and version, one cursor a rerun."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import streamlit as st

from kl_core.store import notes, notes_tables, queries, runs
from kl_core.store.filters import PromptFilter
from kl_core.store.query import Cursor


@st.cache_resource(max_entries=8, show_spinner=False)
def _connection(run_dir: str, version: str) -> queries.RunConnection:
    return queries.open_run(Path(run_dir))


_PINNED = "live_versions"


def version(run_dir: Path) -> str:
    """What of the run is shown: its newest database, or a live run as it was looked at last.

    A live run stands still for the reader until `refresh`: what has come since would move
    the table under the hand, and read every part again at each click.
    """
    now = queries.run_version(run_dir)
    pinned: dict[str, str] = st.session_state.setdefault(_PINNED, {})
    if not now.startswith("live-") or pinned.get(run_dir.name) in (None, "live-0"):
        pinned[run_dir.name] = now
    return pinned[run_dir.name]


def refresh(run_dir: Path) -> None:
    """Show what a live run has finished since."""
    st.session_state.get(_PINNED, {}).pop(run_dir.name, None)


def cursor(run_dir: Path) -> Cursor:
    """A cursor on the run as it is now; the connection behind it is shared.

    Raises:
        RunError: nothing readable is there.
    """
    return _connection(str(run_dir), version(run_dir)).cursor()


def prompts(
    run_dir: Path, sort: str, descending: bool, limit: int, offset: int, where: PromptFilter
) -> pa.Table:
    """A page of the prompt table."""
    return queries.prompts(cursor(run_dir), sort, descending, limit, offset, where)


def prompt_order(run_dir: Path, sort: str, descending: bool, where: PromptFilter) -> list[int]:
    """Every matching prompt_id in the order of the table."""
    return _prompt_order(str(run_dir), version(run_dir), sort, descending, where)


@st.cache_data(max_entries=8, show_spinner=False)
def _prompt_order(
    run_dir: str, version: str, sort: str, descending: bool, where: PromptFilter
) -> list[int]:
    cursor_here = _connection(run_dir, version).cursor()
    return queries.prompt_order(cursor_here, sort, descending, where)


def summary(run_dir: Path) -> dict[str, Any]:
    """Run-level figures, read once a version."""
    return _summary(str(run_dir), version(run_dir))


@st.cache_data(max_entries=32, show_spinner=False)
def _summary(run_dir: str, version: str) -> dict[str, Any]:
    return queries.summary(_connection(run_dir, version).cursor())


@st.cache_data(max_entries=64, show_spinner=False)
def request(run_dir: Path) -> dict[str, Any]:
    """What the run was asked: options that stay as they are once they are there.

    Raises:
        RunError: its params.json is unreadable.
    """
    return runs.run_info(run_dir).request


def shared_contexts(run_dir: Path) -> int | None:
    """How many different contexts a free comparison compared; None for other runs and live ones.

    Raises:
        RunError: its params.json is unreadable.
    """
    return runs.read_params(run_dir).get("shared_contexts")


def scales(run_dir: Path) -> dict[str, dict[str, float | None]]:
    """Measure → quantiles over the run, read once a version."""
    return _scales(str(run_dir), version(run_dir))


@st.cache_data(max_entries=32, show_spinner=False)
def _scales(run_dir: str, version: str) -> dict[str, dict[str, float | None]]:
    return queries.scales(_connection(run_dir, version).cursor())


def facets(run_dir: Path) -> dict[str, dict[str, int]]:
    """Values that prompts can be filtered by, read once a version."""
    return _facets(str(run_dir), version(run_dir))


@st.cache_data(max_entries=32, show_spinner=False)
def _facets(run_dir: str, version: str) -> dict[str, dict[str, int]]:
    return queries.facets(_connection(run_dir, version).cursor())


def tag_counts(run_dir: Path) -> dict[str, int]:
    """Tag → how many notes of the run have it; read anew, as notes change at any time."""
    return notes.tag_counts(run_dir)


def tagged(run_dir: Path, tags: tuple[str, ...]) -> tuple[int, ...]:
    """Ids of the prompts with a note that has one of the tags."""
    return notes_tables.tagged(run_dir, cursor(run_dir), tags)
