"""The members of a zip that are to be read; nothing is ever extracted to disk."""

from __future__ import annotations

import re
import stat
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from kl_core.errors import InputError
from kl_core.formats.discover import Skipped, SourceFile, wanted
from kl_core.formats.limits import MAX_ZIP_BYTES

_SAFE_HINT = "Names must be relative and stay inside the zip; pack it again."


def zip_files(path: Path, pattern: str | None, skipped: Skipped) -> Iterator[SourceFile]:
    """The members of a zip in its own order; what is unsafe is set aside.

    Raises:
        InputError: the file is no zip that can be read.
    """
    try:
        archive = zipfile.ZipFile(path)
        mtime_ns = path.stat().st_mtime_ns
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise InputError(
            f"{path} is not a zip that can be read ({error}); pack it again."
        ) from error
    seen: set[str] = set()
    total = 0
    for info in archive.infolist():
        if info.is_dir():
            continue
        name = info.filename.replace("\\", "/").encode("utf-8", "replace").decode()
        fault = _fault(info, name, seen)
        if fault is not None:
            skipped.add(*fault, name)
            continue
        seen.add(name)
        if not wanted(name, pattern, skipped):
            continue
        total += info.file_size
        if total > MAX_ZIP_BYTES:
            skipped.add(
                f"files past the first {MAX_ZIP_BYTES / 2**30:.0f} GB of the zip",
                "Import the unpacked folder.",
                name,
            )
            continue
        yield SourceFile(name, info.file_size, mtime_ns, _opener(archive, info), info.compress_size)


def _opener(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], BinaryIO]:
    return lambda: cast(BinaryIO, archive.open(info))


def _fault(info: zipfile.ZipInfo, name: str, seen: set[str]) -> tuple[str, str] | None:
    """Why a member is refused and what to do, None when it is not."""
    parts = name.split("/")
    if name.startswith("/") or ".." in parts or re.match(r"[A-Za-z]:", name):
        return "names in the zip that lead out of it were refused", _SAFE_HINT
    if stat.S_ISLNK(info.external_attr >> 16):
        return "links in the zip were refused", "Pack the files themselves."
    if info.flag_bits & 0x1:
        return "encrypted files in the zip cannot be read", "Unpack it yourself."
    if name in seen:
        return "names that are in the zip twice: the first was read", "Pack it again."
    return None
