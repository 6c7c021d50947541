"""Bring responses in: a directory or a zip from the browser, or a folder of this machine."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from kl_core.errors import KLExplorerError
from kl_core.jobs import launch
from kl_core.ui import figures, folders

Way = Callable[[str, str], Path | None]
_WAYS = ["A folder on this machine", "A directory from the browser", "A zip from the browser"]


def picker(key: str, verb: str, more: Mapping[str, Way] | None = None) -> Path | None:
    """Ask for responses; returns the folder (or archive) once the user pressed the button.

    Args:
        verb: what the button says, such as "Import".
        more: further ways by their names, asked with `key` and `verb`.
    """
    more = more or {}
    way = st.selectbox("Responses from", [*_WAYS, *more], key=f"{key}_way")
    if way in more:
        return more[way](key, verb)
    if way == _WAYS[0]:
        return _server_folder(key, verb)
    if way == _WAYS[1]:
        return _directory(key, verb)
    return _zip(key, verb)


def _server_folder(key: str, verb: str) -> Path | None:
    text = st.text_input(
        "Folder or zip",
        key=f"{key}_folder",
        placeholder="sample_data/responses",
        help="Read in place, nothing is copied: the way for large directories.",
    )
    roots = "\n".join(str(root) for root in folders.allowed_roots())
    with st.expander("Folders this app may read"):
        st.text(f"{roots}\n\nMore: start the app with KL_DATA_ROOTS=/path/one:/path/two")
    if not st.button(verb, key=f"{key}_folder_go", type="primary", disabled=not text.strip()):
        return None
    try:
        return folders.allowed_folder(text)
    except KLExplorerError as error:
        st.text(f"That folder cannot be read: {error}.")
        return None


def _directory(key: str, verb: str) -> Path | None:
    limit = folders.UPLOAD_LIMIT
    files: list[Any] = (
        st.file_uploader(
            f"Up to {limit} files; for more, use a zip or a folder on this machine",
            accept_multiple_files="directory",
            key=f"{key}_dir",
        )
        or []
    )
    shown = [file for file in files if not folders.hidden(file.name)]
    if not shown:
        st.caption("Browsers lose files above some hundreds at a time, so the count is checked.")
        return None
    announced = st.number_input(
        "How many files should there be? (0: do not check)",
        0,
        key=f"{key}_announced",
        help="If fewer arrive than you expect, nothing is imported until you say so.",
    )
    st.text(arrival_line(len(shown), len(files) - len(shown), int(announced)))
    too_many = len(shown) > limit
    missing = bool(announced) and len(shown) != announced
    anyway = missing and st.checkbox("Use what arrived anyway", key=f"{key}_anyway")
    ready = not too_many and (not missing or anyway)
    if not st.button(verb, key=f"{key}_dir_go", type="primary", disabled=not ready):
        return None
    return _keep(shown)


def _zip(key: str, verb: str) -> Path | None:
    file = st.file_uploader("One zip of response files", type=["zip"], key=f"{key}_zip")
    if file is None:
        st.caption("Checked on import: entries that escape the folder and zip bombs are refused.")
        return None
    st.text(f"{file.name}: {figures.size(file.size)} arrived.")
    if not st.button(verb, key=f"{key}_zip_go", type="primary"):
        return None
    folder = _keep([file])
    return folder / folders.safe_relative(file.name) if folder else None


def arrival_line(arrived: int, hidden: int, announced: int) -> str:
    """What came in, against what was announced."""
    line = f"{figures.counted(arrived, 'file')} arrived."
    if hidden:
        line += f" {figures.counted(hidden, 'hidden file')} left out."
    if arrived > folders.UPLOAD_LIMIT:
        line += (
            f" That is more than {folders.UPLOAD_LIMIT}: some may be missing. "
            "Use a zip or a folder on this machine."
        )
    elif announced and arrived != announced:
        line += f" {figures.count(announced)} announced: the upload is not complete."
    return line


def _keep(files: Sequence[Any]) -> Path | None:
    folder = folders.new_upload_folder()
    kept, left_out = folders.keep(folder, ((file.name, file) for file in files))
    for reason in left_out:
        st.text(f"Left out: {reason}.")
    if not kept:
        st.text("Nothing could be kept of this upload, so nothing was imported.")
        return None
    inside = [path for path in folder.iterdir() if path.is_dir()]
    # an uploaded directory keeps its own name, the run is called after it
    return inside[0] if len(inside) == 1 and len(list(folder.iterdir())) == 1 else folder


def start_import(folder: Path) -> Path:
    """Start importing a folder; a repeated click while it runs starts nothing new."""
    running = st.session_state.get("import_run")
    if running is None or not launch.status(running).active:
        st.session_state["import_nonce"] = uuid.uuid4().hex
    run_dir = launch.start("import", {"input_dir": str(folder)}, st.session_state["import_nonce"])
    st.session_state["import_run"] = run_dir
    return run_dir
