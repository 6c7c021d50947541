"""Import: read any folder, file or zip into a run, scored or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kl_core.jobs.import_against import prepare_against
from kl_core.jobs.reading import Input, Numbered, numbered, open_input
from kl_core.jobs.worker import Worker
from kl_core.measures import unscored
from kl_core.records import Entry, ScoredEntry


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What to import.

    Attributes:
        against: responses of another model to the same prompts, for a free comparison.
    """

    input_dir: Path
    pattern: str | None = None
    against: Path | None = None

    def frozen(self, source: Input) -> dict[str, Any]:
        """What makes two imports the same run."""
        return {
            "input_dir": str(self.input_dir.resolve()),
            "pattern": self.pattern,
            "fingerprint": source.fingerprint,
        }

    @classmethod
    def thawed(cls, request: dict[str, Any]) -> ImportRequest:
        """The request of a frozen one, of a free comparison too."""
        against = request.get("against")
        folder = Path(request["input_dir"])
        return cls(folder, request["pattern"], Path(against) if against else None)


def prepare(request: ImportRequest) -> tuple[dict[str, Any], str, Callable[[Worker], None]]:
    """(frozen request, title, work) of an import.

    Raises:
        InputError: nothing to read there.
    """
    if request.against is not None:
        return prepare_against(request.input_dir, request.pattern, request.against)
    source = open_input(request.input_dir, request.pattern)
    title = f"import of {request.input_dir.resolve().name}"
    return request.frozen(source), title, lambda worker: import_files(source, worker)


def import_files(source: Input, worker: Worker) -> None:
    """Read everything into parts; memory holds one file and one part at a time."""
    worker.stage("reading files", source.size_bytes, "bytes")
    tokens = skipped = 0
    for prompts, item in enumerate(numbered(source, worker), 1):
        tokens += sum(len(response.positions) for response in item.source.responses)
        if item.prompt_id in worker.finished:
            skipped = item.read_bytes
        else:
            worker.parts.add(item.prompt_id, item.first_response_id, as_scored(item))
        worker.progress(
            item.read_bytes, f"{prompts:,} prompts, {tokens:,} tokens read", skipped=skipped
        )
    worker.progress(source.size_bytes)


def as_scored(item: Numbered) -> ScoredEntry:
    """The entry as the store takes it: without a second model where there is none."""
    entry = item.entry
    if isinstance(entry, ScoredEntry):
        return entry
    return raw_entry(entry)


def raw_entry(entry: Entry) -> ScoredEntry:
    """An entry that only model 1 has seen."""
    model = entry.model or next((r.model for r in entry.responses if r.model), None)
    return ScoredEntry(entry, model, None, tuple(unscored(r) for r in entry.responses))
