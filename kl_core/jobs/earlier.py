"""Answers of finished runs with the same model and settings, for --reuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kl_core.errors import RunError
from kl_core.jobs.gemini_calls import JOURNAL
from kl_core.records import Problem
from kl_core.sources.calls import Answer
from kl_core.sources.journal import Journal
from kl_core.store import runs

KINDS = ("prefill", "batch")
SAME = ("model2", "project_id", "location", "base_url", "top_logprobs")


class Earlier:
    """Looks up contexts in the journals of finished runs, the newest first.

    An answer from there cannot show that the model has changed since; the run says so.

    Attributes:
        problems: runs whose answers could not be used, found when they were opened or later.
    """

    def __init__(self, journals: dict[str, Journal], problems: list[Problem]) -> None:
        self._journals = journals
        self.problems = problems

    @classmethod
    def open(
        cls,
        root: Path,
        request: dict[str, Any],
        kinds: tuple[str, ...] = KINDS,
        same: tuple[str, ...] = SAME,
    ) -> Earlier:
        """The journals of all finished runs that asked the same model in the same way.

        One that cannot be read is left out, and stands in `problems`.

        Args:
            kinds: of the runs; same: what their requests have in common.
        """
        earlier = cls({}, [])
        for info in runs.list_runs(root):
            path = info.path / JOURNAL
            alike = all(info.request.get(name) == request.get(name) for name in same)
            if info.kind in kinds and info.state == "done" and alike and path.is_file():
                try:
                    earlier._journals[info.path.name] = Journal.open_readonly(path)
                except RunError as error:
                    earlier._note(info.path.name, error)
        return earlier

    def __call__(self, key: bytes) -> Answer | None:
        """The answer of an earlier run; one without a value is asked anew."""
        for name, journal in list(self._journals.items()):
            try:
                answer = journal.get(key)
            except RunError as error:
                self._journals.pop(name).close()
                self._note(name, error)
                continue
            if answer is not None and answer.error is None:
                return answer
        return None

    def close(self) -> None:
        """Close all journals."""
        for journal in self._journals.values():
            journal.close()

    def _note(self, name: str, error: RunError) -> None:
        hint = "Its answers were not reused; what only it knew was asked anew."
        self.problems.append(Problem("", f"finished run {name}", str(error), hint))
