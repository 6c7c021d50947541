"""Pages start workers as processes, once per intention, and read their folders."""

import subprocess
import sys
import time

import pytest

from kl_core.errors import InputError
from kl_core.jobs import launch
from kl_core.store import process, queries, runs
from tests import writing


def wait(run_dir, seconds=60):
    deadline = time.monotonic() + seconds
    while launch.status(run_dir).active and time.monotonic() < deadline:
        time.sleep(0.05)
    return launch.status(run_dir)


def test_a_double_click_starts_one_run(tmp_path):
    """The same nonce gives the same folder; it finishes and can be read."""
    folder = writing.folder(tmp_path / "in", 3)
    first = launch.start("import", {"input_dir": folder}, "nonce-1", tmp_path / "runs")
    second = launch.start("import", {"input_dir": folder}, "nonce-1", tmp_path / "runs")
    assert first == second
    status = wait(first)
    assert status.state == "done", launch.log_tail(first)
    assert len(runs.run_folders(tmp_path / "runs")) == 1
    assert queries.prompt_count(queries.open_run(first).cursor()) == 3


def test_a_worker_that_cannot_begin_is_reported_with_its_sentence(tmp_path):
    """A missing folder is a failed run with the reason, not an endless wait."""
    run_dir = launch.start("import", {"input_dir": tmp_path / "no"}, "n", tmp_path / "runs")
    status = wait(run_dir)
    assert status.state == "failed"
    assert "does not exist" in status.error


def test_a_resume_while_the_old_worker_is_still_leaving_is_not_lost(tmp_path):
    """Cancelled and about to exit: the click starts the next worker all the same."""
    folder = writing.folder(tmp_path / "in", 3)
    run_dir = launch.start("import", {"input_dir": folder}, "n2", tmp_path / "runs")
    assert wait(run_dir).state == "done"
    runs.write_status(run_dir, runs.Status(state="cancelled"))
    claim = process.claim(run_dir)  # this process is alive and named as the worker
    process.release(claim)
    launch.resume(run_dir)
    assert wait(run_dir).state == "done"


def test_the_shown_command_is_the_one_that_runs():
    """What a page shows can be typed: quoted, false and empty options left out."""
    line = launch.command_line(
        "score",
        {
            "input_dir": "my data",
            "model": "m",
            "raw": False,
            "system": "",
            "top_k": 10,
            "trust_remote_code": True,
        },
    )
    assert line == (
        "python -m kl_core score --input-dir 'my data' --model m --top-k 10 --trust-remote-code"
    )


def test_a_value_that_looks_like_an_option_stays_a_value():
    """A system message may begin with a dash."""
    assert launch.arguments("score", {"system": "-v"}) == ["score", "--system=-v"]


def test_only_jobs_can_be_started():
    """A page cannot start anything else by name."""
    with pytest.raises(InputError, match="'rm' is not a job"):
        launch.command_line("rm", {})


def test_launching_needs_neither_torch_nor_transformers():
    """The server process stays light."""
    code = (
        "import sys; import kl_core.jobs.launch, kl_core.store.queries; "
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=writing.REPOSITORY)
