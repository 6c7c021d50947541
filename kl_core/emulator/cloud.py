"""The storage and the batch jobs that belong to a server's state."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path

from kl_core.emulator.batch_jobs import Jobs
from kl_core.emulator.objects import Storage
from kl_core.emulator.state import State


class Cloud:
    """One storage, whose objects lie in a temporary folder, and the jobs that read it."""

    def __init__(self, state: State) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="kl-emulator-"))
        self.storage = Storage(self.folder)
        self.jobs = Jobs(state, self.storage)
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)


_CLOUDS: weakref.WeakKeyDictionary[State, Cloud] = weakref.WeakKeyDictionary()


def cloud_of(state: State) -> Cloud:
    """The state's cloud, made when it is first asked for."""
    if state not in _CLOUDS:
        _CLOUDS[state] = Cloud(state)
    return _CLOUDS[state]
