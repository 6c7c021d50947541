"""What runs take up on the disk, and how much they hold, cheaply for a list of many."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from kl_core.store.build import newest_database
from kl_core.store.query import Query

_seen: dict[Path, tuple[tuple[int, int], int]] = {}
_counted: dict[Path, Counts | None] = {}


@dataclass(frozen=True, slots=True)
class Counts:
    """What a finished run holds."""

    prompts: int
    responses: int
    tokens: int


@dataclass(frozen=True, slots=True)
class DiskUse:
    """Bytes of all runs, and bytes still free where they are kept."""

    used_bytes: int
    free_bytes: int


def size_bytes(run_dir: Path) -> int:
    """Bytes of all files of a run; 0 for one that is gone.

    Walked again only when a file of the run or a part was added, replaced or removed.
    """
    stamp = _stamp(run_dir), _stamp(run_dir / "parts")
    known = _seen.get(run_dir)
    if known is None or known[0] != stamp:
        known = _seen[run_dir] = (stamp, _walk(run_dir))
    return known[1]


def disk_use(run_dirs: Iterable[Path], root: Path) -> DiskUse:
    """Total of these runs and what is free on the disk of `root` (0 where it is not there)."""
    used = sum(size_bytes(path) for path in run_dirs)
    try:
        free = shutil.disk_usage(root).free
    except OSError:
        free = 0
    return DiskUse(used, free)


def counts(run_dirs: Iterable[Path]) -> dict[Path, Counts]:
    """Prompts, responses and tokens of the runs that have a readable database.

    A database never changes, so that each is opened once.
    """
    databases = {path: newest_database(path) for path in run_dirs}
    _count([path for path in databases.values() if path is not None and path not in _counted])
    found = {path: _counted.get(database) for path, database in databases.items() if database}
    return {path: known for path, known in found.items() if known is not None}


def _count(databases: list[Path]) -> None:
    if not databases:
        return
    with duckdb.connect(":memory:") as connection:  # one for all: opening it costs the most
        for number, path in enumerate(databases):
            quoted = str(path).replace("'", "''")
            try:
                connection.execute(f"ATTACH '{quoted}' AS run_{number} (READ_ONLY)")
                sql = f"SELECT prompts, responses, tokens FROM run_{number}.summary"
                row = Query(sql).row(connection)
                connection.execute(f"DETACH run_{number}")
            except duckdb.Error:
                row = None
            known = Counts(row["prompts"], row["responses"], row["tokens"]) if row else None
            _counted[path] = known


def said(size: int) -> str:
    """A size as a person says it: `12 kB`, `3.4 MB`, `120 GB`."""
    value, unit = float(size), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:,.0f} {unit}" if value >= 10 or unit == "bytes" else f"{value:.1f} {unit}"


def _stamp(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0


def _walk(folder: Path | str) -> int:
    total = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    total += _walk(entry.path)
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    except OSError:  # gone meanwhile
        return total
    return total
