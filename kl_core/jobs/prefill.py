"""Prefill: Gemini as model 2, one call a position, as many at a time as the server bears."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

from kl_core.jobs.earlier import Earlier
from kl_core.jobs.gemini_calls import Progress, Remote, counts_so_far
from kl_core.jobs.gemini_entries import Finisher, Item
from kl_core.jobs.gemini_job import GeminiJob, GeminiRequest
from kl_core.jobs.gemini_search import Done, Search
from kl_core.jobs.reading import Input
from kl_core.jobs.worker import Worker
from kl_core.sources.journal import Journal
from kl_core.sources.pool import Pool, PoolSettings
from kl_core.store.spending import CallPlan


def prepare(asked: GeminiRequest) -> tuple[dict[str, Any], str, Callable[[Worker], None]]:
    """(frozen request, title, work).

    Raises:
        InputError: nothing to read, no credentials, an address that must not be used.
    """
    source = asked.options.open()
    remote = Remote.open(asked.options, asked.pool)
    frozen = asked.options.frozen(source) | remote.place
    title = asked.options.title
    return frozen, title, lambda worker: _Prefill(asked, source, remote, worker).work()


class _Prefill(GeminiJob):
    """One start of a run."""

    def __init__(self, asked: GeminiRequest, source: Input, remote: Remote, worker: Worker) -> None:
        super().__init__(asked, source, remote, worker, batch=False)
        k = asked.options.top_prompts
        self._search = None if k is None else Search(source, worker, k, self.budget)

    def planned(self) -> Iterator[Item]:
        return self.found() if self._search is None else self._search.about()

    def carry_out(self, journal: Journal, finisher: Finisher, plan: CallPlan) -> None:
        self.worker.stage("asking", plan.calls, "calls")
        before = counts_so_far(self.worker, journal)
        limit = self.asked.spend.max_cost
        progress = Progress(self.worker, self.price, before, lambda: finisher.prompts, limit)
        earlier = self.earlier()

        def ask_all(found: Iterator[Item], done: Done) -> None:
            asyncio.run(self._ask(journal, found, done, progress, earlier))

        try:
            if self._search is None:
                ask_all(self.found(), finisher)
            else:
                self._search.run(ask_all, finisher, journal.get)
        finally:
            if earlier is not None:
                self.worker.parts.add_problems(earlier.problems)
                earlier.close()

    async def _ask(
        self,
        journal: Journal,
        found: Iterator[Item],
        done: Done,
        progress: Progress,
        earlier: Earlier | None,
    ) -> None:
        from kl_core.sources.gemini_client import GeminiClient

        asked, remote = self.asked.pool, self.remote
        settings = PoolSettings(
            max_concurrent=asked.max_concurrent,
            rate_limit=asked.rate_limit,
            max_retries=asked.max_retries,
        )
        client = GeminiClient(remote.endpoint, remote.wire, asked.timeout_s, asked.max_concurrent)
        pool = Pool(
            client,
            journal,
            settings,
            earlier,
            progress,
            counts_so_far(self.worker, journal),
            known_good=self.probed.context if self.probed else None,
        )
        try:
            await pool.run(found, done)
        finally:
            progress.write(pool.stats)
            await client.close()
