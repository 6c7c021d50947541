"""How many calls at once and how fast, learnt from what the server refuses.

A window of calls in flight alone cannot hold a rate: at 50 ms and 100 calls a second it is five
calls, and one more or less is 20 %. So the window opens first (doubling each round, as TCP's slow
start), and after the first overload calls are spaced out at a rate that follows CUBIC (RFC 9438;
botocore's adaptive retries do the same): cut once, back to the last good rate within seconds,
and ever faster beyond it, so that a lifted limit is found again.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Outcome = Literal["answered", "overload", "lost"]
"""`answered`: the server did its work, whatever it said. `overload`: 429 or 503. `lost`: no
word from the server, which says nothing about its capacity."""

FIRST_WINDOW = 10.0  # RFC 6928
CUT, CUBIC = 0.9, 0.0055  # back at the old rate after 2.6 s, at twice it after 8 s
SHARE, LEAST = 0.2, 5  # refusals below these are noise, not overload
MEMORY = 25  # calls, or those of a second if these are more
LONGEST_S = 60.0
SLACK_S = 0.02  # a late timer may be made up for by this much


@dataclass(slots=True)
class _Cut:
    """The latest cut: when, to what rate, and what the server bore before it."""

    at: float
    rate: float
    bearable: float

    def rate_at(self, now: float) -> float:
        """Calls a second at a later time."""
        turn = math.cbrt(max(0.0, 1.0 - self.rate / self.bearable) / CUBIC)
        return self.bearable * (1.0 + CUBIC * (now - self.at - turn) ** 3)


class Limiter:
    """Leave for each call, in the order of asking.

    Args:
        ceiling: calls at once, at most.
        rate_limit: calls a second, at most; None for no such limit.
        clock: seconds.
    """

    def __init__(
        self,
        ceiling: int,
        rate_limit: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ceiling, self._rate_limit, self._clock = max(1, ceiling), rate_limit, clock
        self._window = min(FIRST_WINDOW, float(self._ceiling))
        self._cut: _Cut | None = None
        self._latency_s = 0.0
        self._next = self._pause_from = self._pause_until = -math.inf
        self._recent: deque[tuple[float, bool]] = deque()  # answered at, refused
        self._recent_refused = 0
        self._seen = self._seen_refused = 0.0  # of calls sent after the cut, the old ones fading
        self._turn, self._room = asyncio.Lock(), asyncio.Event()
        self.in_flight = 0

    @property
    def limit(self) -> float:
        """Calls at once that are allowed at present."""
        if self._cut is None:
            return self._window
        wanted = 2.0 * self._cut.rate_at(self._clock()) * self._latency_s + 2.0
        return float(min(self._ceiling, max(1, math.ceil(wanted))))

    @property
    def rate(self) -> float:
        """Calls a second that are allowed at present, `inf` for no limit."""
        limit = self._rate_limit or math.inf
        return limit if self._cut is None else min(limit, self._cut.rate_at(self._clock()))

    async def acquire(self) -> float:
        """Wait for leave to make one call; the time of it, to be handed to `release`."""
        async with self._turn:  # first come, first served
            while (wait := self._wait()) is not None:
                self._room.clear()
                alarm = asyncio.get_running_loop().call_later(wait, self._room.set)
                try:
                    await self._room.wait()
                finally:
                    alarm.cancel()
            now = self._clock()
            rate = self.rate
            if rate < math.inf:
                self._next = max(self._next, now - SLACK_S) + 1.0 / rate
            self.in_flight += 1
            return now

    def release(self, sent: float, outcome: Outcome, retry_after_s: float | None = None) -> None:
        """Give the leave back and learn from how the call went."""
        self.in_flight -= 1
        self._room.set()
        if outcome == "lost":
            return
        now = self._clock()
        refused = outcome == "overload"
        self._note(now, sent, refused)
        if refused:
            self._refused(now, sent, retry_after_s)
            return
        weight = 0.1 if self._latency_s else 1.0
        self._latency_s += weight * (now - sent - self._latency_s)
        if self._cut is None:
            self._window = min(float(self._ceiling), self._window + 1.0)
        else:  # growth nobody used is not kept
            spare = 2.0 * self._per_second(now, refused_too=True) + 10.0
            if self._cut.rate_at(now) > spare and now - self._cut.at > self._span():
                self._cut = _Cut(now, spare, spare)

    def _wait(self) -> float | None:
        """None where a call may go now; else how long to wait, unless room comes before."""
        now = self._clock()
        if self.in_flight >= self.limit:
            return 1.0
        until = max(self._next, self._pause_until)
        return until - now if until > now else None

    def _refused(self, now: float, sent: float, retry_after_s: float | None) -> None:
        """One cut an episode: what was sent before the cut says nothing about the time after."""
        if self._cut is not None and sent < self._cut.at:
            return
        if self._seen_refused < LEAST or self._seen_refused <= SHARE * self._seen:
            return
        before = min(self.rate, self._per_second(now, refused_too=True))
        borne = self._per_second(now, refused_too=False)
        rate = max(CUT * borne, before / 2.0, 1.0 / LONGEST_S)
        self._cut = _Cut(now, min(rate, before), max(rate, borne))
        self._seen = self._seen_refused = 0.0
        self._next = now + 1.0 / rate
        if retry_after_s:
            self._pause_from = now
            self._pause_until = now + min(retry_after_s, LONGEST_S)

    def _per_second(self, now: float, *, refused_too: bool) -> float:
        """Calls answered a second of late; a pause is no time."""
        count = len(self._recent) - (0 if refused_too else self._recent_refused)
        begin = max(now - self._span(), self._recent[0][0]) if self._recent else now
        paused = max(0.0, min(now, self._pause_until) - max(begin, self._pause_from))
        return count / max(now - begin - paused, 0.1)

    def _span(self) -> float:
        """How far back "of late" goes: ten calls, at least a second and at most a minute."""
        rate = self.rate
        return min(LONGEST_S, max(1.0, 10.0 / rate)) if rate < math.inf else 1.0

    def _note(self, now: float, sent: float, refused: bool) -> None:
        self._recent.append((now, refused))
        self._recent_refused += refused
        begin = now - self._span()
        while self._recent[0][0] < begin:
            self._recent_refused -= self._recent.popleft()[1]
        if self._cut is None or sent >= self._cut.at:
            self._seen += 1.0
            self._seen_refused += refused
        if self._seen >= 2.0 * max(MEMORY, len(self._recent)):
            self._seen, self._seen_refused = self._seen / 2.0, self._seen_refused / 2.0
