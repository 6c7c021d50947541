"""How the calls of several models go together: status, counts, cost, and the limit of it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from kl_core.errors import RunError
from kl_core.jobs.worker import STATUS_EVERY_S, Worker, counted
from kl_core.records import CallStats
from kl_core.sources.pricing import Price
from kl_core.store import spending


class OverLimitError(RunError):
    """As much is spent as may be: no model goes on."""


class SampleProgress:
    """Puts the counts of all models together; raises where the run is to end.

    Args:
        prices: of each pool whose counts come in; the judge's is the last, where there is one.
        before: counts of the earlier starts and of the probe.
        cost: dollars of these, None where the price is not known.
        files: how many files are finished in this start.
        max_cost: dollars that all starts together may spend.
    """

    def __init__(
        self,
        worker: Worker,
        prices: Sequence[Price],
        before: CallStats,
        cost: float | None,
        files: Callable[[], int],
        max_cost: float | None,
    ) -> None:
        self._worker, self._before, self._cost = worker, before, cost
        self._prices, self._files, self._max_cost = prices, files, max_cost
        self._stats = [CallStats() for _ in prices]
        self._earlier_stages = 0
        self._lock = threading.Lock()
        self._written = 0.0
        self.ended: BaseException | None = None

    def of(self, number: int) -> Callable[[CallStats], None]:
        """What takes the counts of one model's pool."""

        def tick(stats: CallStats) -> None:
            with self._lock:
                self._stats[number] = stats
                self._tell()

        return tick

    def end(self, error: BaseException) -> None:
        """All pools are to end with the next look at the counts."""
        self.ended = self.ended or error

    def stage(self, name: str, total: int, unit: str) -> None:
        """Begin a stage of the run; what is done so far does not count in it."""
        with self._lock:
            self._earlier_stages = self._done()
            self._worker.stage(name, total, unit)

    def stats(self) -> CallStats:
        """The counts of all models and all starts."""
        each, before = self._stats, self._before
        errors = Counter(before.errors)
        for one in each:
            errors.update(one.errors)
        limits = [one.limit for one in each if one.limit is not None]
        sums = {
            name: getattr(before, name) + sum(getattr(one, name) for one in each)
            for name in ("made", "failed", "retried", "input_tokens", "output_tokens")
        }
        return replace(
            before,
            **sums,
            errors=dict(errors),
            in_flight=sum(one.in_flight for one in each),
            limit=sum(limits) if limits else None,
            max_concurrent=sum(one.max_concurrent or 0 for one in each) or None,
            rate=sum(one.rate or 0.0 for one in each),
            cost=self._spent(),
        )

    def write(self) -> None:
        """Put the counts on disk."""
        self._written = time.monotonic()
        spending.write_stats(self._worker.run_dir, self.stats())

    def _spent(self) -> float | None:
        cost = self._cost
        for price, stats in zip(self._prices, self._stats, strict=True):
            own = price.cost(stats.input_tokens, stats.output_tokens)
            if own is None and not stats.output_tokens:
                own = 0.0
            cost = None if cost is None or own is None else cost + own
        return cost

    def _tell(self) -> None:
        if self.ended is not None:
            raise self.ended
        self._keep_to_the_limit()
        if time.monotonic() - self._written > STATUS_EVERY_S:
            self.write()
        done = self._done() - self._earlier_stages
        self._worker.progress(done, counted(self._files(), "file") + " finished")

    def _done(self) -> int:
        return sum(one.made + max(one.failed, 0) for one in self._stats)

    def _keep_to_the_limit(self) -> None:
        cost, limit = self._spent(), self._max_cost
        if limit is not None and cost is not None and cost > limit:
            self.write()
            raise OverLimitError(
                f"${cost:.2f} is spent and --max-cost is ${limit:.2f}; what was answered is kept, "
                "the same command with a higher limit goes on"
            )
