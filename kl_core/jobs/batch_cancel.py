"""Stopping a batch run and its jobs, so that nothing more is paid for."""

from __future__ import annotations

import time
from pathlib import Path

from kl_core.errors import InputError, RunError
from kl_core.jobs.gemini_options import BATCH_FOLDER, AskOptions
from kl_core.jobs.worker import STATUS_EVERY_S
from kl_core.sources.endpoint import resolve_endpoint
from kl_core.store import runs

STOP_S = 60.0  # a live run has so long to end before its jobs are cancelled


def cancel_jobs(run_dir: Path) -> int:
    """Stop a batch run, live or not, and ask Google to cancel its jobs; returns how many.

    Rows answered by then are paid for; resuming the run collects them.

    Raises:
        InputError: it is no batch run, or its address or credentials cannot be used.
        RunError: its process does not end.
        CallError: Vertex cannot be reached.
    """
    params = runs.read_params(run_dir)
    if params["kind"] != "batch":
        raise InputError(f"run {run_dir.name} is of kind {params['kind']}; only batch has jobs")
    _stop(run_dir)
    if not (run_dir / BATCH_FOLDER).exists():
        return 0
    from kl_core.sources.vertex_batch import cancel_jobs as cancel

    options = AskOptions.thawed(params["request"])
    endpoint = resolve_endpoint(options.project_id, options.location, options.base_url)
    return cancel(endpoint, run_dir / BATCH_FOLDER, run_dir.name)


def _stop(run_dir: Path) -> None:
    """End a live run first: it would go on submitting."""
    limit = time.monotonic() + STOP_S
    if runs.read_status(run_dir).active:
        runs.request_cancel(run_dir)
    while runs.read_status(run_dir).active:
        if time.monotonic() > limit:
            raise RunError(
                f"run {run_dir.name} was asked to stop and still works after {STOP_S:.0f} s, so "
                "its jobs were not cancelled: try again"
            )
        time.sleep(STATUS_EVERY_S)
