"""Runs of calls that are killed: nothing answered is lost, nothing answered is paid again."""

from __future__ import annotations

import json
import random
import subprocess
import time
from typing import get_args

from kl_core.emulator.server import running
from kl_core.emulator.settings import Settings
from kl_core.sources.batch_ledger import Step
from kl_core.store import runs
from tests import writing
from tests.jobs.gemini import MODEL, ask, submit, texts

KILLS = 10
AT_ONCE = 8
STEPS = get_args(Step)


def start(root, folder, base_url, output, *more):
    words = ("prefill", "--input-dir", folder, "--model2", MODEL, "--base-url", base_url)
    options = ("--output-dir", output, "--max-concurrent", AT_ONCE, "--yes", *more)
    return subprocess.Popen(
        writing.command(*words, *options),
        env=writing.environment(root),
        cwd=writing.REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def kill_when(process, reached):
    """SIGKILL once `reached` holds; False where the process ended before."""
    limit = time.monotonic() + 60
    while not reached() and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.002)
    ended = process.poll() is not None
    process.kill()
    process.wait(20)
    return not ended


def test_ten_kills_at_random_moments_lose_nothing_and_pay_nothing_twice(tmp_path, few):
    """The results equal those of a calm run.

    At most what was under way is asked again: calls in flight, and answers on their way to
    the disk, which are no more than a few.
    """
    chance = random.Random(7)
    with running(Settings()) as server:
        ask(tmp_path / "calm", server.base_url, input_dir=few, output_dir=tmp_path / "a")
        total = server.stats()["contexts_succeeded"]
        server.reset()
        server.settings = Settings(latency_ms=30)
        killed = 0
        for share in sorted(chance.uniform(0.02, 0.95) for _ in range(KILLS)):
            process = start(tmp_path / "runs", few, server.base_url, tmp_path / "b")
            wanted = int(share * total)
            killed += kill_when(process, lambda: server.stats()["calls"] >= wanted)  # noqa: B023
        process = start(tmp_path / "runs", few, server.base_url, tmp_path / "b")
        assert process.wait(60) == 0
        again = sum(n - 1 for n in server.state.stats.successes().values())
        assert killed == KILLS
        assert server.stats()["contexts_succeeded"] == total
        assert again <= 2 * KILLS * AT_ONCE
    assert texts(tmp_path / "a") == texts(tmp_path / "b")
    [run_dir] = runs.run_folders(tmp_path / "runs")
    assert json.loads((run_dir / "calls.json").read_text())["made"] == total


def test_a_killed_batch_run_attaches_to_its_job_and_submits_no_row_twice(tmp_path, few):
    """Killed before, while and after the job runs; every row is answered once."""
    with running(Settings(batch_s=1.5)) as server:
        submit(tmp_path / "calm", server.base_url, input_dir=few, output_dir=tmp_path / "a")
        total = server.stats()["contexts_succeeded"]
        server.reset()
        words = ("batch", "--input-dir", few, "--model2", MODEL, "--base-url", server.base_url)
        more = ("--project-id", "demo", "--storage-url", server.base_url, "--yes")
        output = ("--output-dir", tmp_path / "b")
        command = writing.command(*words, *more, *output)

        def reached(step):
            """Whether the job is so far, or farther: a step may last a moment only."""
            found = list((tmp_path / "runs").glob("*/batch/jobs.json"))
            jobs = json.loads(found[0].read_text())["jobs"] if found else []
            return any(STEPS.index(job["step"]) >= STEPS.index(step) for job in jobs)

        killed = 0
        steps = ("written", "asked", "running", "ended")
        for step in steps:
            process = subprocess.Popen(
                command,
                env=writing.environment(tmp_path / "runs"),
                cwd=writing.REPOSITORY,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            if not kill_when(process, lambda: reached(step)):  # noqa: B023
                break  # it ended before it was looked at: the run is done
            killed += 1
        assert killed >= 3
        if killed == len(steps):
            writing.call(tmp_path / "runs", *words, *more, *output)
        [run_dir] = runs.run_folders(tmp_path / "runs")
        assert runs.read_status(run_dir).state == "done"
        assert server.stats()["contexts_succeeded"] == total
        assert server.stats()["contexts_repeated"] == 0
    assert texts(tmp_path / "a") == texts(tmp_path / "b")
