"""Counting the calls of a run while they are made."""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass, field

from kl_core.records import CallStats
from kl_core.sources.calls import Answer, CallError

RATE_S = 10.0  # the rate is over so many seconds


@dataclass(slots=True)
class CallCounts:
    """Adds to what earlier starts of the run counted; `stats` is a snapshot.

    Attributes:
        given_up: contexts that are counted as failed and have no answer on disk, those of
            earlier starts included; one that is answered after all is taken off.
    """

    before: CallStats
    given_up: set[bytes] = field(default_factory=set)
    made: int = 0
    reused: int = 0
    failed: int = 0
    retried: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    _marks: deque[tuple[float, int]] = field(default_factory=lambda: deque([(time.monotonic(), 0)]))

    def landed(self, key: bytes, answer: Answer, reused: bool) -> None:
        """An answer is on disk; one with an error is a context given up for good."""
        if key in self.given_up:
            self.given_up.discard(key)
            self.failed -= 1
        if reused:
            self.reused += 1
        elif answer.error is None:
            self.made += 1
            self.input_tokens += answer.input_tokens
            self.output_tokens += answer.output_tokens
        else:
            self.failed += 1

    def gave_up(self, key: bytes) -> None:
        """A context got no answer, however often it was asked in this start."""
        self.failed += key not in self.given_up
        self.given_up.add(key)

    def checked(self, answer: Answer) -> None:
        """A context that has its answer was asked once more, to try the server."""
        self.input_tokens += answer.input_tokens
        self.output_tokens += answer.output_tokens

    def went_wrong(self, error: CallError) -> None:
        """An attempt failed; what it cost counts."""
        self.errors[error.kind] += 1
        self.input_tokens += error.input_tokens
        self.output_tokens += error.output_tokens

    def stats(self, in_flight: int, limit: float, max_concurrent: int) -> CallStats:
        """All of it, with the rate over the last seconds."""
        now = time.monotonic()
        self._marks.append((now, self.made))
        while len(self._marks) > 2 and self._marks[1][0] <= now - RATE_S:
            self._marks.popleft()
        (since, made), before = self._marks[0], self.before
        return CallStats(
            made=before.made + self.made,
            reused=before.reused + self.reused,
            failed=before.failed + self.failed,
            retried=before.retried + self.retried,
            errors=dict(Counter(before.errors) + self.errors),
            in_flight=in_flight,
            limit=limit,
            max_concurrent=max_concurrent,
            rate=(self.made - made) / max(now - since, 1e-3),
            input_tokens=before.input_tokens + self.input_tokens,
            output_tokens=before.output_tokens + self.output_tokens,
            cost=before.cost,
            jobs=before.jobs,
        )
