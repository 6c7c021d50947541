"""The last stage of sampling from started answers: a model judges the continuations."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from kl_core.formats.sampling_config import JudgeConfig
from kl_core.jobs.gemini_options import PoolOptions
from kl_core.jobs.judge import JOURNAL, Judging
from kl_core.jobs.sample_model import SampledBy
from kl_core.jobs.sample_options import SampleOptions
from kl_core.jobs.sample_probe import CHARACTERS_A_TOKEN, guessed_tokens
from kl_core.jobs.sample_progress import SampleProgress
from kl_core.jobs.sample_prompts import Asked
from kl_core.jobs.worker import Worker
from kl_core.records import CallStats, ProblemLog
from kl_core.sources.journal import Journal, Totals
from kl_core.sources.judging import judge_settings
from kl_core.sources.pool import PoolSettings
from kl_core.sources.pricing import Price
from kl_core.sources.sample_ask import Place, make_ask
from kl_core.store import runs
from kl_core.store.spending import CallPlan


@dataclass(frozen=True, slots=True)
class JudgeStage:
    """Who judges, where and for how much."""

    judge: JudgeConfig
    place: Place
    price: Price

    def planned(
        self,
        plan: CallPlan,
        prompts: Sequence[Asked],
        models: Sequence[SampledBy],
        run_dir: Path,
    ) -> CallPlan:
        """The plan with what judging takes at most: every pair differs and is as long as can be.

        Verdicts that earlier starts of the run got are not asked again.
        """
        first, second = (by.settings for by in models[:2])
        settings = judge_settings(self.judge)
        samples = min(first.samples, second.samples)
        words = len(self.judge.template) / CHARACTERS_A_TOKEN + first.max_tokens + second.max_tokens
        tokens_in = samples * sum(guessed_tokens(each.prompt) + words for each in prompts)
        pairs = samples * len(prompts)
        calls = max(pairs - _judged(run_dir).answers, 0)
        tokens_in *= calls / max(pairs, 1)
        tokens_out = calls * settings.max_tokens
        cost = self.price.cost(round(tokens_in), tokens_out)
        same = (self.price.input, self.price.output) == (plan.price_input, plan.price_output)
        return replace(
            plan,
            model=f"{plan.model}, judged by {self.judge.model.name}",
            calls=plan.calls + calls,
            input_tokens=plan.input_tokens + round(tokens_in),
            output_tokens=plan.output_tokens + tokens_out,
            cost=None if cost is None or plan.cost is None else plan.cost + cost,
            price_input=plan.price_input if same else None,
            price_output=plan.price_output if same else None,
        )

    def carry_out(
        self,
        worker: Worker,
        options: SampleOptions,
        pool: PoolOptions,
        prompts: Sequence[Asked],
        progress: SampleProgress,
        number: int,
    ) -> None:
        """Ask for the verdicts that are missing, and write them.

        Args:
            number: of the judge among the pools that `progress` counts.

        Raises:
            RunError: the judge cannot be asked; what was sampled and judged is kept.
        """
        log = ProblemLog()
        files = [each.file for each in prompts]
        config, address = options.config, self.place.address
        judging = Judging(worker.run_dir, config, files, address, log)
        progress.stage("judging", len(list(judging.questions())), "pairs")
        asyncio.run(self._ask(judging, worker, pool, progress, number))
        worker.parts.add_problems(log.drain())

    async def _ask(
        self,
        judging: Judging,
        worker: Worker,
        pool: PoolOptions,
        progress: SampleProgress,
        number: int,
    ) -> None:
        model = self.judge.model
        at_once = 1 if model.api == "local" else pool.max_concurrent
        ask = make_ask(model, judge_settings(self.judge), self.place, pool.timeout_s, at_once)
        settings = PoolSettings(at_once, pool.rate_limit, pool.max_retries)
        try:
            judged = await judging.run(ask, settings, progress.of(number))
        finally:
            await ask.close()
        runs.update_params(worker.run_dir, judged=asdict(judged))


def with_judged(worker: Worker, stats: CallStats) -> CallStats:
    """Counts of earlier starts with those of the judge's calls, which have their own journal."""
    kept = _judged(worker.run_dir)
    return replace(
        stats,
        made=stats.made + kept.answers - kept.errors,
        failed=stats.failed + kept.errors + kept.given_up,
    )


def _judged(run_dir: Path) -> Totals:
    """What the judge's journal holds."""
    path = run_dir / JOURNAL
    if not path.exists():
        return Totals()
    with closing(Journal.open(path)) as journal:
        return journal.totals()
