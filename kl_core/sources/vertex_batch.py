"""Contexts through Vertex batch jobs, each row submitted once however often it is resumed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from kl_core.errors import InputError, RunCancelled, RunError
from kl_core.sources.batch_collect import Keep, collect
from kl_core.sources.batch_ledger import BatchJob, Ledger
from kl_core.sources.batch_pace import LOCAL, Pace, Patience, sleep_until
from kl_core.sources.batch_service import BatchService, JobView
from kl_core.sources.batch_shards import (
    Limits,
    keys_in,
    request_line,
    some_lines,
    write_shards,
)
from kl_core.sources.bucket import Bucket, default_bucket
from kl_core.sources.calls import CallError, Context
from kl_core.sources.endpoint import Endpoint
from kl_core.sources.gemini_wire import WireSettings

Watch = Callable[[tuple[dict[str, Any], ...]], None]
ROOT = "kl-explorer"
_GONE = "GONE"


class VertexBatch:
    """The batch jobs of one run.

    Each step is on disk before it is taken and after: an input file is written whole before a
    job knows it, a job has its own name before it is created, and is looked for by that name
    when the answer was lost. So a process that ends anywhere attaches to what it had begun.

    Args:
        endpoint: Vertex; a batch needs a project.
        settings: what is asked, as online.
        folder: kept with the run; input files lie here until their job is done.
        run: the run's name, part of object names and display names.
        bucket_name: `{project}-kl-batch` when None; created if missing.
        storage_url: where Cloud Storage is; None for Google, or for the endpoint's own address
            when that is on this machine (STORAGE_EMULATOR_HOST goes first).

    Raises:
        InputError: the endpoint is not Vertex.
        RunError: the folder belongs to another run.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        settings: WireSettings,
        folder: Path,
        run: str,
        bucket_name: str | None = None,
        storage_url: str | None = None,
        limits: Limits | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._service = BatchService(endpoint)
        self._endpoint, self._settings = endpoint, settings
        self._ledger = Ledger(folder, run)
        self._name = bucket_name or default_bucket(str(endpoint.project_id))
        local = endpoint.base_url if endpoint.loopback else None
        self._storage_url = storage_url or os.environ.get("STORAGE_EMULATOR_HOST") or local
        self._limits = limits or Limits()
        self._pace = pace or (LOCAL if endpoint.loopback else Pace())
        self._bucket: Bucket | None = None
        self._watch: Watch = lambda _: None
        self._check: Callable[[], None] = lambda: None
        self._flush: Callable[[], None] = lambda: None
        self._collected: Callable[[], None] = lambda: None
        self._patience: dict[int, Patience] = {}
        self._refused: dict[bytes, str] = {}
        self._lost: dict[bytes, str] = {}

    @property
    def jobs(self) -> tuple[dict[str, Any], ...]:
        """Every job so far: id, state, requests, succeeded, failed, created, attempt, note."""
        return tuple(job.shown() for job in self._ledger.jobs)

    @property
    def lost_tokens(self) -> int:
        """Input tokens of rows that were answered and could not be used."""
        return sum(job.lost_tokens for job in self._ledger.jobs)

    @property
    def failures(self) -> dict[bytes, str]:
        """Why rows were given up for good, so far."""
        return self._refused | self._ledger.failures()

    @property
    def lost(self) -> dict[bytes, str]:
        """Why rows collected by this process are neither answered nor given up.

        Their job failed, was cancelled, expired twice or is gone, or another model answered;
        the next run submits them as a new job.
        """
        return dict(self._lost)

    def run(
        self,
        contexts: Iterable[Context],
        keep: Keep,
        watch: Watch,
        check_cancel: Callable[[], None],
        flush: Callable[[], None] = lambda: None,
        collected: Callable[[], None] = lambda: None,
    ) -> dict[bytes, str]:
        """Ask everything and wait for it, for days if need be; returns why rows were given up.

        Rows that were `lost` with their job are not among them: look there afterwards.

        Args:
            contexts: different ones, without those that have been kept; read before any job
                is collected. Rows of jobs under way are not submitted again.
            keep: gets every answer, the same one twice when the process ended in between.
            watch: gets all jobs after every change.
            check_cancel: raises to leave; jobs at Google go on, and the next run attaches.
            flush: returns when everything kept is on disk; called before a job counts as done.
                To be given unless `keep` returns only then itself.
            collected: called each time another job is done, its rows kept or given up.

        Raises:
            RunCancelled: by `check_cancel`; the sentence tells of jobs that go on.
            RunError: Google refuses, or contradicts the probe twice; the next run attaches,
                and submits what was not answered.
            InputError: the bucket cannot be used.
        """
        self._watch, self._check, self._flush = watch, check_cancel, flush
        self._collected = collected
        try:
            return self._run(contexts, keep)
        except RunCancelled as error:
            raise RunCancelled(f"{error}{self._going_on()}") from None
        except CallError as error:
            raise RunError(f"{error.reason}{self._going_on()}") from None

    def cleanup(self) -> int:
        """Delete this run's inputs and outputs in the bucket; returns how many objects.

        Raises:
            InputError: jobs of this run still need them.
            CallError: the bucket cannot be reached.
        """
        left = self._ledger.open_jobs
        if left:
            raise InputError(
                f"{len(left)} batch jobs of this run are not collected: resume the run, or cancel "
                "them, before its objects in the bucket are deleted"
            )
        return self._open_bucket().delete_prefix(self._root)

    def offer_lifecycle(self, days: int) -> bool:
        """Let Google delete what runs leave in the bucket after `days`.

        Returns:
            False where it does so already.

        Raises:
            CallError: the bucket cannot be changed.
        """
        return self._open_bucket().offer_lifecycle(days, f"{ROOT}/")

    @property
    def _root(self) -> str:
        return f"{ROOT}/{self._ledger.run}/"

    def _run(self, contexts: Iterable[Context], keep: Keep) -> dict[bytes, str]:
        self._refused, self._lost = {}, {}
        if self._ledger.finished:
            self._ledger.forget_failures()
            self._ledger.finished = False
        self._write_inputs(contexts)
        while jobs := self._ledger.open_jobs:
            for job in jobs:
                self._check()
                if self._patience_of(job).due <= time.monotonic():
                    self._go_on(job, keep)
            soonest = min(
                (self._patience_of(job).due for job in self._ledger.open_jobs), default=0.0
            )
            sleep_until(soonest, self._pace, self._check)
        self._ledger.finished = not self._lost  # else the next run goes on with this one
        self._save()
        return self.failures

    def _write_inputs(self, contexts: Iterable[Context]) -> None:
        """Input files for what no job has yet; what cannot be written as a request is refused."""
        known = set(self._ledger.failures())
        for job in self._ledger.open_jobs:
            known.update(keys_in(self._ledger.input_of(job)))

        def lines() -> Iterator[bytes]:
            for context in contexts:
                if context.key in known:
                    continue
                try:
                    yield request_line(context, self._settings)
                except (InputError, ValueError) as error:
                    self._refused[context.key] = str(error)

        for shard in write_shards(lines(), self._ledger.new_path, self._limits):
            self._check()
            self._ledger.add(shard.path, shard.requests, shard.size_bytes)
            self._save()

    def _go_on(self, job: BatchJob, keep: Keep) -> None:
        """Take a job's next steps until it has to be waited for."""
        patience = self._patience_of(job)
        try:
            while job.step != "done":
                if not self._step(job, keep):
                    patience.again_later()
                    return
                job.note = ""
                self._save()
                patience.again_soon()
                self._check()
            self._collected()
        except CallError as error:
            known = any(each.id for each in self._ledger.jobs)
            if error.retry != "again" or not patience.lost(error.retry_after_s, known):
                raise
            job.note = f"{error.reason}; trying again"
            self._watch(self.jobs)

    def _step(self, job: BatchJob, keep: Keep) -> bool:
        """One step of a job; whether something changed."""
        if job.step == "written":
            self._open_bucket().upload(self._ledger.input_of(job), f"{self._place(job)}/in.jsonl")
            job.step = "uploaded"
        elif job.step == "uploaded":
            job.step, job.state = "asked", "SUBMITTING"
            self._save()  # from here on only Google knows whether there is a job
            self._attach(job, self._create(job))
        elif job.step == "asked":
            self._attach(job, self._found(job) or self._create(job))
        elif job.step == "running":
            return self._look(job)
        else:
            self._collect(job, keep)
        return True

    def _create(self, job: BatchJob) -> JobView:
        place, bucket = self._place(job), self._open_bucket()
        return self._service.create(
            self._settings.model,
            bucket.uri(f"{place}/in.jsonl"),
            bucket.uri(f"{place}/out"),
            job.label,
        )

    def _found(self, job: BatchJob) -> JobView | None:
        """The job whose creation was never confirmed; None where there is none after all."""
        for _ in range(3):
            views = self._service.find(job.label)
            if views:
                return views[0]
            sleep_until(time.monotonic() + self._pace.settle_s, self._pace, self._check)
        return None

    def _attach(self, job: BatchJob, view: JobView) -> None:
        job.step, job.id, job.state, job.created = "running", view.id, view.state, view.created

    def _look(self, job: BatchJob) -> bool:
        """Ask how a job is; whether its state is another one."""
        try:
            view = self._service.get(job.id)
        except CallError as error:
            if error.kind != "404":
                raise
            job.step, job.state = "ended", _GONE
            job.error = "Vertex does not know the job any more"
            return True
        recovered, job.note = bool(job.note), ""
        changed = recovered or view.state != job.state
        job.state, job.error = view.state, view.error
        job.succeeded, job.failed = view.succeeded, view.failed
        if view.ended:
            job.step = "ended"
        return changed

    def _collect(self, job: BatchJob, keep: Keep) -> None:
        """Keep a job's rows; what may pass is written as a second job's input first.

        Raises:
            CallError: the service contradicts the probe; what it did answer is kept.
        """
        source, out = self._ledger.input_of(job), f"{self._place(job)}/out"
        bucket = self._open_bucket()
        tally = collect(job, source, bucket, out, self._settings, keep, self._check)
        left = tally.sort(job)
        self._flush()
        lines = some_lines(source, left.again)
        shards = list(write_shards(lines, self._ledger.new_path, self._limits))
        self._ledger.write_failures(job, left.refused)
        for shard in shards:
            self._ledger.add(shard.path, shard.requests, shard.size_bytes, attempt=2)
        job.step, job.succeeded, job.failed = "done", tally.good, len(tally.left)
        job.lost_tokens = tally.lost_tokens
        self._lost |= left.lost
        self._ledger.save()  # before the input goes: the rows are in the second job now
        source.unlink()
        if left.stop is not None:
            self._watch(self.jobs)
            number = job.id.rsplit("/", 1)[-1]
            kept = "what it answered well is kept"
            raise CallError(
                left.stop.kind, f"batch job {number}: {left.stop.reason}; {kept}", "stop"
            )

    def _place(self, job: BatchJob) -> str:
        """Where a job's objects lie; its label has a part that nobody else's has."""
        return f"{self._root}{job.number:04d}-{job.label.rsplit('-', 1)[-1]}"

    def _open_bucket(self) -> Bucket:
        if self._bucket is None:
            self._bucket = Bucket.open(
                str(self._endpoint.project_id),
                self._name,
                str(self._endpoint.location),
                self._storage_url,
            )
        return self._bucket

    def _patience_of(self, job: BatchJob) -> Patience:
        return self._patience.setdefault(job.number, Patience(self._pace))

    def _going_on(self) -> str:
        count = sum(job.step in ("asked", "running") for job in self._ledger.open_jobs)
        if not count:
            return ""
        jobs = "1 batch job goes" if count == 1 else f"{count} batch jobs go"
        return (
            f"; {jobs} on at Google and will be paid for: resume the run to get the answers, or "
            "cancel there what you do not want"
        )

    def _save(self) -> None:
        self._ledger.save()
        self._watch(self.jobs)


def cancel_jobs(endpoint: Endpoint, folder: Path, run: str) -> int:
    """Ask Google to stop a run's jobs; returns how many. Rows answered by then are paid for.

    To be called while no process works on the run, which would go on submitting; the next
    start collects what there is.

    Raises:
        InputError: the endpoint is not Vertex.
        RunError: the ledger is of another run or cannot be read.
        CallError: the service cannot be reached.
    """
    service = BatchService(endpoint)
    found: list[JobView] = []
    for job in Ledger(folder, run, readonly=True).open_jobs:
        if job.step == "asked":
            found += service.find(job.label)
        elif job.step == "running":
            try:
                found.append(service.get(job.id))
            except CallError as error:
                if error.kind != "404":
                    raise
    live = [view for view in found if not view.ended]
    for view in live:
        service.cancel(view.id)
    return len(live)
