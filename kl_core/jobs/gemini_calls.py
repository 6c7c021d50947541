"""What `prefill` and `batch` share around the calls: the server, and the progress."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kl_core.errors import RunError
from kl_core.jobs.gemini_options import TOP_LOGPROBS, AskOptions, PoolOptions, SpendOptions
from kl_core.jobs.gemini_plan import Probed
from kl_core.jobs.worker import STATUS_EVERY_S, Worker, counted
from kl_core.records import CallStats
from kl_core.sources.endpoint import Endpoint, resolve_endpoint
from kl_core.sources.gemini_wire import WireSettings
from kl_core.sources.journal import Journal
from kl_core.sources.pricing import FREE, Price, price_of
from kl_core.sources.remote import Assembler
from kl_core.store import runs, spending

JOURNAL = "journal.sqlite"


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


def counts_so_far(worker: Worker, journal: Journal) -> CallStats:
    """The counts so far: those of contexts from the journal, which no crash keeps from the disk.

    Attempts and tokens are the larger of what calls.json and the journal know: the one misses
    what came just before a crash and the probe, the other calls that led to no answer.

    Raises:
        RunError: the journal cannot be read or written.
    """
    journal.flush()
    stats, kept = spending.read_stats(worker.run_dir), journal.totals()
    return replace(
        stats,
        made=kept.answers - kept.errors,
        reused=kept.reused,
        failed=kept.errors + kept.given_up,
        retried=max(stats.retried, kept.attempts - kept.answers),
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
        done = stats.made - before.made + stats.reused - before.reused
        done += max(0, stats.failed - before.failed)  # fewer: some were answered after all
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
