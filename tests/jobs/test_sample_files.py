"""Files of responses that several runs write to, and what a resumed run does about them."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from types import SimpleNamespace

import pytest

from kl_core.emulator.server import running
from kl_core.emulator.settings import Settings
from kl_core.errors import InputError, RunError
from kl_core.formats.sampled_files import SampledFile, existing
from kl_core.formats.sampling_config import ModelConfig
from kl_core.formats.tokens import TokenTables
from kl_core.jobs.gemini_calls import counts_so_far
from kl_core.jobs.sample_counts import ModelCounts
from kl_core.jobs.sample_files import write_merged
from kl_core.jobs.sample_finish import _without_errors, read_back
from kl_core.jobs.sample_spent import ProbeBill
from kl_core.records import Message
from kl_core.sources.calls import Answer, CallError
from kl_core.sources.journal import Journal
from kl_core.sources.pricing import Price
from kl_core.store import queries, runs
from kl_core.store.sampled import read_sampled
from kl_core.store.summary import run_summary
from tests.jobs.sampling import MODEL, config, contents, start

ASKED = (Message("user", "Hello?"),)


@pytest.fixture(scope="module")
def server():
    with running() as started:
        yield started


@pytest.fixture
def quiet(server, monkeypatch):
    monkeypatch.setenv("SAMPLE_TEST_KEY", "sk-test-123456789")
    server.settings = Settings()
    server.reset()
    return server


def asked(server) -> int:
    return server.stats()["routes"].get("/v1/chat/completions", 0)


def own(*numbers, **sampling) -> SampledFile:
    found = {number: {"text": f"sample {number}"} for number in numbers}
    return SampledFile(ASKED, "m", sampling, found)


def test_runs_that_write_the_same_file_at_the_same_time_lose_nothing(tmp_path):
    """Each brings its own numbers; those of the others stay."""
    path = tmp_path / "model" / "a.json"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: write_merged(path, own(number)), range(40)))
    found = existing(path)
    assert sorted(found.responses) == list(range(40))
    assert [each.name for each in path.parent.iterdir()] == ["a.json"]


def test_a_file_is_not_read_for_merging_while_another_run_replaces_it(tmp_path):
    """Whoever comes second waits until the folder is free again."""
    path = tmp_path / "a.json"
    handle = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    waiting = threading.Thread(target=write_merged, args=(path, own(1)))
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    assert not path.exists()
    os.close(handle)
    waiting.join(10)
    assert existing(path).responses.keys() == {1}


def test_what_others_wrote_with_other_settings_is_left(tmp_path):
    """Both values are told, and nothing is lost of either; overwriting replaces it."""
    path = tmp_path / "a.json"
    write_merged(path, own(0, temperature=1.0))
    written = write_merged(path, own(0, 1, temperature=0.5))
    assert "temperature 1.0, now 0.5" in written.refusal
    assert existing(path).responses.keys() == {0}
    write_merged(path, own(1, temperature=0.5), overwrite=True)
    assert existing(path).responses.keys() == {1}


def test_a_file_with_nothing_new_is_not_touched(tmp_path):
    """Its time stays."""
    path = tmp_path / "a.json"
    write_merged(path, own(0, 1))
    os.utime(path, (1, 1))
    write_merged(path, own(1))
    assert path.stat().st_mtime == 1


def test_a_run_keeps_what_another_one_writes_meanwhile(tmp_path, quiet):
    """The files have the samples of both; the first run shows as many as it has ids for."""
    wanted = config(tmp_path / "o", quiet.base_url, samples=2)

    def other_run(plan, needed):
        start(tmp_path / "b", config(tmp_path / "o", quiet.base_url, samples=4))
        return True

    run_dir = start(tmp_path / "a", wanted, ask=other_run)
    assert {len(each["responses"]) for each in contents(tmp_path / "o").values()} == {4}
    cursor = queries.open_run(run_dir).cursor()
    shown = cursor.execute("SELECT count(*), count(DISTINCT response_id) FROM response_rows")
    assert shown.fetchone() == (6, 6)
    said = [row["reason"] for row in run_summary(run_dir)["problems"]]
    assert (
        said == ["2 responses that another run has added meanwhile are not shown in this run"] * 3
    )
    [counted] = read_sampled(run_dir)
    assert (counted.wanted, counted.responses, counted.kept, counted.missing) == (12, 12, 6, 0)


def begun(tmp_path, quiet, **more):
    """A run of two models of which the second cannot be asked; its folder, and what was asked."""
    wanted = config(tmp_path / "o", quiet.base_url, (MODEL, "no-such-model"), **more)
    with pytest.raises(RunError, match="no-such-model"):
        start(tmp_path / "r", wanted)
    [run_dir] = runs.run_folders(tmp_path / "r")
    return run_dir, wanted


def resumed(tmp_path, wanted, **more):
    with pytest.raises(RunError, match="no-such-model could not be asked"):
        start(tmp_path / "r", wanted, **more)


def test_what_others_add_before_a_resume_shifts_no_response_ids(tmp_path, quiet):
    """The first survey settles them."""
    run_dir, wanted = begun(tmp_path, quiet)
    path = run_dir / "response_ids.json"
    before = json.loads(path.read_text())
    assert before == {MODEL: [2, 2, 2], "no-such-model": [2, 2, 2]}
    start(tmp_path / "b", config(tmp_path / "o", quiet.base_url, samples=5))
    resumed(tmp_path, wanted)
    assert json.loads(path.read_text()) == before


def test_files_that_vanished_or_broke_before_a_resume_come_back_from_the_journal(tmp_path, quiet):
    """Nothing is asked for them again, and the counts are those of a calm run."""
    run_dir, wanted = begun(tmp_path, quiet)
    before, counted = contents(tmp_path / "o"), read_sampled(run_dir)
    calls = asked(quiet)
    gone, broken, _ = sorted((tmp_path / "o" / MODEL).glob("*.json"))
    gone.unlink()
    broken.write_text('{"responses": [')
    resumed(tmp_path, wanted)
    assert contents(tmp_path / "o") == before
    assert read_sampled(run_dir) == counted
    assert asked(quiet) == calls + 1  # the model that is not there


def test_responses_of_other_runs_that_vanished_before_a_resume_are_a_row(tmp_path, quiet):
    """The run's own come back, the others are missing and not failed."""
    start(tmp_path / "b", config(tmp_path / "o", quiet.base_url, samples=1))
    run_dir, wanted = begun(tmp_path, quiet)
    path = sorted((tmp_path / "o" / MODEL).glob("*.json"))[0]
    path.unlink()
    resumed(tmp_path, wanted)
    assert existing(path).responses.keys() == {1}
    counted = read_sampled(run_dir)[0]
    assert (counted.wanted, counted.responses, counted.kept, counted.failed) == (6, 5, 2, 0)
    assert counted.missing == 1
    with pytest.raises(RunError):
        start(tmp_path / "r", wanted)
    assert existing(path).responses.keys() == {1}


