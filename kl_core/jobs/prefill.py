"""Prefill: Gemini as model 2, one call a position, as many at a time as the server bears."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from typing import Any

from kl_core.formats.kl_results import ResultWriter
from kl_core.jobs import gemini_plan
from kl_core.jobs.earlier import Earlier
from kl_core.jobs.gemini_calls import Progress, Remote, counts_so_far, open_journal, probe
from kl_core.jobs.gemini_entries import Finisher, Item, items
from kl_core.jobs.gemini_options import AskOptions, PoolOptions, SpendOptions
from kl_core.jobs.gemini_plan import Ask
from kl_core.jobs.gemini_search import Done, Search
from kl_core.jobs.reading import Input
from kl_core.jobs.scoring import refuse_shared_names
from kl_core.jobs.worker import Worker
from kl_core.sources.budget import Budget
from kl_core.sources.journal import Journal
from kl_core.sources.pool import Pool, PoolSettings
from kl_core.store import runs, spending
from kl_core.store.spending import CallPlan

__all__ = ["Ask", "PrefillRequest", "prepare"]


@dataclass(frozen=True, slots=True)
class PrefillRequest:
    """What to ask, how hard to press, and what may be spent.

    Attributes:
        ask: asks a person whether to start; None where nobody can be asked.
    """

    options: AskOptions
    pool: PoolOptions
    spend: SpendOptions
    ask: Ask | None = None


def prepare(request: PrefillRequest) -> tuple[dict[str, Any], str, Callable[[Worker], None]]:
    """(frozen request, title, work).

    Raises:
        InputError: nothing to read, no credentials, an address that must not be used.
    """
    source = request.options.open()
    remote = Remote.open(request.options, request.pool)
    frozen = request.options.frozen(source) | remote.place
    title = request.options.title
    return frozen, title, lambda worker: _Prefill(request, source, remote, worker).work()


class _Prefill:
    """One start of a run."""

    def __init__(
        self, request: PrefillRequest, source: Input, remote: Remote, worker: Worker
    ) -> None:
        self.request, self.source, self.remote, self.worker = request, source, remote, worker
        share, seed = request.options.budget, request.options.seed
        self.budget = None if share is None else Budget(share, seed)
        k = request.options.top_prompts
        self.search = None if k is None else Search(source, worker, k, self.budget)
        self.price = remote.price(request.spend, batch=False)

    def work(self) -> None:
        """Probe, reckon, ask for a yes, then make the calls."""
        request, worker, remote = self.request, self.worker, self.remote
        note_settings(worker, request.pool, request.spend)
        output_dir = request.options.output_dir
        if output_dir is not None:
            refuse_shared_names(self.source)
        with closing(open_journal(worker.run_dir)) as journal:
            probed = probe(worker, remote, journal, lambda: items(self.source, worker, None))
            plan = self._plan(journal, probed)
            gemini_plan.permit(worker, plan, request.spend, request.ask)
            remote.note_identity(worker, probed)
            writer = ResultWriter(output_dir) if output_dir is not None else None
            finisher = Finisher(worker, writer, remote.assembler(), journal.get)
            worker.stage("asking", plan.calls, "calls")
            self._carry_out(journal, finisher)

    def _plan(self, journal: Journal, probed: gemini_plan.Probed | None) -> CallPlan:
        self.worker.stage("estimating the cost", None, "")
        plan = gemini_plan.reckon(
            self._all() if self.search is None else self.search.about(),
            journal.has,
            probed,
            self.price,
            CallPlan(
                "online",
                (probed.answer.model if probed else "") or self.request.options.model2,
                max_concurrent=self.request.pool.max_concurrent,
            ),
        )
        k = self.request.options.top_prompts
        if k is not None and k >= plan.prompts:
            warning = f"there are only {plan.prompts} prompts, so --top-prompts {k} asks them all"
            plan = replace(plan, warnings=(*plan.warnings, warning))
        spending.write_plan(self.worker.run_dir, plan)
        return plan

    def _all(self) -> Iterator[Item]:
        return items(self.source, self.worker, self.budget)

    def _carry_out(self, journal: Journal, finisher: Finisher) -> None:
        before = counts_so_far(self.worker, journal)
        limit = self.request.spend.max_cost
        progress = Progress(self.worker, self.price, before, lambda: finisher.prompts, limit)

        def ask_all(found: Iterator[Item], done: Done) -> None:
            asyncio.run(self._ask(journal, found, done, progress))

        if self.search is None:
            ask_all(self._all(), finisher)
        else:
            self.search.run(ask_all, finisher, journal.get)

    async def _ask(
        self, journal: Journal, found: Iterator[Item], done: Done, progress: Progress
    ) -> None:
        from kl_core.sources.gemini_client import GeminiClient

        asked = self.request.pool
        settings = PoolSettings(
            max_concurrent=asked.max_concurrent,
            rate_limit=asked.rate_limit,
            max_retries=asked.max_retries,
        )
        client = GeminiClient(
            self.remote.endpoint, self.remote.wire, asked.timeout_s, asked.max_concurrent
        )
        earlier = self._earlier()
        before = counts_so_far(self.worker, journal)
        pool = Pool(client, journal, settings, earlier, progress, before)
        try:
            await pool.run(found, done)
        finally:
            progress.write(pool.stats)
            if earlier is not None:
                earlier.close()
            await client.close()

    def _earlier(self) -> Earlier | None:
        if not self.request.pool.reuse:
            return None
        run_dir = self.worker.run_dir
        return Earlier.open(run_dir.parent, runs.read_params(run_dir)["request"])


def note_settings(worker: Worker, pool: PoolOptions, spend: SpendOptions) -> None:
    """Keep what resuming from a page needs; a yes counts for its own start only."""
    settings = asdict(pool) | asdict(spend) | {"yes": False}
    runs.update_params(worker.run_dir, settings=settings)
