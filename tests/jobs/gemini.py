"""Runs of `prefill` and `batch` in this process against a server in a thread."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from pathlib import Path

from kl_core.errors import RunWaiting
from kl_core.formats.reader import read_entries
from kl_core.jobs import batch, prefill, worker
from kl_core.jobs.gemini_job import GeminiRequest
from kl_core.jobs.gemini_options import AskOptions, BatchOptions, PoolOptions, SpendOptions
from kl_core.records import ProblemLog, ScoredEntry
from kl_core.store import runs

SAMPLES = Path(__file__).resolve().parents[2] / "sample_data" / "responses" / "gemini"
MODEL = "tiny-tuned"


def ask(root: Path, base_url: str, *, input_dir: Path = SAMPLES, yes: bool = True, **more) -> Path:
    """One online run to its end; returns its folder."""
    pool = {name: more.pop(name) for name in ("max_concurrent", "max_retries", "reuse", "timeout_s")
            if name in more}  # fmt: skip
    spend = SpendOptions(yes=yes, **{n: more.pop(n) for n in ("max_cost",) if n in more})
    more.setdefault("model2", MODEL)
    options = AskOptions(input_dir, base_url=base_url, **more)
    request = GeminiRequest(options, PoolOptions(**pool), spend)
    frozen, title, work = prefill.prepare(request)
    run_dir = worker.folder_for("prefill", frozen, root, title)
    with nullcontext() if yes else suppress(RunWaiting):
        worker.carry_out(run_dir, work)
    return run_dir


def submit(root: Path, base_url: str, *, input_dir: Path = SAMPLES, **more) -> Path:
    """One batch run to its end; returns its folder."""
    places = BatchOptions(storage_url=base_url, cleanup=more.pop("cleanup", False))
    options = AskOptions(
        input_dir, more.pop("model2", MODEL), project_id="demo", base_url=base_url, **more
    )
    request = GeminiRequest(options, PoolOptions(), SpendOptions(yes=True))
    frozen, title, work = batch.prepare(request, places)
    run_dir = worker.folder_for("batch", frozen, root, title)
    worker.carry_out(run_dir, work)
    return run_dir


def results(folder: Path) -> dict[str, ScoredEntry]:
    """Result files by the name of what they were made of."""
    log = ProblemLog()
    found = {
        each.entry.file.replace("_kl.json", ".json"): each
        for each in read_entries(folder, None, log)
    }
    assert not log.rows
    return found


def texts(folder: Path) -> dict[str, bytes]:
    """Result files byte for byte."""
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*_kl.json"))}


def newest(root: Path) -> Path:
    """The latest run."""
    return runs.run_folders(root)[0]
