"""`sample` as a user types it."""

from __future__ import annotations

import json

import pytest

from kl_core.cli.sample_command import plan_lines, sample_command
from kl_core.emulator.server import running
from kl_core.emulator.settings import Provider, Settings
from kl_core.errors import InputError
from kl_core.store.spending import CallPlan
from tests import writing

SECRET = "sk-or-NotARealKeyButLongEnough"
CONFIG = """\
output_dir: {output}
samples: 2
max_tokens: 6
top_logprobs: 5
seed: 1
prompts:
  texts: ["What is a haiku?", "How far away is the sun?"]
models:
  - name: tiny-base
    base_url: {url}/v1
    key_env: SAMPLE_TEST_KEY
"""


@pytest.fixture(scope="module")
def server():
    with running(Settings(providers=(Provider("Quietco", ("no-logprobs",)),))) as started:
        yield started


@pytest.fixture
def config(tmp_path, server, monkeypatch):
    monkeypatch.setenv("SAMPLE_TEST_KEY", SECRET)
    path = tmp_path / "c.yaml"
    path.write_text(CONFIG.format(output=tmp_path / "out", url=server.base_url))
    return path


def test_sampling_by_a_command_writes_files_and_one_summary(tmp_path, server, config):
    """Keys of every run, calls, cost, models and where the files are; no key anywhere on disk."""
    done = writing.call(tmp_path / "runs", "sample", "--config", config, "--json")
    summary = json.loads(done.stdout)
    assert summary["kind"] == "sample"
    assert (summary["prompts"], summary["responses"]) == (2, 4)
    assert (summary["calls"]["made"], summary["cost"]) == (4, 0)
    assert summary["output_dir"] == str(tmp_path / "out")
    [model] = summary["models"]
    assert model["without_logprobs"] == {"Quietco": 4}
    assert len(list((tmp_path / "out" / "tiny-base").glob("*.json"))) == 2
    assert "at most 18 output tokens: nothing is charged" in done.stderr
    assert "Careful: Quietco gave no log-probabilities for tiny-base" in done.stderr
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path
    plain = writing.call(tmp_path / "runs", "sample", "--config", config)
    assert "tiny-base: 4 of 4 responses; 4 there before" in plain.stdout
    assert "4 without log-probabilities: Quietco 4" in plain.stdout
    assert server.stats()["routes"]["/v1/chat/completions"] == 4


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("samples: 2", "sample: 2", "sample"),
        ("seed: 1", "temperature: -1", "temperature is -1"),
        ("    key_env: SAMPLE_TEST_KEY", "    key_env: NO_SUCH_KEY_HERE", "NO_SUCH_KEY_HERE"),
        ("prompts:\n  texts:", "# ", "there are no prompts"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence_that_names_it(tmp_path, config, old, new, said):
    """Before a run begins."""
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new))
    with pytest.raises(InputError, match=said):
        sample_command(config, runs_dir=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_plan_says_the_most_it_can_cost():
    """Counts, tokens, the upper bound of the cost, and every warning."""
    plan = CallPlan(
        "sample",
        "m",
        prompts=3,
        calls=6,
        kept=1,
        input_tokens=1200,
        output_tokens=1536,
        cost=0.125,
        price_input=None,
        seconds=65,
        max_concurrent=20,
        warnings=("take care",),
    )
    assert plan_lines(plan)[1:] == [
        "m: 6 calls for 3 files; 1 more answered already",
        "about 1,200 input and at most 1,536 output tokens: at most about $0.12",
        "about 1 min 5 s at 20 calls at a time",
        "Careful: take care.",
    ]
