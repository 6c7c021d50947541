"""Scored entries on their way to the disk: result files, parts, problems."""

from __future__ import annotations

import time
from collections.abc import Sequence

from kl_core.formats.kl_results import ResultWriter
from kl_core.jobs.reading import Numbered
from kl_core.jobs.worker import Worker
from kl_core.records import Problem, ScoredEntry

FLUSH_EVERY_S = 3.0  # results fill in on the page about so often


class Finishing:
    """Writes entries whose calls are over; each is on disk soon after.

    Attributes:
        prompts: how many so far.
    """

    def __init__(self, worker: Worker, writer: ResultWriter | None) -> None:
        self._worker, self._writer = worker, writer
        self._flushed = time.monotonic()
        self.prompts = 0

    def write(self, numbered: Numbered, scored: ScoredEntry, problems: Sequence[Problem]) -> None:
        """One entry and what is to be said about it."""
        if self._writer is not None:
            self._writer.write(scored)
        parts = self._worker.parts
        parts.add_problems(problems)
        parts.add(numbered.prompt_id, numbered.first_response_id, scored)
        self.prompts += 1
        if time.monotonic() - self._flushed > FLUSH_EVERY_S:
            parts.flush()
            self._flushed = time.monotonic()
