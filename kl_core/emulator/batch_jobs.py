"""Batch jobs as they live: queued, pending, running, and one of five ends."""

from __future__ import annotations

import hashlib
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kl_core.emulator.api_error import ApiError
from kl_core.emulator.batch_input import MOST_LINES, BadInputError, check_input, lines
from kl_core.emulator.batch_job import CANCELLED, EXPIRED, FAILED, PARTIAL, SUCCEEDED, Job
from kl_core.emulator.batch_output import Spool, Written, bad_row, good_row
from kl_core.emulator.objects import Storage, StorageError, stamp
from kl_core.emulator.state import State

Json = dict[str, Any]
_SHARE_LOST = {PARTIAL: 0.2, EXPIRED: 0.5, CANCELLED: 0.5, FAILED: 1.0}


class Jobs:
    """All jobs of a server; each lives in a thread of its own.

    Attributes:
        refuses: rows for which it is true fail however often they are sent.
        most_lines: requests a job may have.
        sent: how often each request was sent, by a hash of the request.
    """

    def __init__(self, state: State, storage: Storage) -> None:
        self.refuses: Callable[[Json], bool] = lambda _: False
        self.most_lines = MOST_LINES
        self.sent: Counter[str] = Counter()
        self.all: dict[str, Job] = {}
        self._state, self._storage = state, storage
        self._ids = itertools.count(4_611_686_018_427_000_001)

    def submit(self, parent: str, body: Json) -> Job:
        """A new job, under way from now."""
        job = Job(str(next(self._ids)), parent, body)
        self.all[job.id] = job
        threading.Thread(target=self._live, args=(job,), daemon=True).start()
        return job

    def log(self) -> list[Json]:
        """One dict a job: id, display name, state, rows, succeeded, failed."""
        return [job.summary() for job in list(self.all.values())]

    def _live(self, job: Job) -> None:
        if self._state.settings.answers == "model":
            import torch

            torch.set_num_threads(1)  # of this thread; more get into each other's way
        spool = Spool(self._storage.new_file())
        try:
            end = self._run(job, spool)
        except (BadInputError, StorageError) as error:
            end, job.error = FAILED, {"code": 3, "message": str(error)}
        except Exception as error:  # a job never hangs because of a fault of the server
            end, job.error = FAILED, {"code": 13, "message": f"internal: {error!r}"}
        finally:
            spool.close()
        job.ended = stamp()
        job.state = end  # last: whoever sees the end sees all of it

    def _run(self, job: Job, spool: Spool) -> str:
        seconds, begun = self._state.settings.batch_s, time.monotonic()
        for state in ("JOB_STATE_PENDING", "JOB_STATE_RUNNING"):
            job.stop.wait(seconds / 4)
            job.state = state if not job.stop.is_set() else job.state
        job.started = stamp()
        if not job.stop.is_set():
            self._answer_all(job, spool)
        job.stop.wait(max(0.0, seconds - (time.monotonic() - begun)))
        return self._finish(job, spool)

    def _answer_all(self, job: Job, spool: Spool) -> None:
        paths = self._inputs(job)
        job.rows = check_input(paths, self.most_lines)
        for raw in lines(paths):
            if job.stop.is_set():
                return
            self._answer(job, json.loads(raw), spool)

    def _inputs(self, job: Job) -> list[Path]:
        paths = []
        for uri in job.body["inputConfig"]["gcsSource"]["uris"]:
            bucket, _, name = str(uri).removeprefix("gs://").partition("/")
            paths.append(self._storage.object(bucket, name).path)
        return paths

    def _answer(self, job: Job, row: Json, spool: Spool) -> None:
        settings, mark = self._state.settings, _mark(row["request"])
        self.sent[mark] += 1
        if self.refuses(row):
            spool.add(bad_row(row, "this request is refused whenever it is sent"), mark, None)
        elif self.sent[mark] == 1 and share(settings.seed, mark) < settings.batch_row_faults:
            spool.add(bad_row(row, "this request failed; sent again it may not"), mark, None)
        else:
            try:
                response = self._state.answer(job.model, row["request"])
                key = self._state.read(row["request"]).key(job.model)
            except ApiError as error:
                spool.add(bad_row(row, error.message), mark, None)
            else:
                spool.add(good_row(row, response), mark, key)

    def _finish(self, job: Job, spool: Spool) -> str:
        """Lose what the end that is set loses, write the files, count, and name the end."""
        settings = self._state.settings
        end = CANCELLED if job.stop.is_set() else settings.batch_state
        spool.keep(lambda row: not self._lost(end, row))
        if end == PARTIAL and len(spool.rows) == job.rows:
            end = SUCCEEDED
        if end not in (SUCCEEDED, PARTIAL):
            job.error = {"code": 4, "message": f"the job ended as {end.removeprefix('JOB_STATE_')}"}
        job.succeeded = sum(row.good for row in spool.rows)
        job.failed = len(spool.rows) - job.succeeded
        if spool.rows:
            prefix = job.body["outputConfig"]["gcsDestination"]["outputUriPrefix"].rstrip("/")
            now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
            job.directory = f"{prefix}/prediction-model-{now}"
            spool.write(self._storage, job.directory, settings.batch_shards, settings.seed)
        self._count(spool)
        return end

    def _count(self, spool: Spool) -> None:
        for row in spool.rows:
            outcome = "batch row" if row.good else "batch row failed"
            self._state.stats.count(outcome, row.key, *row.tokens)

    def _lost(self, end: str, row: Written) -> bool:
        """A partial job loses only rows that were never sent before."""
        times = self.sent[row.mark]
        if end == PARTIAL and times > 1:
            return False
        return share(times, row.mark) < _SHARE_LOST.get(end, 0.0)


def share(seed: int, mark: str) -> float:
    """A number in [0, 1) that depends on nothing but the request and the seed."""
    digest = hashlib.sha256(f"{seed}:{mark}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _mark(request: Json) -> str:
    """A request's hash; labels are not part of what is asked."""
    plain = {key: value for key, value in request.items() if key != "labels"}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
