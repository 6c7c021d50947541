"""Endpoint: model 2 behind an OpenAI-shaped server, one request a response where it can."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

from kl_core.formats.kl_results import ResultWriter
from kl_core.jobs import gemini_plan
from kl_core.jobs.earlier import Earlier
from kl_core.jobs.endpoint_options import EndpointOptions
from kl_core.jobs.endpoint_probe import Prober
from kl_core.jobs.endpoint_way import Way
from kl_core.jobs.finishing import Finishing
from kl_core.jobs.gemini_calls import Progress, counts_so_far, open_journal
from kl_core.jobs.gemini_options import PoolOptions, SpendOptions
from kl_core.jobs.gemini_plan import Ask
from kl_core.jobs.reading import Input, Numbered, numbered
from kl_core.jobs.scoring import refuse_shared_names
from kl_core.jobs.worker import Worker
from kl_core.sources.calls import Question
from kl_core.sources.journal import Journal
from kl_core.sources.pool import Pool, PoolSettings
from kl_core.sources.pricing import FREE, Price
from kl_core.sources.servers import Server, resolve_server
from kl_core.store import runs, spending
from kl_core.store.spending import CallPlan

KINDS = ("endpoint",)
SAME = (
    "model2", "base_url", "server", "fallback", "tokenizer", "revision", "top_logprobs",
    "chat_template", "system", "raw", "tokenizer_fingerprint",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class EndpointRequest:
    """What is asked of `endpoint`.

    Attributes:
        ask: shows the plan to a person and asks whether to start; None where nobody can be
            asked.
    """

    options: EndpointOptions
    pool: PoolOptions
    spend: SpendOptions
    ask: Ask | None = None


def prepare(asked: EndpointRequest) -> tuple[dict[str, Any], str, Callable[[Worker], None]]:
    """(frozen request, title, work).

    Raises:
        InputError: nothing to read, an address that must not be used, a key that is missing.
    """
    options = asked.options
    source = options.open()
    server = resolve_server(options.base_url, options.key_env)
    frozen = options.frozen(source)
    return frozen, options.title, lambda worker: _Endpoint(asked, source, server, worker).work()


@dataclass(frozen=True, slots=True)
class _Ticket:
    """One entry and what is asked about it."""

    numbered: Numbered
    ready: Any
    contexts: tuple[Question, ...]


class _Endpoint:
    """One start of a run."""

    def __init__(
        self, asked: EndpointRequest, source: Input, server: Server, worker: Worker
    ) -> None:
        self.asked, self.source, self.server, self.worker = asked, source, server, worker

    def work(self) -> None:
        """Find out how the server can be asked, reckon, get a yes, then do it."""
        asked, worker = self.asked, self.worker
        settings = asdict(asked.pool) | asdict(asked.spend) | {"yes": False}
        runs.update_params(worker.run_dir, settings=settings)
        if asked.options.output_dir is not None:
            refuse_shared_names(self.source)
        with closing(open_journal(worker.run_dir)) as journal:
            prober = Prober(worker, asked.options, asked.pool, self.server, journal)
            way = prober.find(lambda: numbered(self.source, worker))
            if not prober.asks:
                self._finish_unasked(way)
                return
            price = self._price(way)
            plan = self._plan(way, journal, price)
            gemini_plan.permit(worker, plan, asked.spend, asked.ask)
            self._carry_out(way, journal, plan, price)

    def _entries(self) -> Iterator[Numbered]:
        for each in numbered(self.source, self.worker):
            if each.prompt_id not in self.worker.finished:
                yield each

    def _tickets(self, way: Way) -> Iterator[_Ticket]:
        for each in self._entries():
            ready = way.ready(each.source)
            yield _Ticket(each, ready, tuple(way.questions(ready)))

    def _finish_unasked(self, way: Way) -> None:
        """Keep entries of which nothing can be asked, each with its reason."""
        finishing = Finishing(self.worker, self._writer)
        for each in self._entries():
            scored = way.assemble(way.ready(each.source), lambda _: None, {})
            finishing.write(each, scored, way.problems())

    @property
    def _writer(self) -> ResultWriter | None:
        folder = self.asked.options.output_dir
        return ResultWriter(folder) if folder is not None else None

    def _price(self, way: Way) -> Price:
        spend = self.asked.spend
        if self.server.free and spend.input_price is None and spend.output_price is None:
            return FREE
        known = way.price
        return Price(
            known.input if spend.input_price is None else spend.input_price,
            known.output if spend.output_price is None else spend.output_price,
        )

    def _plan(self, way: Way, journal: Journal, price: Price) -> CallPlan:
        self.worker.stage("estimating the cost", None, "")
        asked: set[bytes] = set()
        prompts = responses = positions = calls = kept = tokens = 0
        for ticket in self._tickets(way):
            entry = ticket.numbered.source
            prompts += 1
            responses += len(entry.responses)
            positions += sum(len(response.positions) for response in entry.responses)
            for question in ticket.contexts:
                if question.key in asked:
                    continue
                asked.add(question.key)
                if journal.has(question.key):
                    kept += 1
                    continue
                calls += 1
                tokens += way.tokens(question)
        way.problems()  # the pass that asks notes them again
        rate = self.asked.pool.max_concurrent / max(way.latency_s, 1e-3)
        plan = CallPlan(
            "endpoint",
            self.asked.options.model2,
            prompts=prompts,
            responses=responses,
            positions=positions,
            calls=calls,
            kept=kept,
            input_tokens=tokens,
            output_tokens=calls,
            cost=price.cost(tokens, calls),
            price_input=price.input,
            price_output=price.output,
            seconds=calls / rate,
            latency_s=way.latency_s,
            max_concurrent=self.asked.pool.max_concurrent,
            warnings=tuple(way.warnings),
        )
        spending.write_plan(self.worker.run_dir, plan)
        return plan

    def _carry_out(self, way: Way, journal: Journal, plan: CallPlan, price: Price) -> None:
        asked, worker = self.asked, self.worker
        runs.update_params(worker.run_dir, model2=asked.options.model2, identity2=way.identity())
        worker.stage("asking", plan.calls, "requests" if way.whole else "calls")
        finishing = Finishing(worker, self._writer)
        before = counts_so_far(worker, journal)
        progress = Progress(worker, price, before, lambda: finishing.prompts, asked.spend.max_cost)
        earlier = None
        if asked.pool.reuse:
            request = runs.read_params(worker.run_dir)["request"]
            earlier = Earlier.open(worker.run_dir.parent, request, KINDS, SAME)

        def done(ticket: _Ticket, failures: Mapping[bytes, str]) -> None:
            scored = way.assemble(ticket.ready, journal.get, failures)
            finishing.write(ticket.numbered, scored, way.problems())

        try:
            asyncio.run(self._ask(way, journal, done, progress, earlier))
        finally:
            if earlier is not None:
                worker.parts.add_problems(earlier.problems)
                earlier.close()

    async def _ask(
        self,
        way: Way,
        journal: Journal,
        done: Callable[[_Ticket, Mapping[bytes, str]], None],
        progress: Progress,
        earlier: Earlier | None,
    ) -> None:
        asked = self.asked.pool
        settings = PoolSettings(asked.max_concurrent, asked.rate_limit, asked.max_retries)
        client = way.client(asked.timeout_s, asked.max_concurrent)
        before = counts_so_far(self.worker, journal)
        pool: Pool[Any] = Pool(
            client, journal, settings, earlier, progress, before, known_good=way.known_good
        )
        try:
            await pool.run(self._tickets(way), done)
        finally:
            progress.write(pool.stats)
            await client.close()
