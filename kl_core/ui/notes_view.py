"""Notes and tags: a small form beside what they are on, and the list of all of a run."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from kl_core.errors import KLExplorerError
from kl_core.store import notes, notes_tables
from kl_core.store.notes import Note
from kl_core.ui import cached, figures, visible
from kl_core.ui.state import Explore

_MARK = " ●"


def editor(
    run_dir: Path,
    prompt_row: dict[str, Any],
    response_row: dict[str, Any] | None = None,
    position: int | None = None,
    key: str = "note",
    text: bool = False,
) -> None:
    """A button that opens the note on a prompt, a response or a token; marked where there is one.

    Args:
        prompt_row, response_row: as the queries give them (file, entry; slot).
        position: of the token; None for the whole response or prompt.
        text: show the note itself below the button too, where there is one.
    """
    slot = None if response_row is None else int(response_row["slot"])
    place = (str(prompt_row["file"]), int(prompt_row["entry"]), slot, position)
    _editor(run_dir, place, key, text)


@st.fragment
def _editor(run_dir: Path, place: notes.Key, key: str, text: bool) -> None:
    kept = notes.find(run_dir, place)
    what = "Note" if place[3] is None else f"Note at token {place[3]}"
    # a form of its own for each place and each saved state: it begins with what is kept
    name = f"{key}_{_digest(run_dir, place, kept.updated if kept else '')}"
    with st.popover(what + (_MARK if kept else ""), key=f"{key}_box"):
        with st.form(f"{name}_form", border=False):
            _fields(run_dir, place, kept, name)
        for fault in st.session_state.pop(f"{key}_fault", None) or [notes.problem(run_dir)]:
            if fault:
                st.text(fault)
    if text and kept is not None:
        st.text(_line(kept))


def _fields(run_dir: Path, place: notes.Key, kept: Note | None, name: str) -> None:
    st.text_area(
        "Note",
        value=kept.text if kept else "",
        key=f"{name}_text",
        max_chars=notes.LONGEST_TEXT,
        height=120,
    )
    counts = notes.tag_counts(run_dir)
    given = list(kept.tags) if kept else []
    st.multiselect(
        "Tags",
        list(dict.fromkeys([*given, *counts])),
        default=given,
        format_func=visible.plain,
        key=f"{name}_tags",
        accept_new_options=True,
        max_selections=notes.MOST_TAGS,
        placeholder="Choose, or type a new one",
    )
    seen = kept.updated if kept else ""
    key = name.rsplit("_", 1)[0]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.form_submit_button("Save", on_click=_save, args=(run_dir, place, seen, name, key))
        if kept:
            st.form_submit_button("Remove", on_click=_remove, args=(run_dir, place, key))
            st.caption(f"saved {kept.updated[:16].replace('T', ' ')} UTC", width="content")


def _save(run_dir: Path, place: notes.Key, seen: str, name: str, key: str) -> None:
    """Keep what the form holds; what is wrong with it is said below it."""
    text = str(st.session_state.get(f"{name}_text") or "")
    tags = tuple(str(tag) for tag in st.session_state.get(f"{name}_tags") or ())
    try:
        notes.save(run_dir, Note(*place, text, tags), seen)
    except KLExplorerError as error:
        # the form begins anew with what is kept now, so what was typed is shown below it
        lost = [f"You typed: {visible.lines(text)}"] if _updated(run_dir, place) != seen else []
        st.session_state[f"{key}_fault"] = [f"Not saved: {error}.", *lost]


def _updated(run_dir: Path, place: notes.Key) -> str:
    kept = notes.find(run_dir, place)
    return kept.updated if kept else ""


def _remove(run_dir: Path, place: notes.Key, key: str) -> None:
    try:
        notes.remove(run_dir, place)
    except KLExplorerError as error:
        st.session_state[f"{key}_fault"] = [f"Not removed: {error}."]


def _line(note: Note) -> str:
    tags = " ".join(f"#{visible.plain(tag)}" for tag in note.tags)
    return " ".join(part for part in (visible.lines(note.text), tags) if part)


_COLUMNS = {
    "prompt": st.column_config.TextColumn("prompt", width=180),
    "place": st.column_config.TextColumn("on", width=130, help="What the note is on"),
    "token": st.column_config.TextColumn("token", width=90),
    "note": st.column_config.TextColumn("note", width=300),
    "tags": st.column_config.ListColumn("tags", width=140),
    "updated": st.column_config.TextColumn("saved", width=120, help="In UTC"),
}


def popover(run_dir: Path, place: Explore, key: str = "notes_list") -> None:
    """A button; the list of all notes of the run opens beneath it."""
    box = st.popover("Notes", type="tertiary", key=f"{key}_box", on_change="rerun")
    if box.open:
        with box:
            overview(run_dir, place)


def overview(run_dir: Path, place: Explore) -> None:
    """Every note of a run; a click on one opens what it is on."""
    if fault := notes.problem(run_dir):
        st.text(fault)
    rows = notes_tables.table(run_dir, cached.cursor(run_dir)).to_pylist()
    if not rows:
        st.caption("No notes yet. The button Note beside a prompt or a token makes one.")
        return
    key = f"notes_{run_dir.name}_{place.jump}"  # a table of its own after each jump

    def clicked() -> None:
        cells = st.session_state[key]["selection"]["cells"]
        if cells:
            _open(rows[cells[0][0]], place)

    st.caption(f"{figures.counted(len(rows), 'note')}; click one to go there.")
    st.dataframe(
        pd.DataFrame([_shown(row) for row in rows]),
        key=key,
        on_select=clicked,
        selection_mode="single-cell",
        hide_index=True,
        column_config=_COLUMNS,
        height=min(38 + 35 * len(rows), 420),
    )


def _open(row: dict[str, Any], place: Explore) -> None:
    if row["prompt_id"] is None:
        return
    if row["slot"] is not None:
        place.open(row["prompt_id"], row["slot"], row["position"])
        return
    place.view = None
    place.choose_prompt(row["prompt_id"])
    place.jump += 1


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """A note's row of the table; text is shown as it is there, never rendered."""
    where = "prompt" if row["slot"] is None else f"response {row['slot'] + 1}"
    where += "" if row["position"] is None else f", token {row['position']}"
    gone = row["prompt_id"] is None
    return {
        "prompt": figures.one_line(f"not in this run: {row['file']}" if gone else row["prompt"]),
        "place": where,
        "token": "" if row["token"] is None else visible.plain(row["token"]),
        "note": visible.lines(row["text"]),
        "tags": [visible.plain(tag) for tag in row["tags"]],
        "updated": row["updated"][:16].replace("T", " "),
    }


def _digest(run_dir: Path, place: notes.Key, updated: str) -> str:
    text = f"{run_dir.name}\0{place!r}\0{updated}"
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]
