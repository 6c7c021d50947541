"""What a server was asked, and what came of it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any


class Stats:
    """Counts of calls; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_flight = 0
        self.last_call = time.monotonic()
        self.reset()

    def reset(self) -> None:
        """Forget everything, the numbers of attempts included."""
        with self._lock:
            self._outcomes: Counter[str] = Counter()
            self._attempts: Counter[bytes] = Counter()
            self._successes: Counter[bytes] = Counter()
            self._routes: Counter[str] = Counter()
            self._input_tokens = self._output_tokens = 0
            self._peak = self._in_flight
            self._first = self._last = 0.0

    def touch(self) -> None:
        """Somebody called, for whatever."""
        self.last_call = time.monotonic()

    def idle_s(self) -> float:
        """Seconds since the last call; 0 while one is open."""
        with self._lock:
            return 0.0 if self._in_flight else time.monotonic() - self.last_call

    def asked(self, route: str) -> None:
        """A request came in on a route, whatever comes of it."""
        with self._lock:
            self._routes[route] += 1

    def begins(self) -> None:
        """A call came in."""
        with self._lock:
            self._in_flight += 1
            self._peak = max(self._peak, self._in_flight)
            self.last_call = time.monotonic()
            self._first = self._first or self.last_call

    def attempt(self, key: bytes) -> int:
        """The number of this attempt at a context, from 0."""
        with self._lock:
            self._attempts[key] += 1
            return self._attempts[key] - 1

    def ends(self) -> None:
        """A call is over, whatever came of it."""
        with self._lock:
            self._in_flight -= 1
            self.last_call = self._last = time.monotonic()

    def count(
        self, outcome: str, key: bytes | None = None, input_tokens: int = 0, output_tokens: int = 0
    ) -> None:
        """One outcome; with a `key` it is a success of that context."""
        with self._lock:
            self._outcomes[outcome] += 1
            self._input_tokens += input_tokens
            self._output_tokens += output_tokens
            if key is not None:
                self._successes[key] += 1

    def report(self) -> dict[str, Any]:
        """JSON-ready; `calls_per_s` is from the first call to the end of the last."""
        with self._lock:
            calls = self._outcomes.total()
            elapsed = self._last - self._first
            return {
                "calls": calls,
                "outcomes": dict(sorted(self._outcomes.items())),
                "routes": dict(sorted(self._routes.items())),
                "calls_per_s": calls / elapsed if elapsed > 0 else 0.0,
                "contexts": len(self._attempts.keys() | self._successes.keys()),
                "contexts_succeeded": len(self._successes),
                "contexts_repeated": sum(1 for n in self._successes.values() if n > 1),
                "input_tokens": self._input_tokens,
                "output_tokens": self._output_tokens,
                "in_flight": self._in_flight,
                "peak_in_flight": self._peak,
            }

    def successes(self) -> dict[str, int]:
        """How often each context was answered, by the hex of its key."""
        with self._lock:
            return {key.hex(): n for key, n in self._successes.items()}
