"""`runs` at the prompt: names, sizes, and two runs compared."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kl_core.store.build import build_database
from kl_core.store.parts import committed
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


def test_infinite_values_and_those_of_one_run_alone_are_printed(root: Path, tmp_path) -> None:
    """Both counts, side by side, and a sentence that claims nothing."""
    made = [response(prose(12, 1), {5: 0.4}, reasons={7: "not scored"})]
    a = made_runs.write(tmp_path, [entry(0, "q", made)], short="aaaa0001")
    b = made_runs.write(
        tmp_path, [entry(0, "q", [response(prose(12, 1), {5: 0.4})])], short="bbbb0001"
    )
    for path, places in ((a, (1, 2)), (b, (2,))):
        (part,) = committed(path, "tokens")
        columns = pq.read_table(part).to_pydict()
        columns["kl"] = [math.inf if n in places else v for n, v in enumerate(columns["kl"])]
        pq.write_table(pa.table(columns, schema=pq.read_schema(part)), part)
        build_database(path)
    words = ("runs", "compare", "aaaa", "bbbb", "--runs-dir", str(tmp_path))
    printed = writing.call(root, *words).stdout
    assert "No verdict: 2 tokens have an infinite value (1 in A alone, 1 in both)" in printed
    assert "infinite tokens: 1 in A alone, 0 in B alone, 1 in both" in printed
    assert "left out, known in one run alone: 0 tokens in A, 1 in B" in printed
    found = json.loads(writing.call(root, *words, "--json").stdout)["difference"]
    assert [found[name] for name in ("alone_a", "alone_b", "infinite_a", "infinite_both")] == [
        *(0, 1, 1, 1)
    ]
    assert found["units"] == 9 and not found["beyond_noise"]


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
