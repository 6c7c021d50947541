"""Batch: the same questions as prefill through Vertex batch jobs, at half the price."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from kl_core.errors import InputError, RunError
from kl_core.formats.kl_results import ResultWriter
from kl_core.jobs import gemini_plan
from kl_core.jobs.earlier import Earlier
from kl_core.jobs.gemini_calls import Remote, counts_so_far, open_journal, probe
from kl_core.jobs.gemini_entries import Finisher, items
from kl_core.jobs.gemini_options import AskOptions, BatchOptions, PoolOptions, SpendOptions
from kl_core.jobs.gemini_plan import Ask
from kl_core.jobs.prefill import note_settings
from kl_core.jobs.reading import Input
from kl_core.jobs.scoring import refuse_shared_names
from kl_core.jobs.worker import STATUS_EVERY_S, Worker
from kl_core.records import Problem
from kl_core.sources.budget import Budget
from kl_core.sources.calls import Answer, CallError, Context
from kl_core.sources.journal import Journal
from kl_core.store import runs, spending
from kl_core.store.spending import CallPlan

if TYPE_CHECKING:  # imported late: Google's clients take a second to load
    from kl_core.sources.vertex_batch import VertexBatch

FOLDER = "batch"


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """What to ask, where the files lie meanwhile, and what may be spent.

    Attributes:
        pool: for the probe, and whether to reuse answers of finished runs.
        ask: asks a person whether to start; None where nobody can be asked.
    """

    options: AskOptions
    places: BatchOptions
    pool: PoolOptions
    spend: SpendOptions
    ask: Ask | None = None


def prepare(request: BatchRequest) -> tuple[dict[str, Any], str, Callable[[Worker], None]]:
    """(frozen request, title, work).

    Raises:
        InputError: nothing to read, no project, no credentials, an address that must not be
            used.
    """
    options = request.options
    if not options.project_id:
        raise InputError("batch jobs run on Vertex AI only; give --project-id")
    source = options.open()
    remote = Remote.open(options, request.pool)
    frozen = options.frozen(source) | asdict(request.places)
    title = f"{options.title}, by batch job"
    return frozen, title, lambda worker: _Batch(request, source, remote, worker).work()


class _Batch:
    """One start of a run."""

    def __init__(
        self, request: BatchRequest, source: Input, remote: Remote, worker: Worker
    ) -> None:
        self.request, self.source, self.remote, self.worker = request, source, remote, worker
        share, seed = request.options.budget, request.options.seed
        self.budget = None if share is None else Budget(share, seed)
        self.price = remote.price(request.spend, batch=True)

    def work(self) -> None:
        """Probe, reckon, ask for a yes, submit and wait, then score."""
        request, worker, remote = self.request, self.worker, self.remote
        note_settings(worker, request.pool, request.spend)
        output_dir = request.options.output_dir
        if output_dir is not None:
            refuse_shared_names(self.source)
        with closing(open_journal(worker.run_dir)) as journal:
            probed = probe(worker, remote, journal, lambda: items(self.source, worker, None))
            plan = self._plan(journal, probed)
            free = remote.free and request.ask is not None
            gemini_plan.permit(worker, plan, request.spend, free, request.ask)
            remote.note_identity(worker, probed)
            failures = self._ask(journal, plan)
            writer = ResultWriter(output_dir) if output_dir is not None else None
            finisher = Finisher(worker, writer, remote.assembler(), journal.get)
            worker.stage("scoring", plan.prompts, "prompts")
            for item in items(self.source, worker, self.budget):
                finisher(item, failures)
                worker.progress(finisher.prompts)

    def _plan(self, journal: Journal, probed: gemini_plan.Probed | None) -> CallPlan:
        self.worker.stage("estimating the cost", None, "")
        plan = gemini_plan.reckon(
            items(self.source, self.worker, self.budget),
            journal.has,
            probed,
            self.price,
            CallPlan("batch", (probed.answer.model if probed else "") or self.remote.wire.model),
        )
        spending.write_plan(self.worker.run_dir, plan)
        return plan

    def _ask(self, journal: Journal, plan: CallPlan) -> dict[bytes, str]:
        """All rows answered or given up; returns the reasons."""
        from kl_core.sources.vertex_batch import VertexBatch

        places, worker = self.request.places, self.worker
        if not plan.calls and not (worker.run_dir / FOLDER).exists():
            return {}
        batch = VertexBatch(
            self.remote.endpoint,
            self.remote.wire,
            worker.run_dir / FOLDER,
            worker.run_dir.name,
            places.bucket_name,
            places.storage_url,
        )
        counts = _Counts(worker, journal, batch, self.price.cost)
        try:
            if places.lifecycle_days is not None:
                batch.offer_lifecycle(places.lifecycle_days)
            worker.stage("waiting for batch jobs", plan.calls, "rows")
            failures = batch.run(
                self._contexts(journal, counts),
                counts.keep,
                counts.watch,
                counts.check,
                journal.flush,
            )
        except CallError as error:
            raise RunError(error.reason) from error
        finally:
            journal.flush()
            counts.write()
        counts.end(failures)
        if places.cleanup:
            self._clean(batch)
        return failures

    def _contexts(self, journal: Journal, counts: _Counts) -> Iterator[Context]:
        """What nobody has answered yet, each context once."""
        earlier = None
        if self.request.pool.reuse:
            run_dir = self.worker.run_dir
            earlier = Earlier.open(run_dir.parent, runs.read_params(run_dir)["request"])
        seen: set[bytes] = set()
        for item in items(self.source, self.worker, self.budget):
            for context in item.contexts:
                if context.key in seen or journal.has(context.key):
                    continue
                seen.add(context.key)
                found = earlier(context.key) if earlier is not None else None
                if found is None:
                    yield context
                else:
                    counts.reuse(context.key, found)
        if earlier is not None:
            earlier.close()

    def _clean(self, batch: VertexBatch) -> None:
        try:
            batch.cleanup()
        except (CallError, InputError) as error:
            hint = "The results are here; remove the files by hand."
            row = Problem("", "the bucket", f"files were not removed: {error}", hint)
            self.worker.parts.add_problems([row])


class _Counts:
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
        self._journal.keep(key, answer)
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

    def end(self, failures: dict[bytes, str]) -> None:
        """All jobs are over."""
        again = sum(int(job["requests"]) for job in self._batch.jobs if job["attempt"] > 1)
        self._stats = replace(self._stats, failed=len(failures), retried=again)
        self.write()

    def write(self) -> None:
        """calls.json as of now."""
        self._written = time.monotonic()
        tokens = self._stats.input_tokens + self._batch.lost_tokens
        cost = self._cost(tokens, self._stats.output_tokens)
        stats = replace(self._stats, cost=cost, jobs=self._batch.jobs)
        spending.write_stats(self._worker.run_dir, stats)


def _told(jobs: tuple[dict[str, Any], ...]) -> str:
    """`2 jobs: running, pending`."""
    states = ", ".join(str(job["state"]).replace("_", " ").lower() for job in jobs)
    return f"{len(jobs)} job{'' if len(jobs) == 1 else 's'}: {states}" if jobs else "preparing"
