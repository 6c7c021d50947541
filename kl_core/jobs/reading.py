"""Input files as numbered entries, with problems and progress on the way."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from kl_core.errors import InputError
from kl_core.formats.discover import SourceFile
from kl_core.formats.reader import discover, read_file
from kl_core.formats.tokens import TokenTables
from kl_core.jobs.worker import Worker
from kl_core.records import Entry, ProblemLog, ScoredEntry

RESULT_NAME = re.compile(r"_kl\.jsonl?(\.gz)?$")


@dataclass(frozen=True, slots=True)
class Input:
    """Which files a job reads.

    Attributes:
        to_score: entries that are results already are left aside.
        fingerprint: hash of names, sizes and times: a changed folder is another request.
    """

    files: tuple[SourceFile, ...]
    log: ProblemLog
    fingerprint: str
    to_score: bool = False

    @property
    def size_bytes(self) -> int:
        """Size of all files together."""
        return sum(file.size_bytes for file in self.files)


@dataclass(frozen=True, slots=True)
class Numbered:
    """An entry with its ids in the run, the same on every resume.

    Attributes:
        read_bytes: how much of the input lies before its end, for progress.
    """

    prompt_id: int
    first_response_id: int
    entry: Entry | ScoredEntry
    read_bytes: int

    @property
    def source(self) -> Entry:
        """The entry as read, whichever kind it is."""
        return as_entry(self.entry)


def as_entry(entry: Entry | ScoredEntry) -> Entry:
    """The entry as read."""
    return entry.entry if isinstance(entry, ScoredEntry) else entry


def open_input(root: Path, pattern: str | None, *, to_score: bool = False) -> Input:
    """Find the files; nothing is read yet.

    Args:
        to_score: leave result files (`*_kl.json`) aside: they are scored already, and an
            output folder inside the input folder must not change the request.

    Raises:
        InputError: no such folder, or no file in it that fits the pattern.
    """
    log = ProblemLog()
    files = discover(root, pattern, log)
    if to_score:
        files = _without_results(files, log)
    if not files:
        wanted = pattern or "*.json, *.jsonl (and .gz)"
        raise InputError(f"no file in {root} fits {wanted}; check the folder and --pattern")
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name}\0{file.size_bytes}\0{file.mtime_ns}\n".encode(errors="replace"))
    return Input(tuple(files), log, digest.hexdigest()[:16], to_score)


def _without_results(files: list[SourceFile], log: ProblemLog) -> list[SourceFile]:
    results = [file for file in files if RESULT_NAME.search(file.name)]
    if results:
        log.add(
            results[0].name if len(results) == 1 else "",
            "",
            f"{len(results)} result files (_kl.json) were left aside: they are scored already",
            "Open them with import.",
        )
    return [file for file in files if not RESULT_NAME.search(file.name)]


def numbered(source: Input, worker: Worker, max_prompts: int | None = None) -> Iterator[Numbered]:
    """Every entry in order with its ids; problem rows go to the worker's parts."""
    tables = TokenTables()
    prompt_id = response_id = 0
    before = 0
    for file in source.files:
        with closing(_entries(source, file, tables)) as entries:
            for entry in entries:
                if max_prompts is not None and prompt_id >= max_prompts:
                    break
                inner = as_entry(entry)
                share = (inner.index + 1) / max(inner.entries_in_file, 1)
                so_far = before + int(file.size_bytes * share)
                yield Numbered(prompt_id, response_id, entry, so_far)
                prompt_id += 1
                response_id += max(len(inner.responses), 1)
        before += file.size_bytes
        worker.parts.add_problems(source.log.drain())
        if max_prompts is not None and prompt_id >= max_prompts:
            return


def _entries(
    source: Input, file: SourceFile, tables: TokenTables
) -> Generator[Entry | ScoredEntry, None, None]:
    """The entries of one file; results are left aside where entries are to be scored."""
    with closing(read_file(file, source.log, tables)) as entries:
        for entry in entries:
            if source.to_score and isinstance(entry, ScoredEntry):
                place = f"$[{entry.entry.index}]"
                source.log.add(file.name, place, "it is a result already", "Open it with import.")
            else:
                yield entry
