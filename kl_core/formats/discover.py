"""Which files of a folder, a zip or a single path are to be read, and which are not."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO

from kl_core.errors import InputError
from kl_core.records import ProblemLog

SUFFIXES = (".json", ".jsonl", ".json.gz", ".jsonl.gz")
DEFAULT_PATTERN = ",".join(f"*{suffix}" for suffix in SUFFIXES)
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file to read.

    Attributes:
        name: path relative to the root, with `/`.
        size_bytes: before decompression of a `.gz`, after that of a zip.
        packed_bytes: the size it takes on disk.
        opener: opens it for reading; the caller closes it.
    """

    name: str
    size_bytes: int
    mtime_ns: int
    opener: Callable[[], BinaryIO]
    packed_bytes: int


class Skipped:
    """Files left aside: one row a kind, with a count and the first few names."""

    def __init__(self) -> None:
        self._kinds: dict[tuple[str, str], list[str]] = {}

    def add(self, kind: str, hint: str, name: str) -> None:
        """Set one file aside."""
        self._kinds.setdefault((kind, hint), []).append(name)

    def flush(self, log: ProblemLog) -> None:
        """One row a kind; the row of a single file carries its name."""
        for (kind, hint), names in self._kinds.items():
            names.sort()
            shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
            plural = "1 file" if len(names) == 1 else f"{len(names)} files"
            log.add(names[0] if len(names) == 1 else "", "", f"{kind}: {plural} ({shown})", hint)


def safe_name(name: str) -> str:
    """A file name that can be stored and shown: bytes that are no UTF-8 become U+FFFD."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def matches(name: str, pattern: str | None) -> bool:
    """True when a relative name fits one of the comma-separated patterns.

    A pattern without `/` looks at the last part of the name alone.
    """
    base = name.rsplit("/", 1)[-1]
    if pattern is None:
        return base.lower().endswith(SUFFIXES)
    for each in [part.strip() for part in pattern.split(",")]:
        whole = name if "/" in each else base
        if each and (
            fnmatchcase(whole, each) or fnmatchcase(f"./{whole}", each.replace("**", "*"))
        ):
            return True
    return False


def wanted(name: str, pattern: str | None, skipped: Skipped) -> bool:
    """Whether to read a file by its name; sets aside what is hidden or no JSON."""
    parts = name.split("/")
    if "__MACOSX" in parts:
        skipped.add("files a Mac adds to a zip were skipped", "Nothing to do.", name)
    elif any(part.startswith(".") for part in parts):
        skipped.add("hidden files were skipped", "Rename them if they are to be read.", name)
    elif matches(name, pattern):
        return True
    elif pattern is None:
        skipped.add(
            "files that are not JSON were skipped",
            f"Names must end in {', '.join(SUFFIXES)}; a zip is read when it is the input itself.",
            name,
        )
    return False


def folder_files(root: Path, pattern: str | None, skipped: Skipped) -> Iterator[SourceFile]:
    """The files below a folder, in no particular order; links are followed inside it only."""
    real_root = root.resolve()

    def unreadable(error: OSError) -> None:
        name = os.path.relpath(error.filename, root) if error.filename else "?"
        skipped.add(
            f"folders that cannot be opened ({error.strerror})",
            "Check their permissions.",
            safe_name(name),
        )

    for folder, folders, names in os.walk(root, onerror=unreadable):
        for linked in [each for each in folders if os.path.islink(os.path.join(folder, each))]:
            skipped.add(
                "linked folders were skipped",
                "Import the folder itself.",
                _relative(os.path.join(folder, linked), root),
            )
        for file in names:
            path = Path(folder, file)
            name = _relative(str(path), root)
            if wanted(name, pattern, skipped):
                found = _open_later(path, name, real_root, skipped)
                if found is not None:
                    yield found


def _relative(path: str, root: Path) -> str:
    return safe_name(os.path.relpath(path, root).replace(os.sep, "/"))


def _open_later(path: Path, name: str, real_root: Path, skipped: Skipped) -> SourceFile | None:
    try:
        if path.is_symlink() and not path.resolve().is_relative_to(real_root):
            skipped.add("links that lead out of the folder", "Copy the files in.", name)
            return None
        info = path.stat()
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or "a link in a circle"
        skipped.add(f"files that cannot be read ({reason})", "Check the files.", name)
        return None
    if not stat.S_ISREG(info.st_mode):
        skipped.add("pipes, sockets and devices", "Only regular files are read.", name)
        return None
    return _plain_file(path, name, info)


def _plain_file(path: Path, name: str, info: os.stat_result) -> SourceFile:
    return SourceFile(name, info.st_size, info.st_mtime_ns, lambda: path.open("rb"), info.st_size)


def single_file(path: Path) -> SourceFile:
    """One file named as the root."""
    try:
        info = path.stat()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check the path.") from error
    if not stat.S_ISREG(info.st_mode):
        raise InputError(f"{path} is neither a file nor a folder; give one of these.")
    return _plain_file(path, safe_name(path.name), info)
