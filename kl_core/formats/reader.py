"""Read a folder, a file or a zip of response and result files, one entry at a time."""

from __future__ import annotations

import gc
import zipfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kl_core.errors import FormatError, InputError
from kl_core.formats.decode import BAD_LINE, documents
from kl_core.formats.discover import (
    DEFAULT_PATTERN,
    Skipped,
    SourceFile,
    folder_files,
    single_file,
)
from kl_core.formats.entries import read_entry
from kl_core.formats.limits import check_size, read_all
from kl_core.formats.notes import Notes
from kl_core.formats.tokens import TokenTables
from kl_core.formats.zips import zip_files
from kl_core.records import Entry, ProblemLog, ScoredEntry

Progress = Callable[[int, int], None]


def discover(root: Path, pattern: str | None, log: ProblemLog) -> list[SourceFile]:
    """The files to read below `root` (folder, zip or one file), sorted by name.

    Args:
        root: a folder, a zip or a file.
        pattern: comma-separated file name patterns; None for JSON, JSON lines and
            gzip of them.
        log: takes a row for every kind of file that was set aside.

    Raises:
        InputError: there is no such path, or it cannot be opened.
    """
    root = Path(root)
    skipped = Skipped()
    if root.is_dir():
        found = list(folder_files(root, pattern, skipped))
    elif not root.exists():
        raise InputError(f"{root} does not exist; give a folder, a zip or a response file.")
    elif root.suffix.lower() == ".zip" or _is_zip(root):
        found = list(zip_files(root, pattern, skipped))
    else:
        found = [single_file(root)]
    skipped.flush(log)
    if not found:
        log.add(
            "",
            "",
            f"no file in {root.name or root} fits {pattern or DEFAULT_PATTERN}",
            "Check the folder and the pattern.",
        )
    return sorted(found, key=lambda file: file.name)


def _is_zip(path: Path) -> bool:
    try:
        return zipfile.is_zipfile(path) and path.open("rb").read(2) == b"PK"
    except OSError:
        return False


def read_entries(
    root: Path,
    pattern: str | None,
    log: ProblemLog,
    max_files: int | None = None,
    progress: Progress | None = None,
) -> Iterator[Entry | ScoredEntry]:
    """Every entry below `root`, file by file in order of their names.

    At most one file is in memory at a time. What cannot be used becomes a row of
    `log`, added when its file is finished; one bad file, entry, response or position
    never loses the others.

    Args:
        root: a folder, a zip or a file.
        pattern: as for `discover`.
        log: takes the problems.
        max_files: read only the first so many files.
        progress: called after each file with (files done, files in all).
    """
    files = discover(root, pattern, log)[:max_files]
    tables = TokenTables()
    for done, file in enumerate(files, 1):
        yield from read_file(file, log, tables)
        if progress is not None:
            progress(done, len(files))


def read_file(
    file: SourceFile, log: ProblemLog, tables: TokenTables | None = None
) -> Generator[Entry | ScoredEntry, None, None]:
    """The entries of one file; problems go to `log` when it is finished."""
    notes = Notes(file.name)
    tables = TokenTables() if tables is None else tables
    try:
        count, raws = _raw_entries(file, notes)
        for index, (where, raw) in enumerate(raws):
            if raw is BAD_LINE:
                continue
            entry = _guarded(raw, (file.name, index, count), where, notes, tables)
            if entry is not None:
                yield entry
    except FormatError as error:
        notes.add("file", error.where, "file", error.reason, error.hint)
    finally:
        notes.flush(log)


def _raw_entries(file: SourceFile, notes: Notes) -> tuple[int, Iterator[tuple[str, Any]]]:
    check_size(file.size_bytes)
    try:
        stream = file.opener()
    except (OSError, RuntimeError, NotImplementedError, ValueError, zipfile.BadZipFile) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise FormatError(f"it cannot be opened: {reason}", hint="Check the file.") from error
    lines = ".jsonl" in file.name.lower()
    with stream:
        data = read_all(stream, file.packed_bytes)
    with _collector_paused():
        count, raws = documents(data, lines, notes)
    if count == 0:
        notes.add("file", "$", "none", "the file holds no entries", "Check how it was made.")
    return count, raws


def _guarded(
    raw: Any, place: tuple[str, int, int], where: str, notes: Notes, tables: TokenTables
) -> Entry | ScoredEntry | None:
    """One entry, or None and a note: nothing in a file may stop the import."""
    try:
        with _collector_paused():
            return read_entry(raw, place, where, notes, tables)
    except FormatError as error:
        notes.add("entries", error.where, error.reason, error.reason, error.hint)
    except Exception as error:  # a last guard: hostile input must not end a long import
        notes.add(
            "entries",
            where,
            f"unexpected {type(error).__name__}",
            f"the entry could not be read: {type(error).__name__}: {error}",
            "Please report this with the file.",
        )
    return None


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Keep the garbage collector from walking thousands of new records again and again.

    Records have no cycles; it saves a quarter of the time of an import.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
