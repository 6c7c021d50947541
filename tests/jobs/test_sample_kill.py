"""Runs of `sample` that are killed: nothing answered is lost, nothing answered is asked again."""

from __future__ import annotations

import random
import subprocess
import time

from kl_core.emulator.server import running
from kl_core.emulator.settings import Settings
from kl_core.formats.sampling_config import PromptSource, write_config
from kl_core.store import runs, spending
from kl_core.store.sampled import read_sampled
from kl_core.store.summary import run_summary
from tests import writing
from tests.jobs.sampling import config, contents, start

KILLS = 3
AT_ONCE = 4
PROMPTS, SAMPLES = 12, 4


def process(root, config_path, output):
    words = ("sample", "--config", config_path, "--output-dir", output)
    return subprocess.Popen(
        writing.command(*words, "--max-concurrent", AT_ONCE, "--yes"),
        env=writing.environment(root),
        cwd=writing.REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_kills_at_random_moments_lose_nothing_and_ask_nothing_twice(tmp_path, monkeypatch):
    """Files, counts and the run's rows equal those of a calm run.

    At most what was under way is asked again: calls in flight, and answers on their way to
    the disk, which are no more than a few.
    """
    monkeypatch.setenv("SAMPLE_TEST_KEY", "sk-test-123456789")
    chance = random.Random(5)
    texts = tuple(f"Tell me about {n} islands." for n in range(PROMPTS))
    total = PROMPTS * SAMPLES
    with running(Settings()) as server:
        wanted = config(
            tmp_path / "a",
            server.base_url,
            prompts=PromptSource(texts=texts),
            samples=SAMPLES,
            max_tokens=4,
        )
        calm = start(tmp_path / "calm", wanted)
        write_config(tmp_path / "c.yaml", wanted)
        server.reset()
        server.settings = Settings(latency_ms=60)
        killed = 0
        for share in sorted(chance.uniform(0.05, 0.9) for _ in range(KILLS)):
            child = process(tmp_path / "runs", tmp_path / "c.yaml", tmp_path / "b")
            limit = time.monotonic() + 60
            while server.stats()["calls"] < share * total and time.monotonic() < limit:
                if child.poll() is not None:
                    break
                time.sleep(0.002)
            killed += child.poll() is None
            child.kill()
            child.wait(20)
        child = process(tmp_path / "runs", tmp_path / "c.yaml", tmp_path / "b")
        assert child.wait(60) == 0
        stats = server.stats()
        again = sum(n - 1 for n in server.state.stats.successes().values())
    assert killed == KILLS
    assert stats["contexts_succeeded"] == total
    assert again <= 2 * KILLS * AT_ONCE
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    [run_dir] = runs.run_folders(tmp_path / "runs")
    assert spending.read_stats(run_dir).made == total
    assert read_sampled(run_dir) == read_sampled(calm)
    found, expected = run_summary(run_dir), run_summary(calm)
    for name in ("state", "prompts", "responses", "tokens", "problems"):
        assert found[name] == expected[name]
