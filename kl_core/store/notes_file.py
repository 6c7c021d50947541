"""What a `notes.json` holds, read strictly: it may come from other people.

A row that is not exactly what would have been saved is left out and counted; a file that
is no list of notes at all is refused as a whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from kl_core.errors import InputError, RunError

NAME = "notes.json"
FORMAT_VERSION = 1
LONGEST_TEXT, LONGEST_TAG, MOST_TAGS = 20_000, 50, 20
LARGEST_FILE = 64 * 2**20
Key = tuple[str, int, int | None, int | None]
_WHEN = re.compile(r"[0-9TZ:.+-]{0,40}")


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


_FIELDS = {field.name for field in fields(Note)}


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


def checked(note: Note) -> Note:
    """The note as it is kept.

    Raises:
        InputError: it is too large.
    """
    text = _sound(note.text).strip()
    if len(text) > LONGEST_TEXT:
        raise InputError(
            f"a note has at most {LONGEST_TEXT:,} characters, this has {len(text):,}; shorten it"
        )
    return replace(note, text=text, tags=clean_tags(note.tags))


def _sound(text: str) -> str:
    """Lone surrogates replaced: no file can hold them."""
    return text.encode("utf-8", "replace").decode()


@dataclass(frozen=True, slots=True)
class Found:
    """What a file holds: its notes, how many rows are none, and why the first is none."""

    notes: tuple[Note, ...] = ()
    bad: int = 0
    reason: str = ""


def load(run_dir: Path) -> Found:
    """The notes of a run's file.

    Raises:
        RunError: the file as a whole is not what `save` writes, with what happens to it.
    """
    path = run_dir / NAME
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ValueError(f"it is larger than {LARGEST_FILE / 2**20:.0f} MB")
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["format_version"] > FORMAT_VERSION:
            raise ValueError(f"it has format {record['format_version']}, made by a newer version")
        if not isinstance(record["notes"], list):
            raise TypeError("its notes are no list")
    except FileNotFoundError:
        return Found()
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        what = " ".join(str(error).split())[:120] or type(error).__name__
        raise RunError(
            f"{NAME} of run {run_dir.name} cannot be read ({what}); repair it, or the next note "
            f"sets it aside as {next_aside(run_dir).name}"
        ) from error
    return _sorted_out(record["notes"])


def _sorted_out(rows: list[Any]) -> Found:
    """Every row that is a note; of two on one thing the first."""
    kept: dict[Key, Note] = {}
    reasons = []
    for row in rows:
        try:
            note = _note(row)
            if note.key in kept:
                raise ValueError("two notes are on the same thing")
            kept[note.key] = note
        except (ValueError, TypeError, InputError) as error:
            reasons.append(str(error))
    return Found(tuple(kept.values()), len(reasons), reasons[0] if reasons else "")


def _note(row: Any) -> Note:
    """A row of the file as a note: exactly what `save` would have written.

    Raises:
        ValueError, TypeError, InputError: it is not; the message holds no text of the file
            but the start of a tag.
    """
    if not isinstance(row, dict) or not {"file", "entry", "tags"} <= row.keys() <= _FIELDS:
        raise TypeError("a note has other fields than notes have")
    if not isinstance(row["tags"], list):
        raise TypeError("a note's tags are no list")
    note = Note(**row | {"tags": tuple(row["tags"])})
    for text in (note.file, note.text, note.updated, *note.tags):
        if not isinstance(text, str) or _sound(text) != text:
            raise TypeError("a note's text is no text")
    if not _WHEN.fullmatch(note.updated):
        raise ValueError("a note's time is no time")
    places = (note.slot, note.position)
    for number in (note.entry, *(place for place in places if place is not None)):
        if type(number) is not int or not 0 <= number < 2**31:
            raise TypeError("a note is on a number that is no place")
    if note.position is not None and note.slot is None:
        raise ValueError("a note is on a token of no response")
    if checked(note) != note:
        raise ValueError("a note is not as it would have been saved")
    return note


def set_aside(run_dir: Path) -> list[Path]:
    """Files of notes that could not be read, kept beside the run."""
    return sorted(run_dir.glob("notes.broken-*.json"))


def next_aside(run_dir: Path) -> Path:
    """Where the next such file goes."""
    number = 1
    while (target := run_dir / f"notes.broken-{number}.json").exists():
        number += 1
    return target
