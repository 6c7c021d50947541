"""Parquet parts: what a run has finished, on disk while it still works.

A part is two or three files, `part-000007.tokens.parquet`, `.problems.parquet` and last
`.responses.parquet`. Each is written under a temporary name and renamed; the responses
file comes last, so a part without it does not count and is overwritten on resume.
"""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from kl_core.records import Problem, ScoredEntry
from kl_core.store import schema
from kl_core.store.rows import ResponseRows, TokenColumns

TOKENS_A_PART = 20_000


def committed(run_dir: Path, table: str) -> list[Path]:
    """The files of `table` (`tokens`, `responses`, `problems`) that belong to whole parts."""
    heads = sorted((run_dir / "parts").glob("part-*.responses.parquet"))
    paths = [head.with_name(head.name.replace(".responses.", f".{table}.")) for head in heads]
    return [path for path in paths if path.exists()]


def finished_prompts(run_dir: Path) -> set[int]:
    """Ids of the prompts whose responses are on disk."""
    done: set[int] = set()
    for path in committed(run_dir, "responses"):
        done.update(pq.read_table(path, columns=["prompt_id"])["prompt_id"].to_pylist())
    return done


class PartWriter:
    """Buffers scored entries and writes them as immutable parts.

    One prompt never spans two parts. Use as a context manager: leaving it, by an
    exception or a cancel too, writes what is buffered. Several threads may use it.
    """

    def __init__(self, run_dir: Path, tokens_a_part: int = TOKENS_A_PART) -> None:
        self._folder = run_dir / "parts"
        self._folder.mkdir(exist_ok=True)
        self._limit = tokens_a_part
        self._next = len(committed(run_dir, "responses"))
        self._tokens = TokenColumns()
        self._responses = ResponseRows()
        self._problems: list[Problem] = []
        self._lock = threading.RLock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()

    def add(self, prompt_id: int, first_response_id: int, scored: ScoredEntry) -> None:
        """Buffer one entry; writes a part when enough tokens have come together."""
        with self._lock:
            if not scored.responses:
                self._responses.add_placeholder(prompt_id, first_response_id, scored)
            for offset, response in enumerate(scored.responses):
                response_id = first_response_id + offset
                self._responses.add(prompt_id, response_id, scored, response)
                self._tokens.add(response_id, response)
            if len(self._tokens) >= self._limit or len(self._responses) >= self._limit:
                self.flush()

    def add_problems(self, problems: Iterable[Problem]) -> None:
        """Buffer problem rows; they are written with the next part."""
        with self._lock:
            self._problems.extend(problems)

    def flush(self) -> None:
        """Write what is buffered as one part."""
        with self._lock:
            if not len(self._responses) and not self._problems:
                return
            stem = f"part-{self._next:06d}"
            self._write(f"{stem}.tokens.parquet", self._tokens.table())
            self._write(f"{stem}.problems.parquet", problem_table(self._problems))
            self._write(f"{stem}.responses.parquet", self._responses.table())
            self._next += 1
            self._tokens, self._responses, self._problems = TokenColumns(), ResponseRows(), []

    def _write(self, name: str, table: pa.Table) -> None:
        temporary = self._folder / f".{name}.{uuid.uuid4().hex}"
        pq.write_table(table, temporary, compression="zstd")
        with open(temporary, "rb+") as stream:
            os.fsync(stream.fileno())
        os.replace(temporary, self._folder / name)


def problem_table(problems: Sequence[Problem]) -> pa.Table:
    """Problem rows as Arrow."""
    columns = {
        "file": [problem.file for problem in problems],
        "place": [problem.where for problem in problems],
        "reason": [problem.reason for problem in problems],
        "hint": [problem.hint for problem in problems],
    }
    return pa.table(columns, schema=schema.PROBLEMS)
