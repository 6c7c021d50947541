"""Batch: the same questions as prefill through Vertex batch jobs, at half the price."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kl_core.errors import InputError, KLExplorerError, RunError
from kl_core.jobs.batch_counts import Counts
from kl_core.jobs.gemini_calls import Remote
from kl_core.jobs.gemini_entries import Finisher, Item
from kl_core.jobs.gemini_job import GeminiJob, GeminiRequest
from kl_core.jobs.gemini_options import BATCH_FOLDER, BatchOptions
from kl_core.jobs.reading import Input
from kl_core.jobs.worker import Worker, counted
from kl_core.records import Problem
from kl_core.sources.batch_ledger import given_up, under_way
from kl_core.sources.calls import CallError, Context
from kl_core.sources.journal import Journal
from kl_core.store.spending import CallPlan

if TYPE_CHECKING:  # imported late: Google's clients take a second to load
    from kl_core.sources.vertex_batch import VertexBatch


def prepare(
    asked: GeminiRequest, places: BatchOptions
) -> tuple[dict[str, Any], str, Callable[[Worker], None]]:
    """(frozen request, title, work).

    Args:
        places: where the files lie meanwhile.

    Raises:
        InputError: nothing to read, no project, no credentials, an address that must not be
            used.
    """
    options = asked.options
    if not options.project_id:
        raise InputError("batch jobs run on Vertex AI only; give --project-id")
    source = options.open()
    remote = Remote.open(options, asked.pool)
    frozen = options.frozen(source) | remote.place | asdict(places)
    title = f"{options.title}, by batch job"
    return frozen, title, lambda worker: _Batch(asked, places, source, remote, worker).work()


class _Batch(GeminiJob):
    """One start of a run."""

    def __init__(
        self,
        asked: GeminiRequest,
        places: BatchOptions,
        source: Input,
        remote: Remote,
        worker: Worker,
    ) -> None:
        super().__init__(asked, source, remote, worker, batch=True)
        self._places = places
        self._folder = worker.run_dir / BATCH_FOLDER

    def answered(self, journal: Journal) -> Callable[[bytes], bool]:
        """Rows of jobs under way are paid for already."""
        place = (self._folder, self.worker.run_dir.name)
        sent = under_way(*place) | given_up(*place)
        return lambda key: key in sent or journal.has(key)

    def carry_out(self, journal: Journal, finisher: Finisher, plan: CallPlan) -> None:
        """Submit and wait; score what each job brings.

        Raises:
            RunError: rows were lost with their job; the entries that need them are left for the
                next start, the others are scored.
        """
        worker = self.worker
        scores = _Scores(worker, journal.has, finisher, self.found)
        failures, lost = self._ask(journal, plan, scores)
        worker.stage("scoring", plan.prompts, "prompts", finisher.prompts)
        left = scores.write(failures, lambda: worker.progress(finisher.prompts))
        if lost or left:
            raise RunError(_told_lost(lost, left))

    def _ask(
        self, journal: Journal, plan: CallPlan, scores: _Scores
    ) -> tuple[dict[bytes, str], dict[bytes, str]]:
        """All jobs over; the reasons of (rows given up for good, rows lost with their job)."""
        from kl_core.sources.vertex_batch import VertexBatch

        places, worker = self._places, self.worker
        if not plan.calls and not self._folder.exists():
            return {}, {}
        batch = VertexBatch(
            self.remote.endpoint,
            self.remote.wire,
            self._folder,
            worker.run_dir.name,
            places.bucket_name,
            places.storage_url,
        )
        counts = Counts(worker, journal, batch, self.price.cost)

        def collected() -> None:
            counts.settle()
            scores.write(batch.failures, worker.check_cancel)

        try:
            if places.lifecycle_days is not None:
                batch.offer_lifecycle(places.lifecycle_days)
            rows = plan.calls + _unanswered(worker.run_dir, journal)
            worker.stage("waiting for batch jobs", rows, "rows")
            failures = batch.run(
                self._contexts(journal, counts),
                counts.keep,
                counts.watch,
                counts.check,
                journal.flush,
                collected,
            )
        except KLExplorerError as error:
            counts.settle()
            scores.write(batch.failures, lambda: None)  # what is known is shown
            if isinstance(error, CallError):
                raise RunError(error.reason) from error
            raise
        finally:
            counts.settle()
        if places.cleanup and not batch.lost:
            self._clean(batch)
        return failures, batch.lost

    def _contexts(self, journal: Journal, counts: Counts) -> Iterator[Context]:
        """What nobody has answered yet, each context once."""
        earlier = self.earlier()
        seen: set[bytes] = set()
        for item in self.found():
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
            self.worker.parts.add_problems(earlier.problems)
            earlier.close()

    def _clean(self, batch: VertexBatch) -> None:
        try:
            batch.cleanup()
        except (CallError, InputError) as error:
            hint = "The results are here; remove the files by hand."
            row = Problem("", "the bucket", f"files were not removed: {error}", hint)
            self.worker.parts.add_problems([row])


class _Scores:
    """Scores entries as their rows come in, each once.

    Args:
        found: the entries that are not on disk.
    """

    def __init__(
        self,
        worker: Worker,
        has: Callable[[bytes], bool],
        finisher: Finisher,
        found: Callable[[], Iterator[Item]],
    ) -> None:
        self._worker, self._has, self._finisher, self._found = worker, has, finisher, found

    def write(self, failures: Mapping[bytes, str], tick: Callable[[], None]) -> int:
        """Every entry whose rows are all answered or given up; returns how many are not.

        Args:
            tick: called after each; raises where the user cancels.
        """
        left = 0
        for item in self._found():
            if all(self._has(each.key) or each.key in failures for each in item.contexts):
                self._finisher(item, failures)
                self._worker.finished.add(item.prompt_id)
            else:
                left += 1
            tick()
        self._worker.parts.flush()
        return left


def _told_lost(lost: Mapping[bytes, str], left: int) -> str:
    """One sentence on rows that are neither answered nor given up."""
    prompts = counted(left, "prompt")
    if not lost:
        return f"{prompts} could not be scored, as rows are missing; resume the run to submit them"
    reasons = Counter(lost.values()).most_common()
    more = f", and {counted(len(reasons) - 1, 'other reason')}" if len(reasons) > 1 else ""
    return (
        f"{counted(len(lost), 'row')} of {prompts} got no answer ({reasons[0][0]}{more}); the rest "
        "is scored, and resuming the run submits them again as a new job"
    )


def _unanswered(run_dir: Path, journal: Journal) -> int:
    """Rows of the jobs under way that are not collected."""
    return sum(not journal.has(key) for key in under_way(run_dir / BATCH_FOLDER, run_dir.name))
