"""Notes and tags on prompts, responses and tokens: `notes.json` beside a run.

A note is found by file, entry, slot and position, not by the run's own numbers, so that it
stays with its text when the run is resumed, or its notes.json is copied to a run made anew.
The database is never touched. Notes may come from other people: their text is data.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from kl_core.errors import InputError, RunError
from kl_core.store.files import write_json
from kl_core.store.notes_file import (
    FORMAT_VERSION,
    LONGEST_TAG,
    LONGEST_TEXT,
    MOST_TAGS,
    NAME,
    Key,
    Note,
    checked,
    clean_tags,
    load,
    next_aside,
    set_aside,
)

__all__ = [
    "LONGEST_TAG",
    "LONGEST_TEXT",
    "MOST_TAGS",
    "NAME",
    "Key",
    "Note",
    "clean_tags",
    "find",
    "problem",
    "raw",
    "read",
    "remove",
    "save",
    "tag_counts",
]
LOCK = ".notes.lock"
MOST_NOTES = 10_000


def read(run_dir: Path) -> tuple[Note, ...]:
    """The notes of a run as they lie; what cannot be read is left out (see `problem`)."""
    try:
        return load(run_dir).notes
    except RunError:
        return ()


def problem(run_dir: Path) -> str:
    """What is wrong with the run's notes, in one sentence; empty where nothing is."""
    try:
        found = load(run_dir)
    except RunError as error:
        return str(error)
    if found.bad:
        every = found.bad + len(found.notes)
        return (
            f"{found.bad:,} of {every:,} notes in {NAME} of run {run_dir.name} cannot be read "
            f"(the first: {found.reason}); repair the file, or the next note moves it aside as "
            f"{next_aside(run_dir).name} and keeps the others"
        )
    aside = [path.name for path in set_aside(run_dir)]
    if not aside:
        return ""
    return (
        f"{aside[-1]} holds notes that could not be read and were set aside; repair them and copy "
        f"them into {NAME}, or delete it"
    )


def raw(run_dir: Path) -> bytes | None:
    """The file as it stands, None without one.

    Raises:
        RunError: it cannot be read.
    """
    try:
        return (run_dir / NAME).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RunError(
            f"{NAME} of run {run_dir.name} cannot be read ({error.strerror}); check it"
        ) from error


def find(run_dir: Path, key: Key) -> Note | None:
    """The note on one thing."""
    return next((note for note in read(run_dir) if note.key == key), None)


def tag_counts(run_dir: Path) -> dict[str, int]:
    """Tag → notes with it, the most first."""
    counts = Counter(tag for note in read(run_dir) for tag in note.tags)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def save(run_dir: Path, note: Note, seen: str | None = None) -> Note | None:
    """Keep a note in place of the one with its key; without text and tags, remove that.

    Args:
        seen: `updated` of the note that was on the screen ("" for none); a note that was
            changed elsewhere since is kept. None replaces whatever is there.

    Returns:
        The note as kept, None where it was removed.

    Raises:
        InputError: it is too large, or was changed elsewhere.
        RunError: the file cannot be written.
    """
    fresh = replace(checked(note), updated=datetime.now(UTC).isoformat())

    def change(found: dict[Key, Note]) -> Note | None:
        before = found.get(fresh.key)
        if seen is not None and seen != (before.updated if before else ""):
            raise InputError("this note was changed elsewhere meanwhile; reload the page to see it")
        found.pop(fresh.key, None)
        if not fresh.text and not fresh.tags:
            return None
        if len(found) >= MOST_NOTES:
            raise InputError(f"a run holds at most {MOST_NOTES:,} notes; remove some first")
        found[fresh.key] = fresh
        return fresh

    return _change(run_dir, change)


def remove(run_dir: Path, key: Key) -> bool:
    """Take a note away; False where there is none.

    Raises:
        RunError: the file cannot be written.
    """

    def change(found: dict[Key, Note]) -> Note | None:
        return found.pop(key, None)

    return _change(run_dir, change) is not None


def _change(run_dir: Path, change: Callable[[dict[Key, Note]], Note | None]) -> Note | None:
    """Read, change and write under the lock; a file not read whole is kept aside first."""
    try:
        with _locked(run_dir):
            found, keep_aside = _readable(run_dir)
            by_key = {note.key: note for note in found}
            result = change(by_key)
            rows = [asdict(note) for note in sorted(by_key.values(), key=_place)]
            keep_aside()
            write_json(run_dir / NAME, {"format_version": FORMAT_VERSION, "notes": rows})
    except OSError as error:
        raise RunError(
            f"the notes of run {run_dir.name} cannot be written ({error.strerror}); see whether "
            "its folder is still there, and the disk neither full nor read-only"
        ) from error
    return result


def _readable(run_dir: Path) -> tuple[tuple[Note, ...], Callable[[], object]]:
    """The notes that can be read, and what keeps the file as it is where that is not all."""
    path = run_dir / NAME
    try:
        found = load(run_dir)
    except RunError:
        return (), lambda: path.rename(next_aside(run_dir))
    if found.bad:  # a copy: the others stay where they are until the new file is written
        return found.notes, lambda: shutil.copyfile(path, next_aside(run_dir))
    return found.notes, lambda: None


@contextmanager
def _locked(run_dir: Path) -> Iterator[None]:
    """Alone with the notes; where the system has no such lock (Windows), merely quick."""
    with open(run_dir / LOCK, "a", encoding="utf-8") as stream:
        with suppress(ImportError):
            import fcntl

            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _place(note: Note) -> tuple[str, int, int, int]:
    slot = -1 if note.slot is None else note.slot
    return (note.file, note.entry, slot, -1 if note.position is None else note.position)
