"""Sample: responses with log-probabilities from several models, one file a prompt."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, fields
from typing import Any

from kl_core.errors import InputError, ModelError, RunError
from kl_core.jobs import gemini_plan
from kl_core.jobs.gemini_calls import counts_so_far, open_journal
from kl_core.jobs.gemini_options import PoolOptions, SpendOptions
from kl_core.jobs.sample_finish import SampleFinisher
from kl_core.jobs.sample_judge import JudgeStage, with_judged
from kl_core.jobs.sample_model import SampledBy, Ticket
from kl_core.jobs.sample_options import SampleOptions, SampleRequest
from kl_core.jobs.sample_plan import reckon
from kl_core.jobs.sample_prices import UNKNOWN, price_for, price_lists
from kl_core.jobs.sample_probe import probe
from kl_core.jobs.sample_progress import OverLimitError, SampleProgress
from kl_core.jobs.sample_prompts import Asked, asked_prompts
from kl_core.jobs.sample_spent import spent_before
from kl_core.jobs.sample_survey import survey
from kl_core.jobs.worker import Worker
from kl_core.sources.journal import Journal
from kl_core.sources.pool import Pool, PoolSettings
from kl_core.sources.sample_ask import Place, make_ask
from kl_core.sources.sample_question import SampleQuestion
from kl_core.sources.sample_words import worded
from kl_core.store import runs, spending

MAX_CONCURRENT, TIMEOUT_S = 20, 120.0


def prepare(asked: SampleRequest) -> tuple[dict[str, Any], str, Callable[[Worker], None]]:
    """(frozen request, title, work).

    Raises:
        InputError: no prompts, an address that must not be used, a key that is missing.
        ModelError: a local model that is not there.
    """
    places = asked.options.check()
    frozen = asked.options.frozen(places)
    return frozen, asked.options.title, lambda worker: _Sample(asked, places, worker).work()


def thawed(request: dict[str, Any], settings: dict[str, Any]) -> SampleRequest:
    """What was asked, from a run's frozen request and its settings."""
    pool = {each.name: settings[each.name] for each in fields(PoolOptions) if each.name in settings}
    spend = {
        each.name: settings[each.name] for each in fields(SpendOptions) if each.name in settings
    }
    options = SampleOptions.thawed(request)
    return SampleRequest(options, PoolOptions(**pool), SpendOptions(**spend))


