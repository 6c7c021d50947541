"""What a run of `sample` has spent before its calls are made: earlier starts, and the probe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from kl_core.jobs.gemini_calls import counts_so_far
from kl_core.jobs.sample_model import SampledBy
from kl_core.jobs.worker import Worker
from kl_core.sources.calls import Answer, Ask, CallError
from kl_core.sources.journal import Journal
from kl_core.sources.sample_question import SampleQuestion
from kl_core.store import spending


def spent_before(worker: Worker, journal: Journal, models: Sequence[SampledBy]) -> float | None:
    """Dollars of earlier starts and of the probe; None where a price is not known."""
    total = spending.read_stats(worker.run_dir).cost or 0.0
    known: float | None = 0.0
    for by in models:
        kept = tokens_in = tokens_out = 0
        for question in (q for ticket in by.tickets for q in ticket.contexts):
            answer = journal.get(question.key)
            if answer is not None:
                kept += 1
                tokens_in += answer.input_tokens
                tokens_out += answer.output_tokens
        cost = by.price.cost(tokens_in, tokens_out)
        known = None if known is None or (cost is None and kept) else known + (cost or 0.0)
    return None if known is None else max(known, total)


class ProbeBill:
    """Counts the probe's calls, failed tries included, which the journal does not know."""

    def __init__(self, worker: Worker, journal: Journal, models: Sequence[SampledBy]) -> None:
        self._worker = worker
        self._before = counts_so_far(worker, journal)
        self._cost = spent_before(worker, journal, models)
        self._input = self._output = self._made = self._failed = 0
        self._errors: Counter[str] = Counter()

    def asking(self, by: SampledBy, ask: Ask[SampleQuestion]) -> Ask[SampleQuestion]:
        """The same asker, with its calls on the bill."""

        async def counted(question: SampleQuestion) -> Answer:
            try:
                answer = await ask(question)
            except CallError as error:
                self._failed += 1
                self._errors[error.kind] += 1
                self._add(by, error.input_tokens, error.output_tokens)
                raise
            self._made += 1
            self._add(by, answer.input_tokens, answer.output_tokens)
            return answer

        return counted

    def write(self) -> None:
        """Put the counts on disk, with those of earlier starts."""
        if not self._made + self._failed:
            return
        before = self._before
        stats = replace(
            before,
            made=before.made + self._made,
            retried=before.retried + self._failed,
            errors=dict(Counter(before.errors) + self._errors),
            input_tokens=before.input_tokens + self._input,
            output_tokens=before.output_tokens + self._output,
            cost=self._cost,
        )
        spending.write_stats(self._worker.run_dir, stats)

    def _add(self, by: SampledBy, tokens_in: int, tokens_out: int) -> None:
        self._input += tokens_in
        self._output += tokens_out
        cost = by.price.cost(tokens_in, tokens_out)
        if cost is None and not tokens_in + tokens_out:
            cost = 0.0
        self._cost = None if self._cost is None or cost is None else self._cost + cost
