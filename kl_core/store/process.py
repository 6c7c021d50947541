"""Which process works on a run, and whether it still lives.

The `pid` file names the process and its start time, so that a recycled process number
is not taken for the worker. A lock held on the same file ends with the process, kill -9
included, and keeps two workers from one run.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import IO

import psutil

from kl_core.errors import RunError


def _lock(handle: IO[str], run_dir: Path) -> bool:
    """Take the lock; where the system has none, the start time alone decides."""
    try:
        import fcntl
    except ImportError:  # pragma: no cover - Windows
        return not is_alive(run_dir)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def is_alive(run_dir: Path) -> bool:
    """Whether the process named in the run's `pid` file is still the one running."""
    try:
        record = json.loads((run_dir / "pid").read_text(encoding="utf-8"))
        process = psutil.Process(int(record["pid"]))
        started = abs(process.create_time() - float(record["started"])) < 1.0
        return bool(started and process.status() != psutil.STATUS_ZOMBIE)
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return False


def claim(run_dir: Path) -> IO[str]:
    """Make this process the run's worker; keep the returned file open while working.

    Raises:
        RunError: another live process works on the run.
    """
    handle = open(run_dir / "pid", "a+", encoding="utf-8")  # noqa: SIM115 - kept open while working
    if not _lock(handle, run_dir):
        handle.close()
        raise RunError(f"run {run_dir.name} is already being worked on by another process")
    handle.seek(0)
    handle.truncate()
    record = {"pid": os.getpid(), "started": psutil.Process().create_time()}
    handle.write(json.dumps(record))
    handle.flush()
    return handle


def release(handle: IO[str]) -> None:
    """Give the run free for the next worker."""
    with suppress(OSError, ValueError):
        handle.close()
