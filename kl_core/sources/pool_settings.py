"""How hard a pool asks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """How hard to ask.

    Attributes:
        max_concurrent: calls at once, at most.
        rate_limit: calls a second, at most; None for no such limit.
        max_retries: calls of a context after its first, for failures that may pass.
        deadline_s, base_s: see RetryPolicy.
        hopeless: so many contexts given up with no answer between them end the run.
        odd_in_a_row: so many contexts that ended odd with no good answer between them end it,
            unless a context known to be good is answered well then.
        tick_s: between two looks at the counts.
        grace_s: how long calls in flight may take to come in when the run ends early.
    """

    max_concurrent: int = 50
    rate_limit: float | None = None
    max_retries: int = 8
    deadline_s: float = 900.0
    base_s: float = 0.5
    hopeless: int = 20
    odd_in_a_row: int = 50
    tick_s: float = 0.3
    grace_s: float = 5.0

    @property
    def room(self) -> int:
        """Contexts held at once, and tickets."""
        return 2 * self.max_concurrent + 64
