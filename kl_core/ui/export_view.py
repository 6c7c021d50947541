"""Carry out what is on the screen: every row of a view, with its order and filters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import streamlit as st

from kl_core.errors import KLExplorerError
from kl_core.store import (
    export,
    notes,
    notes_tables,
    restore,
    results_zip,
    summary,
    token_export,
)
from kl_core.store.export import Format
from kl_core.store.python_snippet import python_snippet
from kl_core.store.query import Cursor, Query
from kl_core.store.runs import RunInfo
from kl_core.store.token_export import Bounds
from kl_core.ui import cached, carry_commands, export_results, figures
from kl_core.ui.carry_commands import Words

MOST_ROWS, MOST_BYTES = 200_000, 200_000_000  # a download passes through the server's memory
FORMATS: dict[Format, tuple[str, str]] = {
    "csv": ("CSV", "text/csv"),
    "json": ("JSON", "application/json"),
    "parquet": ("Parquet", "application/vnd.apache.parquet"),
}


@dataclass(frozen=True, slots=True)
class Extra:
    """A file of a view that is not its rows: an object, a page with a figure.

    Attributes:
        label: of the button, ours.
        help: one line on what is in the file.
        ending: of the file's name.
        make: its bytes, called when the button is clicked.
        refuse: why it is not offered, in a sentence; empty where it is.
    """

    label: str
    help: str
    ending: str
    mime: str
    make: Callable[[Cursor], bytes]
    refuse: Callable[[Cursor], str] | None = None


@dataclass(frozen=True, slots=True)
class View:
    """Something that can be carried out.

    Attributes:
        name: as the reader picks it.
        stem: of the file's name, after the run's id.
        source: its rows, all pages; a callable where no query gives them.
        with_notes: rows of prompts, which gain `note` and `tags`.
        command: the words after `export RUN` that write the same rows, for what is too
            large; None where no command does.
    """

    name: str
    stem: str
    source: Query | Callable[[Cursor], pa.Table]
    with_notes: bool = False
    extras: tuple[Extra, ...] = ()
    command: Words | None = None


def popover(label: str, info: RunInfo, views: Sequence[View], key: str) -> None:
    """A button that opens the downloads of these views; nothing is computed until it is open."""
    if views:
        _popover(label, info, tuple(views), key)


@st.fragment
def _popover(label: str, info: RunInfo, views: tuple[View, ...], key: str) -> None:
    box = st.popover(label, width="stretch", key=f"{key}_box", on_change="rerun")
    if not box.open:
        return
    with box:
        names = {view.name: view for view in views}
        chosen = views[0]
        if len(views) > 1:
            picked = st.selectbox("What", list(names), key=f"{key}_what")
            chosen = names.get(picked or "", views[0])
        _view(info, chosen, f"{key}_{chosen.stem}")


def _view(info: RunInfo, view: View, key: str) -> None:
    try:
        here = cached.cursor(info.path)
        rows = _count(here, view.source)
    except KLExplorerError as error:
        st.text(str(error))
        return
    st.caption(f"{figures.counted(rows, 'row')}, all pages, as sorted and filtered.")
    if rows > MOST_ROWS:
        _too_large(info, view)
    else:
        with st.container(horizontal=True, gap="small"):
            for kind, (label, mime) in FORMATS.items():
                make = _maker(info.path, here, view, kind)
                _button(label, info, view, (kind, mime), make, key)
    if view.extras:
        with st.container(horizontal=True, gap="small"):
            for extra in view.extras:
                if extra.refuse is not None and (reason := extra.refuse(here)):
                    st.caption(reason)
                    continue
                make = _extra(here, extra)
                _button(extra.label, info, view, (extra.ending, extra.mime), make, key, extra.help)
    if isinstance(view.source, Query):
        st.caption("Copy as Python: the same rows with DuckDB, nothing of this app needed.")
        _python(info.path, view.source)


def _too_large(info: RunInfo, view: View) -> None:
    if view.command is None:
        st.caption("More than a browser should carry: use the Python below.")
        return
    st.caption("More than a browser should carry. In a terminal, to a file:")
    line = carry_commands.line(info, view.command, f"{view.stem}.parquet")
    st.code(line, language=None, wrap_lines=True)


def _button(
    label: str,
    info: RunInfo,
    view: View,
    kind: tuple[str, str],
    make: Callable[[], bytes],
    key: str,
    explained: str | None = None,
) -> None:
    st.download_button(
        label,
        make,
        f"{info.id}_{view.stem}.{kind[0]}",
        kind[1],
        key=f"{key}_{label}",
        on_click="ignore",
        help=explained,
    )


def _maker(run_dir: Path, here: Cursor, view: View, kind: Format) -> Callable[[], bytes]:
    """Called when the button is clicked, in a thread of its own, so with a cursor of its own."""

    def make() -> bytes:
        cursor = here.cursor()
        source = view.source if isinstance(view.source, Query) else view.source(cursor)
        change = notes_tables.beside_prompts(run_dir) if view.with_notes else None
        stream = BytesIO()
        export.write_to(stream, source, cursor, kind, change)
        return stream.getvalue()

    return _guarded(make)


def _extra(here: Cursor, extra: Extra) -> Callable[[], bytes]:
    return _guarded(lambda: extra.make(here.cursor()))


def _guarded(make: Callable[[], bytes]) -> Callable[[], bytes]:
    """An error becomes the file's text: a download has no other place for a sentence."""

    def made() -> bytes:
        try:
            return make()
        except KLExplorerError as error:
            return f"This could not be exported: {error}\n".encode()

    return made


