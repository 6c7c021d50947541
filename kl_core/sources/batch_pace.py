"""When to look at a batch job again: patiently, spread out, and for days."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Pace:
    """How often to look.

    Attributes:
        first_s, most_s: between looks at a job whose state stays, growing by half each time
            from the first to the most.
        lost_s: longest wait while the service cannot be reached; it doubles up to here.
        give_up_s: how long it may be out of reach: longer than a job can queue and run.
        unknown_s: the same before the first job is known to exist: the address may be wrong.
        settle_s: pause between the looks for a job that may have been created.
        slice_s: a wait notices a cancelled run this soon.
    """

    first_s: float = 5.0
    most_s: float = 60.0
    lost_s: float = 300.0
    give_up_s: float = 7 * 86400.0
    unknown_s: float = 120.0
    settle_s: float = 5.0
    slice_s: float = 0.2


LOCAL = Pace(first_s=0.2, most_s=2.0, lost_s=5.0, give_up_s=600.0, unknown_s=10.0, settle_s=0.5)
"""For a server on this machine, whose jobs take a second."""


@dataclass(slots=True)
class Patience:
    """The waits of one job.

    Attributes:
        due: when to look next, by time.monotonic.
        lost_since: when the service was last out of reach without a break; None now.
    """

    pace: Pace
    due: float = 0.0
    lost_since: float | None = None
    _wait: float = 0.0
    _random: random.Random = field(default_factory=random.Random)

    def again_soon(self) -> None:
        """Something happened: look again at once, and often for a while."""
        self.due, self._wait, self.lost_since = 0.0, 0.0, None

    def again_later(self) -> None:
        """Nothing happened."""
        self.lost_since = None
        self._wait = min(self.pace.most_s, max(self.pace.first_s, self._wait * 1.5))
        self._rest(self._wait)

    def lost(self, retry_after_s: float | None, known: bool) -> bool:
        """The service could not be reached; whether to go on trying.

        `known` says that it was reached before, so that there is something to wait for.
        The wall clock decides: a closed laptop's monotonic clock may stand still.
        """
        now = time.time()
        self.lost_since = self.lost_since or now
        self._wait = min(self.pace.lost_s, max(self.pace.first_s, self._wait * 2))
        self._rest(max(self._wait, retry_after_s or 0.0))
        return now - self.lost_since <= (self.pace.give_up_s if known else self.pace.unknown_s)

    def _rest(self, seconds: float) -> None:
        """Up to a fifth more or less, so that many clients do not come at once."""
        self.due = time.monotonic() + seconds * self._random.uniform(0.8, 1.2)


def sleep_until(due: float, pace: Pace, check_cancel: Callable[[], None]) -> None:
    """Sleep in slices; `check_cancel` raises to end it."""
    while True:
        check_cancel()
        left = due - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(left, pace.slice_s))
