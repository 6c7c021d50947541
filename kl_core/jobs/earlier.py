"""Answers of finished runs with the same model and settings, for --reuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kl_core.jobs.gemini_calls import JOURNAL
from kl_core.sources.calls import Answer
from kl_core.sources.journal import Journal
from kl_core.store import runs

KINDS = ("prefill", "batch")
SAME = ("model2", "project_id", "location", "base_url", "top_logprobs")


class Earlier:
    """Looks up contexts in the journals of finished runs, the newest first.

    An answer from there cannot show that the model has changed since; the run says so.
    """

    def __init__(self, journals: list[Journal]) -> None:
        self._journals = journals

    @classmethod
    def open(cls, root: Path, request: dict[str, Any]) -> Earlier:
        """The journals of all finished runs that asked the same model in the same way."""
        found = []
        for info in runs.list_runs(root):
            path = info.path / JOURNAL
            same = all(info.request.get(name) == request.get(name) for name in SAME)
            if info.kind in KINDS and info.state == "done" and same and path.is_file():
                found.append(Journal.open_readonly(path))
        return cls(found)

    def __call__(self, key: bytes) -> Answer | None:
        """The answer of an earlier run; one without a value is asked anew."""
        for journal in self._journals:
            answer = journal.get(key)
            if answer is not None and answer.error is None:
                return answer
        return None

    def close(self) -> None:
        """Close all journals."""
        for journal in self._journals:
            journal.close()
