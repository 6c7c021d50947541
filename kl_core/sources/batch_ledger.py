"""What was sent and how far each job got: on disk before and after every step."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from kl_core.errors import RunError
from kl_core.sources.batch_shards import keys_in

Step = Literal["written", "uploaded", "asked", "running", "ended", "done"]
_FILE = "jobs.json"


class BatchJob(msgspec.Struct):
    """One job and its input file.

    Attributes:
        number: from 0, in the order of writing.
        label: the display name at Vertex; no other job has it, so it finds the job again.
        file: its input, in the batch folder, until the job is done.
        attempt: 2 for rows that are sent a second time.
        step: what is known to have happened. `asked`: a job may have been created, and only
            a list by its label can tell; `running`: its id is known; `ended`: it reached its
            last state; `done`: its rows are kept and its failures listed.
        state: as Vertex calls it, without JOB_STATE_.
        error: what Vertex says went wrong with the whole job.
        note: what the reader should know now, such as a lost connection.
        lost_tokens: input tokens of rows that were answered and could not be used.
    """

    number: int
    label: str
    file: str
    requests: int
    size_bytes: int
    attempt: int = 1
    step: Step = "written"
    id: str = ""
    state: str = "WRITTEN"
    error: str = ""
    note: str = ""
    created: str = ""
    succeeded: int = 0
    failed: int = 0
    lost_tokens: int = 0

    def shown(self) -> dict[str, Any]:
        """For CallStats.jobs."""
        names = ("id", "state", "requests", "succeeded", "failed", "created", "attempt")
        found = {name: getattr(self, name) for name in names}
        return found | {"note": self.note or self.error}


class _Saved(msgspec.Struct):
    version: int
    run: str
    finished: bool
    jobs: list[BatchJob]


class Ledger:
    """The jobs of a run, in `folder`/jobs.json; written as a whole.

    Args:
        readonly: nothing is made or tidied; for a look beside the process that writes it.

    Attributes:
        finished: the last run came to its end; what is handed in after it is asked anew.

    Raises:
        RunError: the file is of another run or cannot be read.
    """

    def __init__(self, folder: Path, run: str, readonly: bool = False) -> None:
        if not readonly:
            folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.run = folder, run
        self.finished = False
        self.jobs: list[BatchJob] = []
        path = folder / _FILE
        if path.exists():
            self._read(path)
        if not readonly:
            self._tidy()

    def _read(self, path: Path) -> None:
        try:
            saved = msgspec.json.decode(path.read_bytes(), type=_Saved)
        except msgspec.DecodeError as error:
            raise RunError(
                f"{path} cannot be read ({error}); it tells which batch jobs were paid for, so "
                "look at the jobs in the Google Cloud console before you delete it"
            ) from None
        if saved.run != self.run:
            raise RunError(f"{path} belongs to the run {saved.run}, not to {self.run}")
        self.finished, self.jobs = saved.finished, saved.jobs

    @property
    def open_jobs(self) -> list[BatchJob]:
        """Those with something left to do."""
        return [job for job in self.jobs if job.step != "done"]

    def save(self) -> None:
        """Returns when it is on disk."""
        saved = _Saved(1, self.run, self.finished, self.jobs)
        _replace(self.folder / _FILE, msgspec.json.format(msgspec.json.encode(saved), indent=1))

    def new_path(self) -> Path:
        """A path for an input file that nobody has used."""
        return self.folder / f"in-{secrets.token_hex(4)}.jsonl"

    def add(self, path: Path, requests: int, size_bytes: int, attempt: int = 1) -> BatchJob:
        """A job for a finished input file; not saved yet."""
        number = len(self.jobs)
        label = f"kl-{self.run}-{number:04d}-{secrets.token_hex(4)}"
        job = BatchJob(number, label, path.name, requests, size_bytes, attempt)
        self.jobs.append(job)
        return job

    def input_of(self, job: BatchJob) -> Path:
        """Where the job's lines are."""
        return self.folder / job.file

    def write_failures(self, job: BatchJob, reasons: Mapping[bytes, str]) -> None:
        """Keep why rows of a job were given up."""
        if reasons:
            named = {key.hex(): reason for key, reason in reasons.items()}
            _replace(self._failures_of(job), msgspec.json.encode(named))

    def failures(self) -> dict[bytes, str]:
        """Reasons of all rows given up since the run began or was last finished."""
        found: dict[bytes, str] = {}
        for job in self.jobs:
            path = self._failures_of(job)
            if job.step == "done" and path.exists():
                named = msgspec.json.decode(path.read_bytes(), type=dict[str, str])
                found |= {bytes.fromhex(key): reason for key, reason in named.items()}
        return found

    def forget_failures(self) -> None:
        """What was given up may be asked again."""
        for path in self.folder.glob("failed-*.json"):
            path.unlink()

    def _failures_of(self, job: BatchJob) -> Path:
        return self.folder / f"failed-{job.number:04d}.json"

    def _tidy(self) -> None:
        """Files that no job knows were being written when the process ended."""
        known = {job.file for job in self.open_jobs}
        for path in [*self.folder.glob("in-*.jsonl"), *self.folder.glob("out-*.jsonl")]:
            if path.name not in known:
                path.unlink()


def under_way(folder: Path, run: str) -> set[bytes]:
    """Keys that a run's open jobs have: submitted, or in an input file that will be.

    They are paid for, or were agreed to. Empty where there are no jobs.

    Raises:
        RunError: the ledger is of another run or cannot be read.
    """
    ledger = Ledger(folder, run, readonly=True)
    files = [ledger.input_of(job) for job in ledger.open_jobs]
    return {key for path in files if path.exists() for key in keys_in(path)}


def given_up(folder: Path, run: str) -> set[bytes]:
    """Keys that an unfinished run gave up and will not submit again.

    Raises:
        RunError: as `under_way`.
    """
    ledger = Ledger(folder, run, readonly=True)
    return set() if ledger.finished else set(ledger.failures())


def _replace(path: Path, data: bytes) -> None:
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
