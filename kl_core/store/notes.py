"""Notes and tags on prompts, responses and tokens: `notes.json` beside a run.

A note is found by file, entry, slot and position, not by the run's own numbers, so that it
stays with its text when the run is resumed, or its notes.json is copied to a run made anew.
The database is never touched. Notes may come from other people: their text is data.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kl_core.errors import InputError, RunError
from kl_core.store.files import write_json

NAME, LOCK = "notes.json", ".notes.lock"
FORMAT_VERSION = 1
LONGEST_TEXT, LONGEST_TAG, MOST_TAGS, MOST_NOTES = 20_000, 50, 20, 10_000
LARGEST_FILE = 64 * 2**20
Key = tuple[str, int, int | None, int | None]


@dataclass(frozen=True, slots=True)
class Note:
    """One note with its tags.

    Attributes:
        file, entry: the prompt, by its place in the input.
        slot: of the response; None for a note on the prompt.
        position: of the token; None for a note on the whole response or prompt.
        updated: when it was saved, ISO 8601 in UTC; set by `save`.
    """

    file: str
    entry: int
    slot: int | None = None
    position: int | None = None
    text: str = ""
    tags: tuple[str, ...] = ()
    updated: str = ""

    @property
    def key(self) -> Key:
        """What it is on."""
        return (self.file, self.entry, self.slot, self.position)


def read(run_dir: Path) -> tuple[Note, ...]:
    """Every note of a run in order of place; none where the file cannot be read (see `problem`)."""
    try:
        return _load(run_dir)
    except RunError:
        return ()


def problem(run_dir: Path) -> str:
    """What is wrong with the run's notes, in one sentence; empty where nothing is."""
    try:
        _load(run_dir)
    except RunError as error:
        return str(error)
    aside = [path.name for path in _set_aside(run_dir)]
    if not aside:
        return ""
    return (
        f"{aside[-1]} holds notes that could not be read and were set aside; repair it and move it "
        f"back to {NAME}, or delete it"
    )


def raw(run_dir: Path) -> bytes | None:
    """The file as it stands, None without one."""
    try:
        return (run_dir / NAME).read_bytes()
    except FileNotFoundError:
        return None


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
    """
    fresh = replace(_checked(note), updated=datetime.now(UTC).isoformat())

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
    """Take a note away; False where there is none."""

    def change(found: dict[Key, Note]) -> Note | None:
        return found.pop(key, None)

    return _change(run_dir, change) is not None


def clean_tags(tags: Sequence[str]) -> tuple[str, ...]:
    """Tags as they are kept: trimmed, each once, in the order given.

    Raises:
        InputError: too many, or one too long.
    """
    found = dict.fromkeys(" ".join(_sound(tag).replace(",", " ").split()) for tag in tags)
    found.pop("", None)
    if len(found) > MOST_TAGS:
        raise InputError(f"a note has at most {MOST_TAGS} tags, this has {len(found)}; drop some")
    long = next((tag for tag in found if len(tag) > LONGEST_TAG), None)
    if long is not None:
        raise InputError(
            f"a tag has at most {LONGEST_TAG} characters, {long[:20]!r}… has {len(long)}; "
            "shorten it"
        )
    return tuple(found)


def _checked(note: Note) -> Note:
    text = _sound(note.text).strip()
    if len(text) > LONGEST_TEXT:
        raise InputError(
            f"a note has at most {LONGEST_TEXT:,} characters, this has {len(text):,}; shorten it"
        )
    return replace(note, text=text, tags=clean_tags(note.tags))


def _sound(text: str) -> str:
    """Lone surrogates replaced: no file can hold them."""
    return text.encode("utf-8", "replace").decode()


def _change(run_dir: Path, change: Callable[[dict[Key, Note]], Note | None]) -> Note | None:
    """Read, change and write under the lock; a file that cannot be read is set aside first."""
    with _locked(run_dir):
        try:
            found = {note.key: note for note in _load(run_dir)}
        except RunError:
            _put_aside(run_dir)
            found = {}
        result = change(found)
        rows = [asdict(note) for note in sorted(found.values(), key=_place)]
        write_json(run_dir / NAME, {"format_version": FORMAT_VERSION, "notes": rows})
    return result


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


def _load(run_dir: Path) -> tuple[Note, ...]:
    """The notes of the file.

    Raises:
        RunError: the file is not what `save` writes, with what happens to it.
    """
    path = run_dir / NAME
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ValueError(f"it is larger than {LARGEST_FILE / 2**20:.0f} MB")
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["format_version"] > FORMAT_VERSION:
            raise ValueError(f"it has format {record['format_version']}, made by a newer version")
        return tuple(map(_note, record["notes"]))
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, KeyError, TypeError, InputError, RecursionError) as error:
        what = " ".join(str(error).split())[:120] or type(error).__name__
        raise RunError(
            f"{NAME} of run {run_dir.name} cannot be read ({what}); repair it, or the next note "
            "sets it aside as notes.broken-1.json"
        ) from error


def _note(row: dict[str, Any]) -> Note:
    note = Note(**row | {"tags": tuple(row["tags"])})
    if not all(isinstance(one, str) for one in (note.file, note.text, note.updated, *note.tags)):
        raise TypeError("a note's text is no text")
    for number in (note.entry, 0 if note.slot is None else note.slot, note.position or 0):
        if type(number) is not int or not 0 <= number < 2**31:
            raise TypeError(f"a note is on {number!r}, which is no place")
    checked = _checked(note)
    if checked != note:
        raise ValueError("a note is not as it would have been saved")
    return note


def _set_aside(run_dir: Path) -> list[Path]:
    return sorted(run_dir.glob("notes.broken-*.json"))


def _put_aside(run_dir: Path) -> None:
    number = 1
    while (target := run_dir / f"notes.broken-{number}.json").exists():
        number += 1
    (run_dir / NAME).rename(target)
