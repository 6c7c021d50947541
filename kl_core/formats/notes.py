"""Problems of one file, gathered so that one row stands for many like places."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from kl_core.records import ProblemLog


@dataclass(slots=True)
class _Row:
    where: str
    reason: str
    hint: str
    count: int = 1


class Notes:
    """Collects the problems of one file; one row a (response, kind), with a count."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._rows: dict[tuple[str, str], _Row] = {}
        self._responses = 0
        self._without: Counter[str] = Counter()

    def add(self, scope: str, where: str, kind: str, reason: str, hint: str) -> None:
        """Note one place; `scope` is the response (or entry, or file) it lies in."""
        row = self._rows.get((scope, kind))
        if row is None:
            self._rows[scope, kind] = _Row(where, reason, hint)
        else:
            row.count += 1

    def count_response(self, has_logprobs: bool, provider: str | None) -> None:
        """Count one response, and its provider where it came without log-probabilities."""
        self._responses += 1
        if not has_logprobs:
            self._without[provider or "unnamed provider"] += 1

    def flush(self, log: ProblemLog) -> None:
        """Move everything into the log, the whole-file rows last."""
        for row in self._rows.values():
            times = f" ({row.count} places, this is the first)" if row.count > 1 else ""
            log.add(self.file, row.where, row.reason + times, row.hint)
        if self._without:
            named = ", ".join(f"{name} {n}" for name, n in self._without.most_common())
            log.add(
                self.file,
                "$",
                f"{self._without.total()} of {self._responses} responses came back without "
                f"log-probabilities ({named})",
                "They are kept, unscored; ask for logprobs with require_parameters, or use "
                "compare, which needs only the text.",
            )
        self._rows.clear()
        self._without.clear()
        self._responses = 0
