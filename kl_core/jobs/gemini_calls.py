"""What `prefill` and `batch` share around the calls: the server, the probe, the progress."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from kl_core.errors import ModelError, RunError
from kl_core.jobs.gemini_entries import Item
from kl_core.jobs.gemini_options import TOP_LOGPROBS, AskOptions, PoolOptions, SpendOptions
from kl_core.jobs.gemini_plan import Probed
from kl_core.jobs.worker import STATUS_EVERY_S, Worker
from kl_core.sources.calls import Answer, Ask, CallError, Context
from kl_core.sources.endpoint import Endpoint, resolve_endpoint
from kl_core.sources.gemini_wire import WireSettings
from kl_core.sources.journal import Journal
from kl_core.sources.pricing import FREE, Price, price_of
from kl_core.sources.probe import ProbePoint, choose_point, literal_warning
from kl_core.sources.remote import Assembler
from kl_core.sources.retries import RetryPolicy, Tries
from kl_core.store import runs, spending
from kl_core.store.spending import CallStats

JOURNAL = "journal.sqlite"
LOCAL_RETRIES = 2  # of a probe that finds nobody listening on this machine
SLICE_S = 0.2  # a cancel waits so long
T = TypeVar("T")


@dataclass(slots=True)
class Remote:
    """The server that is asked, and how.

    Attributes:
        thinking_budget: what the probe found the model takes; None leaves it out.
    """

    options: AskOptions
    pool: PoolOptions
    endpoint: Endpoint
    thinking_budget: int | None = 0

    @classmethod
    def open(cls, options: AskOptions, pool: PoolOptions) -> Remote:
        """Check address and credentials; no call is made.

        Raises:
            InputError: see resolve_endpoint.
        """
        return cls(
            options, pool, resolve_endpoint(options.project_id, options.location, options.base_url)
        )

    @property
    def place(self) -> dict[str, Any]:
        """Where the calls go, redirects of the environment included: part of what a run is."""
        address = self.endpoint.base_url
        return {
            "base_url": address.rstrip("/") if address else None,
            "location": self.endpoint.location,
        }

    @property
    def wire(self) -> WireSettings:
        """What is the same in every call."""
        length = self.options.top_logprobs or TOP_LOGPROBS
        return WireSettings(self.options.model2, length, self.thinking_budget)

    def price(self, spend: SpendOptions, batch: bool) -> Price:
        """Dollars per million tokens.

        Raises:
            InputError: the price table cannot be read.
        """
        if self.endpoint.loopback and spend.input_price is None and spend.output_price is None:
            return FREE
        return price_of(self.options.model2, batch, spend.input_price, spend.output_price)

    def assembler(self) -> Assembler:
        """Makes scored entries of its answers."""
        return Assembler(self.options.model2, self.options.top_logprobs is None)

    def note_identity(self, worker: Worker, probed: Probed | None) -> None:
        """Write into the run who answers."""
        identity = {
            "name": self.options.model2,
            "model_version": probed.answer.model if probed else None,
            "endpoint": self.endpoint.name,
            "top_logprobs": self.wire.top_logprobs,
            "thinking_budget": self.thinking_budget,
        }
        runs.update_params(worker.run_dir, model2=self.options.model2, identity2=identity)


def open_journal(run_dir: Path) -> Journal:
    """Where the run's finished calls are."""
    return Journal.open(run_dir / JOURNAL)


def probe(
    worker: Worker, remote: Remote, journal: Journal, found: Callable[[], Iterable[Item]]
) -> Probed | None:
    """Ask one position of the user's own data before anything is spent on the rest.

    The answer is kept, so that the run does not pay for it again; a resumed run whose probe
    is on disk asks nothing.

    A second call, over the connection that stands by then, tells how long one takes.

    Returns:
        None where no position can be asked.

    Raises:
        ModelError: one sentence on what the model does not do.
        RunError: it cannot be reached at present.
    """
    worker.stage("probing the model", None, "")
    point = choose_point(item.prepared for item in found())
    if point is None:
        return None
    told = runs.read_params(worker.run_dir).get("probe") or {}
    kept, first = journal.get(point.context.key), journal.get(point.first.key)
    if kept is None or first is None or kept.error or first.error or "latency_s" not in told:
        kept, first, latency_s = _first_answers(worker, remote, point)
        for context, answer in ((point.context, kept), (point.first, first)):
            journal.keep(context.key, answer)
        journal.flush()
        told = {"thinking_budget": remote.thinking_budget, "latency_s": latency_s}
        runs.update_params(worker.run_dir, probe=told)
    remote.thinking_budget = told["thinking_budget"]
    warning = literal_warning(point, kept)
    return Probed(
        point.context,
        kept,
        point.first,
        first.input_tokens,
        float(told["latency_s"]),
        (warning,) if warning else (),
    )