def test_a_number_beyond_those_asked_does_not_hide_one_that_is_missing(tmp_path, quiet):
    """What counts is which numbers are there, not how many."""
    start(tmp_path / "b", config(tmp_path / "o", quiet.base_url, samples=4))
    for path in (tmp_path / "o" / MODEL).glob("*.json"):
        record = json.loads(path.read_text())
        record["responses"] = [each for each in record["responses"] if each["sample"] != 1]
        path.write_text(json.dumps(record))
    quiet.settings = Settings(fault_rate=1.0, faults=("blocked",))
    run_dir = start(tmp_path / "r", config(tmp_path / "o", quiet.base_url, samples=2))
    [counted] = read_sampled(run_dir)
    assert (counted.wanted, counted.responses, counted.failed) == (12, 9, 3)


def test_a_number_that_failed_here_and_came_from_another_run_is_not_asked_or_lost(tmp_path, quiet):
    """The journal's error is no answer that a resumed run would put in its place."""
    quiet.settings = Settings(fault_rate=1.0, faults=("blocked",))
    run_dir, wanted = begun(tmp_path, quiet)
    assert read_sampled(run_dir)[0].failed == 6
    quiet.settings = Settings()
    start(tmp_path / "b", config(tmp_path / "o", quiet.base_url))
    resumed(tmp_path, wanted)
    counted = read_sampled(run_dir)[0]
    assert (counted.responses, counted.kept, counted.failed) == (6, 6, 0)


def test_what_failed_tries_of_the_probe_cost_is_on_the_bill(tmp_path):
    """Beside what its answer cost; the journal knows the answer alone."""
    by = SimpleNamespace(price=Price(1e6, 2e6), tickets=[])
    tries = iter([CallError("empty", "nothing", "odd", None, 3, 4), Answer((), None, "m", 3, 5)])

    async def ask(question):
        found = next(tries)
        if isinstance(found, CallError):
            raise found
        return found

    async def twice(counted):
        with pytest.raises(CallError):
            await counted(None)
        return await counted(None)

    with closing(Journal.open(tmp_path / "journal.sqlite")) as journal:
        bill = ProbeBill(SimpleNamespace(run_dir=tmp_path), journal, [by])
        journal.keep(b"k" * 16, asyncio.run(twice(bill.asking(by, ask))))
        journal.flush()
        bill.write()
        counts = counts_so_far(SimpleNamespace(run_dir=tmp_path), journal)
    assert (counts.made, counts.retried, counts.errors) == (1, 1, {"empty": 1})
    assert (counts.input_tokens, counts.output_tokens) == (6, 9)
    assert counts.cost == pytest.approx(6 + 2 * 9)


