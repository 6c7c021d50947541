"""`runs` at the prompt: names, sizes, and two runs compared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import writing
from tests.ui import made_runs
from tests.ui.made_runs import entry, prose, response

HOSTILE = "tell me \x1b[2J now"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs over the same three prompts; B is farther in prompt 1."""
    folder = tmp_path_factory.mktemp("cli") / "runs"
    for short, far in (("aaaa0001", 0.4), ("bbbb0001", 0.01)):
        entries = [
            entry(
                n,
                HOSTILE if n == 1 else f"q{n}",
                [response(prose(12, n), {5: far} if n == 1 else {}, seed=n)],
            )
            for n in range(3)
        ]
        made_runs.write(folder, entries, short=short)
    return folder


def test_two_runs_are_compared_at_the_prompt(root: Path) -> None:
    """The same figures as a table and as one strict JSON object, B less A."""
    found = json.loads(writing.call(root, "runs", "compare", "aaaa", "bbbb", "--json").stdout)
    assert found["matched"]["prompts_paired"] == 3
    assert found["matched"]["tokens_tokens"] == 36
    assert found["prompts"][0]["prompt"] == HOSTILE
    assert found["prompts"][0]["difference"] > 0
    assert found["difference"]["up"] == 1 and found["difference"]["units"] == 36
    table = writing.call(root, "runs", "compare", "aaaa", "bbbb", "--figure", "max_kl").stdout
    assert "max KL" in table and "matched: 3 prompts, 3 responses, 36 tokens" in table
    assert "\x1b" not in table and "\\x1b[2J" in table


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("aaaa", "aaaa"), "choose another run"),
        (("aaaa", "nothing"), "no run 'nothing'"),
        (("aaaa", "bbbb", "--figure", "nonsense"), "cannot compare by 'nonsense'"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence_and_code_two(root: Path, words, sentence) -> None:
    """No traceback; standard output stays empty."""
    done = writing.call(root, "runs", "compare", *words, expect=2)
    assert sentence in done.stderr and not done.stdout


def test_a_run_is_renamed_and_listed_with_its_size(root: Path) -> None:
    """The name shows in the list and in JSON; a bad one is refused; '' takes it back."""
    said = writing.call(root, "runs", "rename", "aaaa", "base, float32").stdout
    assert "is now called base, float32" in said
    listed = writing.call(root, "runs", "list").stdout
    assert "base, float32" in listed and " MB" in listed and "free" in listed
    by_id = {
        run["run_id"][-8:]: run
        for run in json.loads(writing.call(root, "runs", "list", "--json").stdout)["runs"]
    }
    assert by_id["aaaa0001"]["name"] == by_id["aaaa0001"]["title"] == "base, float32"
    assert by_id["bbbb0001"]["name"] is None
    assert by_id["bbbb0001"]["size_bytes"] > 10_000
    assert "base, float32" in writing.call(root, "runs", "show", "aaaa").stdout
    refused = writing.call(root, "runs", "rename", "aaaa", "x" * 200, expect=2)
    assert "shorten it" in refused.stderr
    writing.call(root, "runs", "rename", "aaaa", "")
    assert "made for a test" in writing.call(root, "runs", "list").stdout
