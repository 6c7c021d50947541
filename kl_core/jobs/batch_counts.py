"""How far the jobs of a batch run are: answers kept, counts on disk, one line of progress."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kl_core.jobs.gemini_calls import counts_so_far
from kl_core.jobs.worker import STATUS_EVERY_S, Worker
from kl_core.sources.calls import Answer
from kl_core.sources.journal import Journal
from kl_core.store import spending

if TYPE_CHECKING:  # imported late: Google's clients take a second to load
    from kl_core.sources.vertex_batch import VertexBatch


class Counts:
    """Keeps answers, and tells calls.json and status.json how far the jobs are."""

    def __init__(
        self,
        worker: Worker,
        journal: Journal,
        batch: VertexBatch,
        cost: Callable[[int, int], float | None],
    ) -> None:
        self._worker, self._journal, self._batch, self._cost = worker, journal, batch, cost
        self._stats = counts_so_far(worker, journal)
        self._first_retried = max(self._stats.retried - self._sent_twice(), 0)  # of the probe
        self._done = 0
        self._written = 0.0

    def keep(self, key: bytes, answer: Answer) -> None:
        """One row's answer; counted once, however often it comes."""
        if self._journal.has(key):
            return
        self._journal.keep(key, answer)
        self._done += 1
        self._stats = replace(
            self._stats,
            made=self._stats.made + 1,
            input_tokens=self._stats.input_tokens + answer.input_tokens,
            output_tokens=self._stats.output_tokens + answer.output_tokens,
        )

    def reuse(self, key: bytes, answer: Answer) -> None:
        """An answer of a finished run."""
        self._journal.keep(key, answer, reused=True)
        self._stats = replace(self._stats, reused=self._stats.reused + 1)

    def watch(self, jobs: tuple[dict[str, Any], ...]) -> None:
        """Take in how the jobs are."""
        self._stats = replace(self._stats, jobs=jobs)
        self.write()

    def check(self) -> None:
        """Called often: raises where the user cancels."""
        if time.monotonic() - self._written > STATUS_EVERY_S:
            self.write()
        self._worker.progress(self._done, _told(self._batch.jobs))

    def settle(self) -> None:
        """Jobs are over: note what was given up; rows that a later start submits are not."""
        for key in self._batch.failures:
            self._journal.give_up(key)
        self._journal.flush()
        kept = self._journal.totals()
        self._stats = replace(self._stats, failed=kept.errors + kept.given_up)
        self.write()

    def write(self) -> None:
        """calls.json as of now."""
        self._written = time.monotonic()
        again = self._first_retried + self._sent_twice()
        tokens = self._stats.input_tokens + self._batch.lost_tokens
        cost = self._cost(tokens, self._stats.output_tokens)
        stats = replace(self._stats, cost=cost, jobs=self._batch.jobs, retried=again)
        spending.write_stats(self._worker.run_dir, stats)

    def _sent_twice(self) -> int:
        jobs = self._batch.jobs
        return sum(int(job["requests"]) for job in jobs if job["attempt"] > 1 and job["id"])


def _told(jobs: tuple[dict[str, Any], ...]) -> str:
    """`2 jobs: running, pending`."""
    states = ", ".join(str(job["state"]).replace("_", " ").lower() for job in jobs)
    return f"{len(jobs)} job{'' if len(jobs) == 1 else 's'}: {states}" if jobs else "preparing"
