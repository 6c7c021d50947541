"""Bring responses in: a directory or a zip from the browser, or a folder of this machine."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from kl_core.errors import KLExplorerError
from kl_core.jobs import launch
from kl_core.ui import figures, folders

Way = Callable[[str, str], Path | None]
_WAYS = ["A folder on this machine", "A directory from the browser", "A zip from the browser"]


@dataclass(frozen=True, slots=True)
class Chosen:
    """Responses that were named, or that arrived from the browser.

    Attributes:
        way: `folder`, `dir` or `zip`.
        ready: whether they may be taken; only what is complete is.
        take: the folder or archive once a button was pressed; None where it cannot be used,
            which it says.
    """

    way: str
    ready: bool
    take: Callable[[], Path | None]


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
    chosen = _by(way, key)
    if chosen is None or not button(key, verb, chosen):
        return None
    return chosen.take()


def choose(key: str, whose: str = "") -> Chosen | None:
    """The same without the button; None until there is something to take.

    Args:
        whose: ends the labels, such as " of model 2", where another choice stands above.
    """
    return _by(st.selectbox(f"Responses{whose} from", _WAYS, key=f"{key}_way"), key, whose)


def button(key: str, verb: str, chosen: Chosen, ready: bool = True) -> bool:
    """The button below a choice; True when it was pressed."""
    off = not (chosen.ready and ready)
    return st.button(verb, key=f"{key}_{chosen.way}_go", type="primary", disabled=off)


def _by(way: str, key: str, whose: str = "") -> Chosen | None:
    if way == _WAYS[0]:
        return _server_folder(key, whose)
    return _directory(key) if way == _WAYS[1] else _zip(key)


def _server_folder(key: str, whose: str) -> Chosen:
    text = st.text_input(
        f"Folder or zip{whose}",
        key=f"{key}_folder",
        placeholder="sample_data/responses" if not whose else "",
        help="Read in place, nothing is copied: the way for large directories.",
    )
    if not whose:  # once is enough
        roots = "\n".join(str(root) for root in folders.allowed_roots())
        with st.expander("Folders this app may read"):
            st.text(f"{roots}\n\nMore: start the app with KL_DATA_ROOTS=/path/one:/path/two")

    def take() -> Path | None:
        try:
            return folders.allowed_folder(text)
        except KLExplorerError as error:
            st.text(f"That folder cannot be read: {error}.")
            return None

    return Chosen("folder", bool(text.strip()), take)


def _directory(key: str) -> Chosen | None:
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
    return Chosen("dir", ready, lambda: _keep(shown))


def _zip(key: str) -> Chosen | None:
    file = st.file_uploader("One zip of response files", type=["zip"], key=f"{key}_zip")
    if file is None:
        st.caption("Checked on import: entries that escape the folder and zip bombs are refused.")
        return None
    st.text(f"{file.name}: {figures.size(file.size)} arrived.")

    def take() -> Path | None:
        folder = _keep([file])
        return folder / folders.safe_relative(file.name) if folder else None

    return Chosen("zip", True, take)


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


def start_import(folder: Path, against: Path | None = None) -> Path:
    """Start importing a folder; a repeated click while it runs starts nothing new.

    Args:
        against: responses of another model, to compare with.
    """
    asked = (str(folder), str(against) if against else None)
    running = st.session_state.get("import_run")
    live = running is not None and launch.status(running).active
    if not live or st.session_state.get("import_asked") != asked:
        st.session_state["import_nonce"] = uuid.uuid4().hex
    options = {"input_dir": asked[0], "against": asked[1]}
    run_dir = launch.start("import", options, st.session_state["import_nonce"])
    st.session_state["import_run"], st.session_state["import_asked"] = run_dir, asked
    return run_dir
