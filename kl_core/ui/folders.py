"""Which folders of this machine the app may read, and where uploads are kept."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from kl_core.errors import InputError
from kl_core.store import runs

UPLOAD_LIMIT = 500
_DRIVE = re.compile(r"[A-Za-z]:")


def uploads_root() -> Path:
    """Where uploads are kept: `uploads` beside the runs."""
    return runs.default_root().parent / "uploads"


def allowed_roots() -> list[Path]:
    """Folders whose contents may be read: KL_DATA_ROOTS, the sample data, the cache."""
    named = [part for part in os.environ.get("KL_DATA_ROOTS", "").split(os.pathsep) if part]
    roots = [Path(part).expanduser() for part in named]
    roots += [runs.REPOSITORY / "sample_data", runs.REPOSITORY / "cache", uploads_root()]
    return [root.resolve() for root in roots]


def allowed_folder(text: str) -> Path:
    """The folder or archive a user named, resolved.

    Raises:
        InputError: it is empty, missing, or outside the allowed roots.
    """
    if not text.strip() or "\0" in text:
        raise InputError("no folder was named; type the path of a folder or a zip")
    path = Path(text.strip()).expanduser()
    roots = allowed_roots()
    listed = ", ".join(str(root) for root in roots)
    if not path.is_absolute():
        tried = [(base / path).resolve() for base in (runs.REPOSITORY, *roots)]
        there = next((each for each in tried if _inside(each, roots) and each.exists()), None)
        if there is None and ".." not in path.parts:
            raise InputError(f"there is no {path} in the folders this app may read ({listed})")
        path = there or tried[0]
    path = path.resolve()
    if not _inside(path, roots):
        raise InputError(
            f"{path} is outside the folders this app may read ({listed}); start the app with "
            "KL_DATA_ROOTS set to the folder that holds it"
        )
    if not path.exists():
        raise InputError(f"{path} does not exist; check the spelling")
    return path


def shown(folder: str | Path) -> str:
    """A folder for a sentence: without the way to this repository where it lies inside."""
    try:
        return str(Path(folder).resolve().relative_to(runs.REPOSITORY.resolve()))
    except ValueError:
        return str(folder)


def output_problem(text: str | None) -> str | None:
    """Why results cannot be written to the folder a user named, None where they can."""
    if not text:
        return None
    if "\0" in text:
        return "the name of the output folder holds a zero byte; type it again"
    path = Path(text).expanduser()
    if not path.is_absolute():
        path = runs.REPOSITORY / path
    allowed = allowed_roots()
    if _inside(path.resolve(), allowed):
        return None
    return (
        f"{path} is outside the folders this app may write; use a folder under {allowed[-1]}, "
        "or set KL_DATA_ROOTS"
    )


def _inside(path: Path, roots: list[Path]) -> bool:
    return any(path == root or root in path.parents for root in roots)


def new_upload_folder() -> Path:
    """A fresh folder for one upload."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
    folder = uploads_root() / stamp
    folder.mkdir(parents=True)
    return folder


def safe_relative(name: str) -> PurePosixPath:
    """A name from the browser as a relative path that stays where it is put.

    Raises:
        InputError: it is absolute, climbs out, or names a drive.
    """
    clean = name.replace("\\", "/")
    path = PurePosixPath(clean)
    if path.is_absolute() or ".." in path.parts or _DRIVE.match(clean) or "\0" in clean:
        raise InputError(f"the file name {name!r} points outside its folder; rename the file")
    if not path.parts:
        raise InputError(f"the file name {name!r} is empty; rename the file")
    return path


def hidden(name: str) -> bool:
    """Whether any part of the path starts with a dot; such files are not data."""
    return any(part.startswith(".") for part in PurePosixPath(name.replace("\\", "/")).parts)


def keep(folder: Path, files: Iterable[tuple[str, BinaryIO]]) -> tuple[int, list[str]]:
    """Write uploaded files under `folder`; returns how many, and what was left out and why."""
    kept, left_out = 0, []
    for name, stream in files:
        try:
            target = folder / safe_relative(name)
            if target.exists():
                raise InputError(f"two files are named {name!r}; rename one of them")
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(target, "xb") as out:
                while chunk := stream.read(1 << 20):
                    out.write(chunk)
        except (InputError, OSError) as error:
            left_out.append(str(error))
            continue
        kept += 1
    return kept, left_out
