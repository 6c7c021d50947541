"""Sampled files on their way to the disk, and from there into the run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec

from kl_core.formats.discover import single_file
from kl_core.formats.reader import read_file
from kl_core.formats.sampled_files import SampledFile, existing, write_file
from kl_core.formats.tokens import TokenTables
from kl_core.jobs.finishing import FLUSH_EVERY_S
from kl_core.jobs.import_run import raw_entry
from kl_core.jobs.reading import as_entry
from kl_core.jobs.sample_model import SampledBy, Ticket
from kl_core.jobs.worker import Worker
from kl_core.records import Entry, Problem, ProblemLog, ScoredEntry
from kl_core.sources.calls import Answer
from kl_core.store.sampled import write_sampled

_SAID_ONCE = "responses came back without log-probabilities"
"""The reader's row about it, which would stand here once a file instead of once a provider."""
_AGAIN = "The others are kept. The same command asks for the missing ones alone."


class SampleFinisher:
    """Writes files whose samples are in, and reads them back as the run's responses.

    What the run shows is what is on disk; of a file that is left as it is, the prompt alone.
    Several pools may call it.

    Args:
        look_up: the journal.

    Attributes:
        files: how many are finished in this start.
    """

    def __init__(
        self,
        worker: Worker,
        models: list[SampledBy],
        look_up: Callable[[bytes], Answer | None],
    ) -> None:
        self._worker, self._models, self._look_up = worker, models, look_up
        self._tables = TokenTables()
        self._lock = threading.Lock()
        self._flushed = time.monotonic()
        self._left = {id(by): len(by.tickets) for by in models}
        self._later: dict[int, list[tuple[Ticket, dict[bytes, str]]]] = {}
        self.files = 0

    def done(self, by: SampledBy, ticket: Ticket, failures: Mapping[bytes, str]) -> None:
        """One file whose calls are over.

        A file whose missing samples may still come is not finished before the model is: where
        its calls end early, a resumed run asks for them again.
        """
        with self._lock:
            passing = [key for key in failures if self._look_up(key) is None]
            if passing:
                self._write(by, ticket)
                self._later.setdefault(id(by), []).append((ticket, dict(failures)))
                return
            self._finish(by, ticket, failures)

    def end(self, by: SampledBy) -> None:
        """The model's calls are over; what was given up stays missing."""
        with self._lock:
            for ticket, failures in self._later.pop(id(by), []):
                self._finish(by, ticket, failures)

    def tell(self) -> None:
        """Write how far each model is."""
        write_sampled(self._worker.run_dir, [by.counts.record() for by in self._models])

    def _finish(self, by: SampledBy, ticket: Ticket, failures: Mapping[bytes, str]) -> None:
        written = self._write(by, ticket)
        parts = self._worker.parts
        scored, problems = self._read_back(by, ticket, written)
        asked = len(ticket.contexts)
        missing = 0 if ticket.refusal else max(by.settings.samples - len(written.responses), 0)
        if ticket.refusal is None:
            by.counts.add(written.responses, len(ticket.kept), missing)
        problems += _missing(scored.entry.file, missing, asked, failures)
        if ticket.refusal is not None:
            problems.append(_left(scored.entry.file, ticket.refusal))
        self._left[id(by)] -= 1
        if not self._left[id(by)]:
            problems += by.counts.problems()
        parts.add_problems(problems)
        parts.add(ticket.prompt_id, ticket.first_response_id, scored)
        self.files += 1
        if time.monotonic() - self._flushed > FLUSH_EVERY_S:
            parts.flush()
            self.tell()
            self._flushed = time.monotonic()

    def _write(self, by: SampledBy, ticket: Ticket) -> SampledFile:
        """The file with all that is known; it is not touched where nothing is new."""
        path = by.folder / ticket.asked.file
        whole = by.empty(ticket.asked)
        if ticket.refusal is not None:
            return whole
        found = existing(path) if ticket.kept else None
        old = found.responses if found is not None else {}
        whole.responses.update({number: old[number] for number in ticket.kept if number in old})
        for question in ticket.contexts:
            answer = self._look_up(question.key)
            if answer is not None and answer.error is None:
                whole.responses[question.number] = msgspec.json.decode(answer.body)
        if ticket.contexts and whole.responses:
            write_file(path, whole)
        return whole

    def _read_back(
        self, by: SampledBy, ticket: Ticket, written: SampledFile
    ) -> tuple[ScoredEntry, list[Problem]]:
        """The file as the ordinary reader sees it; an entry without responses for none."""
        name = f"{by.model.folder}/{ticket.asked.file}"
        path = by.folder / ticket.asked.file
        found, rows = read_back(path, name, self._tables) if written.responses else ([], [])
        if found:
            return found[0], rows
        nothing = Entry(name, 0, 1, ticket.asked.prompt, by.counts.name, ())
        return raw_entry(nothing), rows


def read_back(
    path: Path, name: str, tables: TokenTables
) -> tuple[list[ScoredEntry], list[Problem]]:
    """A file's entries as the store takes them, and what the reader says about it."""
    log = ProblemLog()
    with closing(read_file(replace(single_file(path), name=name), log, tables)) as entries:
        found = [raw_entry(as_entry(entry)) for entry in entries]
    return found, [row for row in log.drain() if _SAID_ONCE not in row.reason]


def _missing(file: str, missing: int, asked: int, failures: Mapping[bytes, str]) -> list[Problem]:
    if not missing:
        return []
    reason = next(iter(failures.values()), "the call was not answered")
    return [Problem(file, "$", f"{missing} of {asked} samples did not come: {reason}", _AGAIN)]


def _left(file: str, refusal: str) -> Problem:
    return Problem(
        file,
        "$",
        f"it is left as it is, and nothing was asked for it: {refusal}",
        "Choose another output folder, or pass --overwrite to ask for it again.",
    )
