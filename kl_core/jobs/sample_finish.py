"""Sampled files on their way to the disk, and from there into the run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from kl_core.formats.discover import single_file
from kl_core.formats.reader import read_file
from kl_core.formats.sampled_files import SampledFile
from kl_core.formats.tokens import TokenTables
from kl_core.jobs import sample_rows
from kl_core.jobs.finishing import FLUSH_EVERY_S
from kl_core.jobs.import_run import raw_entry
from kl_core.jobs.reading import as_entry
from kl_core.jobs.sample_files import Written, write_merged
from kl_core.jobs.sample_model import SampledBy, Ticket
from kl_core.jobs.worker import Worker
from kl_core.records import Entry, Problem, ProblemLog, Response, ScoredEntry
from kl_core.sources.calls import Answer
from kl_core.sources.sample_reply import is_end
from kl_core.sources.sample_settings import is_started
from kl_core.store.sampled import write_sampled

_SAID_ONCE = "responses came back without log-probabilities"
"""The reader's row about it, which would stand here once a file instead of once a provider."""


class SampleFinisher:
    """Writes files whose samples are in, and reads them back as the run's responses.

    What the run shows is what is on disk, but for what other runs add while it works; of a file
    that is left as it is, the prompt alone.
    Several pools may call it.

    Args:
        look_up: the journal.
        overwrite: what others put into the files is not kept.

    Attributes:
        files: how many are finished in this start.
    """

    def __init__(
        self,
        worker: Worker,
        models: list[SampledBy],
        look_up: Callable[[bytes], Answer | None],
        overwrite: bool = False,
    ) -> None:
        self._worker, self._models, self._look_up = worker, models, look_up
        self._overwrite = overwrite
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
        scored, problems = self._read_back(by, ticket, written.file)
        problems += self._count(by, ticket, written, failures)
        self._left[id(by)] -= 1
        if not self._left[id(by)]:
            problems += by.counts.problems()
        parts = self._worker.parts
        parts.add_problems(problems)
        parts.add(ticket.prompt_id, ticket.first_response_id, scored)
        self.files += 1
        if time.monotonic() - self._flushed > FLUSH_EVERY_S:
            parts.flush()
            self.tell()
            self._flushed = time.monotonic()

    def _count(
        self, by: SampledBy, ticket: Ticket, written: Written, failures: Mapping[bytes, str]
    ) -> list[Problem]:
        """Count a finished file, and say what is not in it."""
        name = f"{by.model.folder}/{ticket.asked.file}"
        if ticket.refusal is not None:
            return [sample_rows.left(name, ticket.refusal)]
        if written.refusal is not None:
            return [sample_rows.replaced(name, written.refusal, len(self._bodies(ticket)))]
        there = written.file.responses
        missing = set(written.file.missing(by.settings.samples))
        failed = {each.number for each in ticket.contexts} & missing
        by.counts.add(there, len(there) - written.own, len(failed))
        rows = []
        if failed:
            rows.append(sample_rows.missing(name, len(failed), len(ticket.contexts), failures))
        if missing - failed:
            rows.append(sample_rows.gone(name, len(missing - failed)))
        return rows

    def _write(self, by: SampledBy, ticket: Ticket) -> Written:
        """The file with all that is known; it is not touched where nothing is new."""
        own = by.filled(ticket.asked, self._bodies(ticket))
        if ticket.refusal is not None:
            return Written(own, 0)
        return write_merged(by.folder / ticket.asked.file, own, self._overwrite)

    def _bodies(self, ticket: Ticket) -> dict[int, bytes]:
        """What the journal has for the file, by the sample's number."""
        found = {each.number: self._look_up(each.key) for each in ticket.contexts}
        return {
            number: answer.body
            for number, answer in found.items()
            if answer is not None and answer.error is None
        }

    def _read_back(
        self, by: SampledBy, ticket: Ticket, written: SampledFile
    ) -> tuple[ScoredEntry, list[Problem]]:
        """The file as the ordinary reader sees it; an entry without responses for none."""
        name = f"{by.model.folder}/{ticket.asked.file}"
        path = by.folder / ticket.asked.file
        found, rows = read_back(path, name, self._tables) if written.responses else ([], [])
        if not found:
            nothing = Entry(name, 0, 1, ticket.asked.prompt, by.counts.name, ())
            return raw_entry(nothing), rows
        entry, items = found[0], [written.responses[n] for n in sorted(written.responses)]
        if is_started(ticket.asked.prompt):
            entry = _without_errors(entry, items)
        over = len(entry.responses) - ticket.room
        if over > 0:
            rows.append(sample_rows.besides(name, over))
            entry = _kept(entry, entry.responses[: ticket.room])
        return raw_entry(entry), rows


def read_back(path: Path, name: str, tables: TokenTables) -> tuple[list[Entry], list[Problem]]:
    """A file's entries as the store takes them, and what the reader says about it."""
    log = ProblemLog()
    with closing(read_file(replace(single_file(path), name=name), log, tables)) as entries:
        found = [as_entry(entry) for entry in entries]
    return found, [row for row in log.drain() if _SAID_ONCE not in row.reason]


def _without_errors(entry: Entry, items: Sequence[Mapping[str, Any]]) -> Entry:
    """A started answer that was complete already lacks no log-probabilities."""
    ends = {n for n, item in enumerate(items) if is_end(item)}
    return _kept(
        entry,
        tuple(replace(one, error=None) if one.index in ends else one for one in entry.responses),
    )


def _kept(entry: Entry, responses: tuple[Response, ...]) -> Entry:
    return replace(entry, responses=responses)
