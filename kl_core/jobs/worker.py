"""What every long job shares: the run folder, progress, cancel, parts, the end.

A job is `work(worker)`: it stages its progress, adds scored entries, and returns. The
worker claims the folder, keeps status.json fresh, turns a cancel (file or signal) into
RunCancelled at the next safe point, builds the database, and writes the last state.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

from kl_core import __version__
from kl_core.errors import KLExplorerError, RunCancelled, RunError, RunWaiting
from kl_core.jobs.launch import RUN_DIR_VARIABLE
from kl_core.store import process, queries, runs
from kl_core.store.build import build_database
from kl_core.store.parts import PartWriter, finished_prompts
from kl_core.store.runs import Status

STATUS_EVERY_S = 0.3
TAKEOVER_TRIES = 20
Observer = Callable[[Status], None]


class Worker:
    """The working side of one run.

    Attributes:
        holds: what the prompts of a finished run are called.
    """

    holds = "prompts"

    def __init__(self, run_dir: Path, observer: Observer | None = None) -> None:
        self.run_dir = run_dir
        self.finished = finished_prompts(run_dir)
        self.parts = PartWriter(run_dir)
        self.started = time.monotonic()
        self._observer = observer
        self._status = Status(state="running", updated=time.time())
        self._written = 0.0
        self._stage_began = time.monotonic()
        self._stage_from = 0
        self._stop = False

    def stage(self, name: str, total: int | None, unit: str, done: int = 0) -> None:
        """Begin a stage of the work; the rate counts from here."""
        self._stage_began, self._stage_from = time.monotonic(), done
        self._status = replace(
            self._status,
            stage=name,
            total=total,
            unit=unit,
            done=done,
            rate=None,
            eta_s=None,
            message="",
        )
        self.event("stage", name=name, total=total, unit=unit)
        self._write(force=True)

    def progress(self, done: int, message: str = "", skipped: int = 0) -> None:
        """Report how far the stage is; `skipped` units cost no time and do not count in the rate.

        Raises:
            RunCancelled: the user asked to stop.
        """
        elapsed = max(time.monotonic() - self._stage_began, 1e-6)
        worked = done - self._stage_from - skipped
        rate = worked / elapsed if worked > 0 else None
        total = self._status.total
        left = (total - done) / rate if rate and total is not None else None
        self._status = replace(
            self._status, done=done, rate=rate, eta_s=left, message=message or self._status.message
        )
        self._write()
        self.check_cancel()

    def check_cancel(self) -> None:
        """Raise RunCancelled where the user asked to stop."""
        if self._stop or (self.run_dir / "cancel").exists():
            raise RunCancelled(f"run {self.run_dir.name} was cancelled; what was finished is kept")

    def event(self, kind: str, **values: Any) -> None:
        """Append one line to events.jsonl."""
        line = json.dumps({"time": time.time(), "event": kind, **values}, ensure_ascii=True)
        with open(self.run_dir / "events.jsonl", "a", encoding="utf-8") as stream:
            stream.write(line + "\n")

    def log(self, text: str) -> None:
        """Append to log.txt."""
        with open(self.run_dir / "log.txt", "a", encoding="utf-8") as stream:
            stream.write(text.rstrip() + "\n")

    def finish(
        self,
        state: runs.State,
        message: str = "",
        error: str = "",
        prompts: int | None = None,
    ) -> None:
        """Write the last status; `prompts` is what a finished run holds."""
        self._status = replace(
            self._status,
            state=state,
            eta_s=None,
            message=message or self._status.message,
            error=error,
        )
        if prompts is not None:
            self._status = replace(self._status, done=prompts, total=prompts, unit=self.holds)
        self.event("end", state=state, error=error, elapsed_s=time.monotonic() - self.started)
        self._write(force=True)

    def interrupt(self, *_: object) -> None:
        """Stop at the next safe point (signal handler)."""
        self._stop = True

    def _write(self, force: bool = False) -> None:
        now = time.monotonic()
        if not force and now - self._written < STATUS_EVERY_S:
            return
        self._written = now
        self._status = replace(self._status, updated=time.time())
        runs.write_status(self.run_dir, self._status)
        if self._observer is not None:
            self._observer(self._status)


def folder_for(kind: str, request: dict[str, Any], root: Path, title: str) -> Path:
    """The folder to work in: the one handed over, the newest unfinished equal one, or a new one."""
    params = {"request": request, "title": title, "versions": versions(), "command": _command()}
    handed = os.environ.get(RUN_DIR_VARIABLE)
    if handed:
        del params["command"]  # the page wrote the one a person would type
        runs.update_params(Path(handed), **params)
        return Path(handed)
    unfinished = runs.find_unfinished(root, kind, request)
    if unfinished is not None:
        return unfinished
    return runs.create_run(root, kind, params)


def _command() -> list[str]:
    """The command line this process was started with."""
    return ["python", "-m", "kl_core", *sys.argv[1:]]


def carry_out(
    run_dir: Path, work: Callable[[Worker], None], observer: Observer | None = None
) -> None:
    """Do the work of a run in this process, to the end, a cancel or an error.

    A run that another live process works on is attached to: this waits until it ends.

    Raises:
        RunCancelled: asked to stop; the parts and a database of them are on disk.
        KLExplorerError: the work could not be done; what was finished is kept.
    """
    for _ in range(TAKEOVER_TRIES):
        before = runs.read_status(run_dir).state
        try:
            claim = process.claim(run_dir)
            break
        except RunError:
            if attach(run_dir, observer):
                return
            time.sleep(STATUS_EVERY_S)
    else:
        raise RunError(
            f"run {run_dir.name} is held by a process that cannot be seen from here; "
            "end that process, or start again once it is gone"
        )
    try:
        if before != "starting":  # an old request, not of this start
            (run_dir / "cancel").unlink(missing_ok=True)
        worker = Worker(run_dir, observer)
        with _signals(worker):
            _work_to_an_end(worker, work)
    finally:
        process.release(claim)


def attach(run_dir: Path, observer: Observer | None = None) -> bool:
    """Watch a live run until it ends; False where its worker died and the work can be taken over.

    Raises:
        RunCancelled, RunError: it was cancelled or failed.
    """
    while (status := runs.read_status(run_dir)).active:
        if observer is not None:
            observer(status)
        time.sleep(STATUS_EVERY_S)
    if status.state == "cancelled":
        raise RunCancelled(f"run {run_dir.name} was cancelled; what was finished is kept")
    if status.state == "failed":
        raise RunError(status.error or status.message or f"run {run_dir.name} failed")
    return status.state == "done"


def _work_to_an_end(worker: Worker, work: Callable[[Worker], None]) -> None:
    worker.event("start", pid=os.getpid(), resumed_prompts=len(worker.finished))
    try:
        worker.check_cancel()
        with worker.parts:
            work(worker)
        prompts = _build(worker)
        worker.finish("done", prompts=prompts)
    except RunWaiting as error:
        worker.finish("waiting", message=str(error))
        raise
    except RunCancelled as error:
        _build(worker)
        worker.finish("cancelled", message=str(error))
        raise
    except BaseException as error:
        if not isinstance(error, KLExplorerError):
            worker.log(traceback.format_exc())
        sentence = str(error) if isinstance(error, KLExplorerError) else _unexpected(error)
        worker.finish("failed", error=sentence)
        if isinstance(error, KLExplorerError) or not isinstance(error, Exception):
            raise
        raise RunError(f"{sentence}; details in {worker.run_dir / 'log.txt'}") from error


def _build(worker: Worker) -> int:
    """Make the database, note the models; returns how many prompts it holds."""
    worker.stage("building the database", None, "")
    build_database(worker.run_dir)
    opened = queries.open_run(worker.run_dir)
    figures = queries.summary(opened.cursor())
    opened.connection.close()
    names = {key: figures[key] for key in ("model1", "model2") if figures.get(key)}
    runs.update_params(worker.run_dir, **names)
    return int(figures.get("prompts") or 0)


def _unexpected(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "out of memory: lower --batch-tokens or --top-k and start again, it resumes"
    text = " ".join(str(error).split())[:300]
    return f"unexpected {type(error).__name__}: {text or 'no message'}"


@contextmanager
def _signals(worker: Worker) -> Iterator[None]:
    """Ctrl-C and termination become a cancel; a second Ctrl-C interrupts at once."""

    def first(*_: object) -> None:
        worker.interrupt()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    try:
        before = {
            number: signal.signal(number, first) for number in (signal.SIGINT, signal.SIGTERM)
        }
    except ValueError:  # not the main thread (tests)
        yield
        return
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def versions() -> dict[str, str]:
    """What this was computed with."""
    found = {"kl_explorer": __version__, "python": platform.python_version()}
    for name in ("numpy", "torch", "transformers", "duckdb", "google-genai"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def counted(number: int, noun: str) -> str:
    """`1 problem`, `2 problems`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