class _Sample:
    """One start of a run."""

    def __init__(self, asked: SampleRequest, places: list[Place], worker: Worker) -> None:
        self.asked, self.worker = asked, worker
        config = asked.options.config
        self.places = places  # the judge's is the last
        pairs = zip(config.models, places, strict=False)
        self.models = [SampledBy.of(config, model, place) for model, place in pairs]
        names = Counter(by.counts.name for by in self.models)
        for by in self.models:
            if names[by.counts.name] > 1:
                by.counts.shown = f"{by.counts.name} ({by.model.folder})"
        self.judge: JudgeStage | None = None

    def work(self) -> None:
        """Read the prompts, look at the files, probe, reckon, get a yes, then do it."""
        asked, worker = self.asked, self.worker
        worker.holds = "files"
        settings = asdict(asked.pool) | asdict(asked.spend) | {"yes": False}
        runs.update_params(worker.run_dir, settings=settings)
        prompts = asked_prompts(worker, asked.options)
        with closing(open_journal(worker.run_dir)) as journal:
            self._survey(prompts, journal)
            finisher = SampleFinisher(worker, self.models, journal.get, asked.options.overwrite)
            finisher.tell()
            self._find_prices()
            warnings = probe(worker, asked.pool, journal, self.models)
            self._refuse_where_nobody_answers()
            plan = reckon(self.models, journal, asked.pool, warnings + self._judge_without_tokens())
            calls = plan.calls
            if self.judge is not None:
                plan = self.judge.planned(plan, prompts, self.models, worker.run_dir)
            spending.write_plan(worker.run_dir, plan)
            gemini_plan.permit(worker, plan, asked.spend, asked.ask)
            self._note_identities()
            limit = asked.spend.max_cost if plan.calls else None
            self._carry_out(prompts, journal, finisher, calls, limit)

    def _judge_without_tokens(self) -> list[str]:
        if self.asked.options.config.judge is None or self.judge is not None:
            return []
        return ["the judge compares continuations, and there are none without --from-tokens"]

    def _survey(self, prompts: Sequence[Asked], journal: Journal) -> None:
        """Look at the files of all models."""
        total = len(prompts) * len(self.models)
        self.worker.stage("looking at what is there", total, "files")
        overwrite = self.asked.options.overwrite
        survey(self.worker, self.models, prompts, journal, overwrite)

    def _find_prices(self) -> None:
        """What calls cost, asked of the servers; not where every file is whole already."""
        if self.asked.options.judge is None and not any(t.contexts for t in self._tickets()):
            return
        self.worker.stage("looking up prices", None, "")
        listed = price_lists(self.worker, self.places)
        for by in self.models:
            own = listed.get(by.place.address, {}).get(by.model.name, UNKNOWN)
            by.price = price_for(by.model, by.place, own)
        judge = self.asked.options.judge
        if judge is not None:
            place = self.places[-1]
            own = listed.get(place.address, {}).get(judge.model.name, UNKNOWN)
            self.judge = JudgeStage(judge, place, price_for(judge.model, place, own))

    def _tickets(self) -> Iterator[Ticket]:
        for by in self.models:
            yield from by.tickets

    def _refuse_where_nobody_answers(self) -> None:
        """End a run of which no model can be asked."""
        if all(by.failed for by in self.models):
            passing = all(by.passing for by in self.models)
            raise (RunError if passing else ModelError)(_sentence(self.models))

    def _refuse_if_some_failed(self) -> None:
        failed = [by for by in self.models if by.failed]
        if failed:
            raise RunError(
                f"{_sentence(failed)}; what came of the others is kept, and resuming the run asks "
                "for what is missing"
            )

    def _note_identities(self) -> None:
        identities = [
            {"name": by.counts.name, "folder": by.model.folder, "endpoint": by.place.name}
            for by in self.models
        ]
        runs.update_params(self.worker.run_dir, sampled_models=identities)

    def _carry_out(
        self,
        prompts: Sequence[Asked],
        journal: Journal,
        finisher: SampleFinisher,
        calls: int,
        limit: float | None,
    ) -> None:
        asked, worker, judge = self.asked, self.worker, self.judge
        before = with_judged(worker, counts_so_far(worker, journal))
        spent = spent_before(worker, journal, self.models)
        prices = [by.price for by in self.models] + ([judge.price] if judge is not None else [])
        progress = SampleProgress(worker, prices, before, spent, lambda: finisher.files, limit)
        progress.stage("sampling", calls, "calls")
        try:
            asyncio.run(self._ask_all(journal, finisher, progress))
            self._refuse_if_some_failed()
            if judge is not None:
                last = len(self.models)
                judge.carry_out(worker, asked.options, asked.pool, prompts, progress, last)
        finally:
            progress.write()
            finisher.tell()

    async def _ask_all(
        self, journal: Journal, finisher: SampleFinisher, progress: SampleProgress
    ) -> None:
        """All models at the same time, each with a pool of its own."""
        work = [
            self._ask(number, by, journal, finisher, progress)
            for number, by in enumerate(self.models)
            if not by.failed
        ]
        ended = await asyncio.gather(*work, return_exceptions=True)
        for error in ended:
            if isinstance(error, BaseException):
                raise progress.ended or error

    async def _ask(
        self,
        number: int,
        by: SampledBy,
        journal: Journal,
        finisher: SampleFinisher,
        progress: SampleProgress,
    ) -> None:
        """One model to its end; where no call to it can succeed, the others go on."""
        asked = self.asked.pool
        at_once = by.max_concurrent or asked.max_concurrent
        settings = PoolSettings(at_once, asked.rate_limit, asked.max_retries)
        try:
            ask = make_ask(by.model, by.settings, by.place, asked.timeout_s, at_once)
        except InputError as error:
            by.failed = worded(str(error))
            return
        pool: Pool[SampleQuestion] = Pool(
            ask, journal, settings, None, progress.of(number), known_good=by.known_good
        )

        def done(ticket: Ticket, failures: Mapping[bytes, str]) -> None:
            finisher.done(by, ticket, failures)

        try:
            await pool.run(iter(by.tickets), done)
            await asyncio.to_thread(finisher.end, by)
        except OverLimitError as error:
            progress.end(error)
            raise
        except RunError as error:
            if progress.ended is not None:
                raise
            by.failed = str(error)
        except BaseException as error:
            progress.end(error)
            raise
        finally:
            await ask.close()


def _sentence(failed: Sequence[SampledBy]) -> str:
    """Which models could not be asked, and why."""
    return "; ".join(f"{by.counts.shown} could not be asked: {by.failed}" for by in failed)