def _count(cursor: Cursor, source: Query | Callable[[Cursor], pa.Table]) -> int:
    if not isinstance(source, Query):
        return int(source(cursor).num_rows)
    return Query(f"SELECT count(*) FROM ({source.sql})", source.arguments).number(cursor)


def _python(run_dir: Path, query: Query) -> None:
    try:
        st.code(python_snippet(run_dir, query), language="python", height=250, wrap_lines=True)
    except KLExplorerError as error:
        st.text(str(error))


def tokens_json(bounds: Bounds, text: str = "") -> Extra:
    """The object of `python -m kl_core tokens` for these bounds, where it is not too large.

    Args:
        text: what the list is searched for. The object knows no search: with one, it would
            hold other tokens than the list, and is not offered.
    """

    def refuse(cursor: Cursor) -> str:
        if text:
            return (
                "Tokens JSON holds every token within the bounds, whatever its text: clear the "
                "search to get it."
            )
        large = token_export.estimate_bytes(cursor, bounds)
        if large <= MOST_BYTES:
            return ""
        return (
            f"As the object of `python -m kl_core tokens`, with the text before each token, this "
            f"would be about {figures.size(large)}: raise the lower bound, or run that command."
        )

    return Extra(
        "Tokens JSON",
        "The object that `python -m kl_core tokens` writes: each token with the text before it.",
        "tokens.json",
        "application/json",
        lambda cursor: export.pretty_json(token_export.token_object(cursor, bounds)),
        refuse,
    )


def chart_html(name: str, run_summary: dict[str, Any]) -> Extra:
    """A chart of the registry as a page of its own, which loads nothing from outside."""

    def make(cursor: Cursor) -> bytes:
        from kl_core.plots.registry import CHARTS

        chart = CHARTS[name]
        figure = chart.standalone(chart.query().table(cursor), run_summary)
        html: str = figure.to_html(include_plotlyjs=True, full_html=True)
        return html.encode()

    return Extra("HTML", "The chart as a page of its own.", "html", "text/html", make)


def run_popover(info: RunInfo, run_summary: dict[str, Any], key: str = "export_run") -> None:
    """The whole run: its `_kl.json` files as a zip, its summary, its notes."""
    box = st.popover("Run files", type="tertiary", key=f"{key}_box", on_change="rerun")
    if box.open:
        with box:
            run_files(info, run_summary, key)


def run_files(info: RunInfo, run_summary: dict[str, Any], key: str) -> None:
    """What the popover holds."""
    st.caption("Result files (_kl.json) as a zip")
    reason, size_bytes = _results(str(info.path), cached.version(info.path))
    if reason:
        st.text(reason)
    else:
        tokens, prompts = run_summary.get("tokens") or 0, run_summary.get("prompts") or 0
        export_results.show(info.path, size_bytes, tokens, prompts, key)
    st.caption("Summary and notes")
    with st.container(horizontal=True, gap="small"):
        _whole("Summary", "summary.json", info, key, lambda: _summary(info.path))
        if (info.path / notes.NAME).exists():
            _whole("Notes", "notes.json", info, key, lambda: notes.raw(info.path) or b"")
    if fault := notes.problem(info.path):
        st.text(fault)


def _whole(label: str, ending: str, info: RunInfo, key: str, make: Callable[[], bytes]) -> None:
    st.download_button(
        label,
        _guarded(make),
        f"{info.id}_{ending}",
        "application/json",
        key=f"{key}_{ending}",
        on_click="ignore",
    )


def _summary(run_dir: Path) -> bytes:
    return export.pretty_json(summary.run_summary(run_dir))


@st.cache_data(max_entries=64, show_spinner=False)
def _results(run_dir: str, version: str) -> tuple[str, int]:
    """(why the run has no result files to give, "" where it has; about how large they are)."""
    try:
        cursor = cached.cursor(Path(run_dir))
        restore.check(cursor)
        return "", results_zip.estimate_bytes(cursor)
    except KLExplorerError as error:
        return f"{str(error)[:1].upper()}{str(error)[1:]}.", 0
