"""A run of `endpoint` that is killed: nothing answered is lost or asked again."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from kl_core.emulator.server import running
from kl_core.emulator.settings import Settings
from kl_core.store import runs
from kl_core.store.spending import read_stats
from tests import writing
from tests.jobs.endpoint import MODEL, RESPONSES, TUNED, serve
from tests.jobs.gemini import texts
from tests.jobs.test_gemini_kill import kill_when

AT_ONCE = 1


def start(root, folder, address, output):
    """The command in a process of its own."""
    words = ("endpoint", "--input-dir", folder, "--model2", MODEL, "--tokenizer", TUNED)
    options = ("--base-url", f"{address}/v1", "--output-dir", output, "--server", "vllm")
    return subprocess.Popen(
        writing.command(*words, *options, "--max-concurrent", AT_ONCE, "--yes"),
        env=writing.environment(root),
        cwd=writing.REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.fixture
def three(tmp_path):
    """Three files, some ten responses."""
    folder = tmp_path / "three"
    folder.mkdir()
    for path in sorted(RESPONSES.glob("*.json"))[:3]:
        shutil.copy(path, folder / path.name)
    return folder


def test_kills_at_any_moment_lose_nothing_and_ask_nothing_twice(tmp_path, three):
    """The files equal those of a calm run; at most what was in flight is asked again."""
    with running(Settings()) as server:
        serve(
            tmp_path / "calm", server.base_url, input_dir=three, server="vllm",
            output_dir=tmp_path / "a",
        )  # fmt: skip
        total = server.stats()["contexts_succeeded"]
        server.reset()
        server.settings = Settings(latency_ms=150)
        shares, killed = (0.2, 0.7), 0
        for share in shares:
            process = start(tmp_path / "runs", three, server.base_url, tmp_path / "b")
            wanted = int(share * total)
            killed += kill_when(process, lambda: server.stats()["calls"] > wanted)  # noqa: B023
        process = start(tmp_path / "runs", three, server.base_url, tmp_path / "b")
        assert process.wait(60) == 0
        again = sum(n - 1 for n in server.state.stats.successes().values())
        assert killed == len(shares)
        assert server.stats()["contexts_succeeded"] == total
        assert again <= 2 * len(shares) * AT_ONCE
    assert texts(tmp_path / "a") == texts(tmp_path / "b")
    [run_dir] = runs.run_folders(tmp_path / "runs")
    assert read_stats(run_dir).made == total
