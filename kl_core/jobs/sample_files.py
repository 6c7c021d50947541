"""A file of responses that several runs may write: locked, merged, and safe on disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from kl_core.errors import FormatError, InputError
from kl_core.formats.sampled_files import SampledFile, difference, existing, write_file


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one file.

    Attributes:
        file: as it stands on disk; without responses where it was left as it is.
        own: how many of its responses are this run's.
        refusal: why it was left as it is.
    """

    file: SampledFile
    own: int
    refusal: str | None = None


def write_merged(path: Path, own: SampledFile, overwrite: bool = False) -> Written:
    """Bring a run's responses into a file, together with those that other runs put there.

    It is read again and replaced under a lock, and not touched where nothing is new. A number
    that both have keeps this run's response. A file that cannot be read, whoever wrote it, is
    kept beside as `<name>.bak`.

    Args:
        own: the responses of this run alone.
        overwrite: what others put there is not kept.

    Raises:
        InputError: it cannot be written, naming the file and why.
    """
    if not own.responses:
        return _merged(_read(path), own, overwrite)
    numbered = {n: {"sample": n} | item | {"sample": n} for n, item in own.responses.items()}
    own = replace(own, responses=numbered)
    with _held(path.parent) as folder:
        found = _read(path)
        written = _merged(found, own, overwrite)
        if written.refusal is None and not _same(found, written.file):
            if found is None and path.exists() and not overwrite:
                _set_aside(path)
            write_file(path, written.file)
            with suppress(OSError):  # a file system without it
                os.fsync(folder)
    return written


def _merged(found: SampledFile | None, own: SampledFile, overwrite: bool) -> Written:
    if found is None or overwrite:
        return Written(own, len(own.responses))
    other = difference(found, own)
    if other is not None:
        return Written(replace(own, responses={}), 0, other)
    together = found.responses | own.responses
    return Written(replace(own, responses=together), len(own.responses))


def _same(found: SampledFile | None, wanted: SampledFile) -> bool:
    if found is None or difference(found, wanted) is not None:
        return False
    return found.responses == wanted.responses


def _read(path: Path) -> SampledFile | None:
    """What the file holds; None where there is none that can be read."""
    try:
        return existing(path)
    except FormatError:
        return None


def _set_aside(path: Path) -> None:
    """Give a file that is no file of responses another name."""
    names = (path.with_name(f"{path.name}.bak{n or ''}") for n in count())
    with suppress(OSError):  # what stands in its way there is told by the write that follows
        path.rename(next(name for name in names if not name.exists()))


@contextmanager
def _held(folder: Path) -> Iterator[int]:
    """An open folder that no other run writes into at the same time.

    The folder itself is locked, so that no file of a lock is left in it. Where the system or
    the file system knows no such locks, files are still replaced as a whole.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise InputError(
            f"{folder} cannot be written ({error.strerror}); free disk space or check the rights"
        ) from error
    try:
        _lock(handle)
        yield handle
    finally:
        os.close(handle)


def _lock(handle: int) -> None:
    """Wait for the lock; closing the handle, or the end of the process, lets go of it."""
    try:
        import fcntl
    except ImportError:  # pragma: no cover - Windows
        return
    with suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_EX)
