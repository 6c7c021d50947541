"""When to ask a context again, and when to leave it: the one owner of retries."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from kl_core.sources.calls import CallError, Retry


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how soon.

    Attributes:
        max_retries: calls after the first for what may pass.
        odd_tries, stop_tries: calls in all for an odd answer, and for one that contradicts
            the probe.
        base_s, cap_s: the n-th wait is drawn evenly from 0 to min(cap_s, base_s · 2ⁿ)
            (full jitter; M. Brooker, "Exponential backoff and jitter", AWS 2015).
        deadline_s: no call begins later than this after the first one.
    """

    max_retries: int = 8
    odd_tries: int = 4
    stop_tries: int = 3
    base_s: float = 0.5
    cap_s: float = 30.0
    deadline_s: float = 900.0


@dataclass(slots=True)
class Tries:
    """The calls of one context so far.

    Attributes:
        made: calls that failed.
        input_tokens, output_tokens: what they cost all the same.
    """

    policy: RetryPolicy
    seed: str
    started: float
    made: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    _by_kind: dict[Retry, int] = field(default_factory=dict)
    _random: random.Random | None = None

    def wait_after(self, error: CallError, now: float) -> float | None:
        """Seconds until the next call, None where there is none to be made.

        The server's Retry-After is a least wait. `now` is a reading of the clock that gave
        `started`.
        """
        self.made += 1
        self.input_tokens += error.input_tokens
        self.output_tokens += error.output_tokens
        count = self._by_kind[error.retry] = self._by_kind.get(error.retry, 0) + 1
        if count >= self._allowed(error.retry):
            return None
        if self._random is None:
            self._random = random.Random(self.seed)  # noqa: S311 - spreads calls, hides nothing
        span = min(self.policy.cap_s, self.policy.base_s * 2.0 ** (self.made - 1))
        wait = max(self._random.uniform(0.0, span), error.retry_after_s or 0.0)
        return wait if now + wait <= self.started + self.policy.deadline_s else None

    def _allowed(self, retry: Retry) -> int:
        if retry == "again":
            return self.policy.max_retries + 1
        return {"odd": self.policy.odd_tries, "stop": self.policy.stop_tries}.get(retry, 1)