def _first_answers(
    worker: Worker, remote: Remote, point: ProbePoint
) -> tuple[Answer, Answer, float]:
    """The probe's two answers, and how long the second took.

    Thinking is turned off, or not spoken of to models that refuse that.
    """
    refused = ""
    for remote.thinking_budget in (0, None):
        try:
            return asyncio.run(_ask_both(worker, remote, point))
        except CallError as error:
            if remote.thinking_budget == 0 and error.kind == "400" and "think" in error.reason:
                refused = error.reason
                continue
            kind = RunError if error.retry == "again" else ModelError
            raise kind(_sentence(remote, error, refused)) from error
    raise AssertionError("both ways of asking returned or raised")


def _sentence(remote: Remote, error: CallError, refused: str) -> str:
    name, place = remote.options.model2, remote.endpoint.name
    if error.kind == "connection" and remote.endpoint.loopback:
        return f"{place} does not answer: start a server there (python -m kl_core emulate) first"
    if error.kind in ("connection", "timeout"):
        return f"{place} cannot be reached: {error.reason}; check the network, then start again"
    if error.kind == "empty" and refused:
        return (
            f"{name} spends its one token on thoughts and cannot be told not to ({refused}); "
            "choose a model that can, such as a flash model; nothing else was asked"
        )
    if error.kind in ("empty", "no logprobs"):
        return (
            f"{name} gave no log-probabilities: {error.reason}; choose a model and API that give "
            "them; nothing else was asked"
        )
    return f"{error.reason}; nothing else was asked"


async def _ask_both(
    worker: Worker, remote: Remote, point: ProbePoint
) -> tuple[Answer, Answer, float]:
    from kl_core.sources.gemini_client import GeminiClient

    client = GeminiClient(remote.endpoint, remote.wire, remote.pool.timeout_s, 1)
    try:
        answer, latency_s = await _ask_once(worker, remote, client, point.context)
        first = answer
        if point.first.key != point.context.key:
            first, latency_s = await _ask_once(worker, remote, client, point.first)
        return answer, first, latency_s
    finally:
        await client.close()


async def _ask_once(
    worker: Worker, remote: Remote, ask: Ask, context: Context
) -> tuple[Answer, float]:
    """One answer, however many calls it takes, and how long the last one took."""
    tries = Tries(RetryPolicy(remote.pool.max_retries), "probe", time.monotonic())
    while True:
        began = time.monotonic()
        try:
            answer = await _watched(worker, ask(context))
        except CallError as error:
            wait = tries.wait_after(error, time.monotonic())
            nobody = error.kind == "connection" and remote.endpoint.loopback
            if wait is None or (nobody and tries.made > LOCAL_RETRIES):
                raise
            await _watched(worker, asyncio.sleep(wait))
        else:
            took = time.monotonic() - began
            return msgspec.structs.replace(answer, attempts=tries.made + 1), took


async def _watched(worker: Worker, work: Coroutine[Any, Any, T]) -> T:
    """Wait for something, giving in to a cancel meanwhile."""
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait({task}, timeout=SLICE_S))[0]:
            worker.check_cancel()
        return task.result()
    finally:
        task.cancel()


def counts_so_far(worker: Worker, journal: Journal) -> CallStats:
    """The counts of earlier starts; what a crash kept calls.json from telling, the journal does."""
    stats, kept = spending.read_stats(worker.run_dir), journal.totals()
    return replace(
        stats,
        made=max(stats.made, kept.answers - stats.reused),
        failed=kept.errors,  # the others are asked again
        input_tokens=max(stats.input_tokens, kept.input_tokens),
        output_tokens=max(stats.output_tokens, kept.output_tokens),
    )


@dataclass(slots=True)
class Progress:
    """Tells status.json and calls.json how the calls go; raises where the user cancels.

    Attributes:
        price: for what was spent so far.
        before: counts of the earlier starts of this run; `stats` includes them.
        prompts: how many prompts are finished in this start.
        max_cost: dollars that all starts together may spend.
    """

    worker: Worker
    price: Price
    before: CallStats
    prompts: Callable[[], int]
    max_cost: float | None = None
    _written: float = 0.0

    def __call__(self, stats: CallStats) -> None:
        """Take in fresh counts.

        Raises:
            RunCancelled: the user asked to stop.
            RunError: as much is spent as may be; what was answered is kept.
        """
        self._keep_to_the_limit(stats)
        if time.monotonic() - self._written > STATUS_EVERY_S:
            self.write(stats)
        before = self.before
        done = stats.made + stats.failed + stats.reused
        done -= before.made + before.failed + before.reused
        self.worker.progress(done, counted(self.prompts(), "prompt") + " finished")

    def _keep_to_the_limit(self, stats: CallStats) -> None:
        cost = self.price.cost(stats.input_tokens, stats.output_tokens)
        if self.max_cost is not None and cost is not None and cost > self.max_cost:
            self.write(stats)
            raise RunError(
                f"${cost:.2f} is spent and --max-cost is ${self.max_cost:.2f}; what was answered "
                "is kept, the same command with a higher limit goes on"
            )

    def write(self, stats: CallStats) -> None:
        """Put the counts on disk, with what they cost."""
        self._written = time.monotonic()
        cost = self.price.cost(stats.input_tokens, stats.output_tokens)
        spending.write_stats(self.worker.run_dir, replace(stats, cost=cost))


def counted(number: int, noun: str) -> str:
    """`1 prompt`, `2 prompts`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
