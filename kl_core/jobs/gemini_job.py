"""What a start of `prefill` and of `batch` have in common: probe, plan, a yes, then the calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from kl_core.formats.kl_results import ResultWriter
from kl_core.jobs import gemini_plan
from kl_core.jobs.earlier import Earlier
from kl_core.jobs.gemini_calls import Remote, open_journal
from kl_core.jobs.gemini_entries import Finisher, Item, items
from kl_core.jobs.gemini_options import AskOptions, PoolOptions, SpendOptions
from kl_core.jobs.gemini_plan import Ask, Probed
from kl_core.jobs.gemini_probe import probe
from kl_core.jobs.reading import Input
from kl_core.jobs.scoring import refuse_shared_names
from kl_core.jobs.worker import Worker
from kl_core.sources.budget import Budget
from kl_core.sources.journal import Journal
from kl_core.store import runs, spending
from kl_core.store.spending import CallPlan


@dataclass(frozen=True, slots=True)
class GeminiRequest:
    """What both are asked.

    Attributes:
        ask: shows the plan to a person and asks whether to start; None where nobody can be
            asked.
    """

    options: AskOptions
    pool: PoolOptions
    spend: SpendOptions
    ask: Ask | None = None


class GeminiJob:
    """One start of a run of calls.

    Args:
        batch: by jobs at half the price; otherwise call by call.
    """

    def __init__(
        self, asked: GeminiRequest, source: Input, remote: Remote, worker: Worker, batch: bool
    ) -> None:
        self.asked, self.source, self.remote, self.worker = asked, source, remote, worker
        self.batch = batch
        share, seed = asked.options.budget, asked.options.seed
        self.budget = None if share is None else Budget(share, seed)
        self.price = remote.price(asked.spend, batch)
        self.probed: Probed | None = None

    def work(self) -> None:
        """Probe, reckon, get a yes, then do it."""
        asked, worker, remote = self.asked, self.worker, self.remote
        self._note_settings()
        if asked.options.output_dir is not None:
            refuse_shared_names(self.source)
        with closing(open_journal(worker.run_dir)) as journal:
            found = lambda: items(self.source, worker, None)  # noqa: E731
            self.probed = probe(worker, remote, journal, found)
            plan = self._plan(journal)
            gemini_plan.permit(worker, plan, asked.spend, asked.ask)
            remote.note_identity(worker, self.probed)
            finisher = Finisher(worker, self._writer, remote.assembler(), journal.get)
            self.carry_out(journal, finisher, plan)

    def carry_out(self, journal: Journal, finisher: Finisher, plan: CallPlan) -> None:
        """Make the calls and finish the entries."""
        raise NotImplementedError

    def planned(self) -> Iterator[Item]:
        """What is to be asked, for the plan."""
        return self.found()

    def answered(self, journal: Journal) -> Callable[[bytes], bool]:
        """What needs no call any more."""
        return journal.has

    def found(self) -> Iterator[Item]:
        """Every entry that is not finished, with the calls to make for it."""
        return items(self.source, self.worker, self.budget)

    def earlier(self) -> Earlier | None:
        """Answers of finished runs, where they may be used; what is unreadable is a problem."""
        if not self.asked.pool.reuse:
            return None
        run_dir = self.worker.run_dir
        return Earlier.open(run_dir.parent, runs.read_params(run_dir)["request"])

    @property
    def _writer(self) -> ResultWriter | None:
        folder: Path | None = self.asked.options.output_dir
        return None if folder is None else ResultWriter(folder)

    def _note_settings(self) -> None:
        """Keep what resuming from a page needs; a yes counts for its own start only."""
        settings = asdict(self.asked.pool) | asdict(self.asked.spend) | {"yes": False}
        runs.update_params(self.worker.run_dir, settings=settings)

    def _plan(self, journal: Journal) -> CallPlan:
        self.worker.stage("estimating the cost", None, "")
        options = self.asked.options
        plan = gemini_plan.reckon(
            self.planned(),
            self.answered(journal),
            self.probed,
            self.price,
            CallPlan(
                "batch" if self.batch else "online",
                (self.probed.answer.model if self.probed else "") or options.model2,
                max_concurrent=None if self.batch else self.asked.pool.max_concurrent,
            ),
        )
        k = options.top_prompts
        if k is not None and k >= plan.prompts:
            warning = f"there are only {plan.prompts} prompts, so --top-prompts {k} asks them all"
            plan = replace(plan, warnings=(*plan.warnings, warning))
        spending.write_plan(self.worker.run_dir, plan)
        return plan
