"""Looking at the files of all models before anything is asked: what is there, what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kl_core.errors import FormatError
from kl_core.formats.sampled_files import SampledFile, difference, existing
from kl_core.jobs import sample_rows
from kl_core.jobs.sample_files import write_merged
from kl_core.jobs.sample_model import SampledBy, Ticket
from kl_core.jobs.sample_prompts import Asked
from kl_core.jobs.worker import Worker
from kl_core.records import Problem
from kl_core.sources.journal import Journal
from kl_core.sources.sample_question import SampleQuestion
from kl_core.store.files import read_json, write_json

_NAME = "response_ids.json"


def survey(
    worker: Worker,
    models: Sequence[SampledBy],
    prompts: Sequence[Asked],
    journal: Journal,
    overwrite: bool,
) -> None:
    """Fill every model's tickets and counts; files of finished prompts are made whole again.

    How many ids each prompt's responses get is settled at the first survey of a run, and kept
    beside its prompts: what other runs add to the files must not shift them.

    Args:
        overwrite: what is there and not from this run is not kept.

    Raises:
        InputError: a file cannot be written.
        RunCancelled: the user asked to stop.
    """
    path = worker.run_dir / _NAME
    settled = _read_rooms(path)
    rooms: dict[str, list[int]] = {}
    prompt_id = response_id = 0
    look = _Survey(worker, journal, overwrite)
    for by in models:
        by.counts.wanted = by.settings.samples * len(prompts)
        known = settled.get(by.model.folder, [])
        own = rooms[by.model.folder] = []
        for place, asked in enumerate(prompts):
            room = known[place] if place < len(known) else None
            own.append(look.at(by, asked, (prompt_id, response_id), room))
            prompt_id += 1
            response_id += own[-1]
            worker.progress(prompt_id)
    if rooms != settled:
        write_json(path, rooms)
    worker.parts.add_problems(look.problems)


def _read_rooms(path: Path) -> dict[str, list[int]]:
    found = read_json(path)
    return found if isinstance(found, dict) else {}


@dataclass(slots=True)
class _Known:
    """What the journal knows of one file's samples, by number."""

    bodies: dict[int, bytes] = field(default_factory=dict)
    failed: set[int] = field(default_factory=set)


class _Survey:
    """Looks at one file after the other."""

    def __init__(self, worker: Worker, journal: Journal, overwrite: bool) -> None:
        self._finished, self._journal, self._overwrite = worker.finished, journal, overwrite
        self._given_up = journal.given_up
        self.problems: list[Problem] = []

    def at(self, by: SampledBy, asked: Asked, ids: tuple[int, int], room: int | None) -> int:
        """One file; returns how many ids its responses get."""
        keys, samples = by.keys, by.settings.samples
        questions = [keys.question(asked.prompt, number) for number in range(samples)]
        known = self._known(questions)
        found, refusal = self._existing(by, asked, bool(known.bodies))
        there = found.responses if found is not None else {}
        if room is None:
            room = samples if self._overwrite else max(samples, max(there, default=-1) + 1)
        if ids[0] in self._finished:
            self._count(by, asked, found, known, refusal)
            return room
        kept = frozenset() if self._overwrite else frozenset(there.keys() - known.bodies.keys())
        open_ones = tuple(each for each in questions if each.number not in kept)
        contexts = () if refusal else open_ones
        by.tickets.append(Ticket(*ids, asked, kept, contexts, room, refusal))
        return room

    def _known(self, questions: Sequence[SampleQuestion]) -> _Known:
        known = _Known()
        for question in questions:
            answer = self._journal.get(question.key)
            if answer is not None and answer.error is None:
                known.bodies[question.number] = answer.body
            elif answer is not None or question.key in self._given_up:
                known.failed.add(question.number)
        return known

    def _existing(
        self, by: SampledBy, asked: Asked, ours: bool
    ) -> tuple[SampledFile | None, str | None]:
        """What a file holds that can be used, and why it cannot be.

        Args:
            ours: this run has answers for it, so that it was this run's before it broke.
        """
        try:
            found = existing(by.folder / asked.file)
        except FormatError as error:
            return None, None if self._overwrite or ours else error.reason
        other = difference(found, by.empty(asked)) if found is not None else None
        if other is None:
            return found, None
        return None, None if self._overwrite else other

    def _count(
        self,
        by: SampledBy,
        asked: Asked,
        found: SampledFile | None,
        known: _Known,
        refusal: str | None,
    ) -> None:
        """A file of an earlier start, made whole where it is not."""
        name = f"{by.model.folder}/{asked.file}"
        there = found.responses if found is not None else {}
        if refusal is None and not known.bodies.keys() <= there.keys():
            own = by.filled(asked, known.bodies)
            written = write_merged(by.folder / asked.file, own, self._overwrite)
            there, refusal = written.file.responses, written.refusal
        if refusal is not None:
            if known.bodies:
                self.problems.append(sample_rows.replaced(name, refusal, len(known.bodies)))
            return
        if self._overwrite:
            there = {number: item for number, item in there.items() if number in known.bodies}
        missing = set(range(by.settings.samples)) - there.keys()
        kept = len(there.keys() - known.bodies.keys())
        by.counts.add(there, kept, len(missing & known.failed))
        if missing - known.failed:
            self.problems.append(sample_rows.gone(name, len(missing - known.failed)))
