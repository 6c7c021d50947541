"""Write a run's results zip in a process of its own, so that the pages stay quick.

    python -m kl_core.jobs.results RUN_DIR ZIP

Prints `done total` lines while it works; ends with code 0 when the zip is there, 3 when it
was asked to stop (SIGTERM), 1 with one sentence on standard error when it could not be made.
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

from kl_core.errors import KLExplorerError, RunCancelled
from kl_core.store import results_zip

TELL_EVERY_S = 0.25
STOPPED = 3


class _Stop:
    """Set by a signal, asked for between prompts."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, *_: object) -> None:
        self.asked = True

    def __call__(self) -> bool:
        return self.asked


class _Teller:
    """Prints a few lines a second, and the last."""

    def __init__(self) -> None:
        self._last = 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if done == total or now - self._last >= TELL_EVERY_S:
            self._last = now
            print(done, total, flush=True)


def main(run_dir: Path, path: Path) -> int:
    """Do it; returns the exit code."""
    try:
        results_zip.write(run_dir, path, _Teller(), _Stop())
    except RunCancelled:
        return STOPPED
    except KLExplorerError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), Path(sys.argv[2])))