def test_nothing_left_to_ask_goes_on_whatever_the_limit(tmp_path, quiet):
    """What is spent is spent."""
    dear = ModelConfig(
        name=MODEL,
        base_url=f"{quiet.base_url}/v1",
        key_env="SAMPLE_TEST_KEY",
        input_price=1000.0,
        output_price=1000.0,
    )
    lost = ModelConfig(name="lost", base_url="http://127.0.0.1:9/v1")
    wanted = config(tmp_path / "o", quiet.base_url, (dear, lost))
    for limit in (99.0, 0.001):
        with pytest.raises(RunError, match="lost could not be asked"):
            start(tmp_path / "r", wanted, max_cost=limit)


def test_models_of_one_name_are_told_apart_by_their_folder(tmp_path, quiet):
    """In the sentence that says which one failed, and in the plan."""
    here, there = (
        ModelConfig(name=MODEL, label=label, base_url=f"{address}/v1")
        for label, address in (("here", quiet.base_url), ("there", "http://127.0.0.1:9"))
    )
    with pytest.raises(RunError, match=r"tiny-base \(there\) could not be asked") as caught:
        start(tmp_path / "r", config(tmp_path / "o", quiet.base_url, (here, there)))
    assert "here)" not in str(caught.value).split("could not")[0].replace("(there)", "")


def test_a_model_whose_key_is_gone_does_not_stop_the_others(tmp_path, quiet, monkeypatch):
    """The sentence names it and the configuration's field; the others' files are whole."""
    monkeypatch.setenv("OTHER_TEST_KEY", "sk-other-123456789")
    other = ModelConfig(
        name="tiny-tuned", base_url=f"{quiet.base_url}/v1", key_env="OTHER_TEST_KEY"
    )

    def forget(plan, needed):
        monkeypatch.delenv("OTHER_TEST_KEY")
        return True

    wanted = config(tmp_path / "o", quiet.base_url, (MODEL, other))
    with pytest.raises(RunError, match="tiny-tuned could not be asked: .*OTHER_TEST_KEY") as caught:
        start(tmp_path / "r", wanted, ask=forget)
    assert "--" not in str(caught.value)
    assert len(contents(tmp_path / "o" / MODEL)) == 3
    with pytest.raises(InputError, match="the model tiny-tuned: .*OTHER_TEST_KEY"):
        start(tmp_path / "r", wanted)


def test_a_finished_run_counts_files(tmp_path, quiet):
    """Two models with three prompts have six files, not six prompts."""
    run_dir = start(tmp_path / "r", config(tmp_path / "o", quiet.base_url, (MODEL, "tiny-tuned")))
    status = runs.read_status(run_dir)
    assert (status.done, status.total, status.unit) == (6, 6, "files")


def test_a_started_answer_that_was_complete_is_no_error_of_the_run(tmp_path):
    """The reader alone cannot know that; nor is it counted as without log-probabilities."""
    choice = {"index": 0, "message": {"content": ""}, "finish_reason": "stop", "logprobs": None}
    item = {"model": "m", "choices": [choice]}
    prompt = (*ASKED, Message("assistant", "Hi."))
    write_merged(tmp_path / "a.json", SampledFile(prompt, "m", {}, {0: item}))
    [entry], rows = read_back(tmp_path / "a.json", "a.json", TokenTables())
    assert not rows
    [response] = _without_errors(entry, [item]).responses
    assert (response.text, response.error) == ("", None)
    counts = ModelCounts("m", "m", True, 1)
    counts.add({0: item}, 0, 0)
    assert not counts.problems()


@pytest.mark.parametrize("written", ["my own notes", "", '{"prompt": "hi"}'])
def test_a_file_that_cannot_be_read_is_kept_under_another_name(tmp_path, written):
    """Whoever wrote it; a second one does not take the first one's place."""
    path = tmp_path / "f.json"
    own = SampledFile((Message("user", "hi"),), "m", {}, {0: {"sample": 0, "text": "a"}}, None)
    for _ in range(2):
        path.write_text(written)
        assert write_merged(path, own).refusal is None
        assert existing(path).responses.keys() == {0}
    kept = sorted(each.name for each in tmp_path.iterdir() if ".bak" in each.name)
    assert kept == ["f.json.bak", "f.json.bak1"]
    assert {(tmp_path / name).read_text() for name in kept} == {written}
