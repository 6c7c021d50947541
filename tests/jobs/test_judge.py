"""Judging a run's continuations: every pair once, also when it is cut off and goes on."""

import asyncio
import json
import re
from dataclasses import replace

import msgspec
import pytest

from kl_core.errors import InputError, RunError
from kl_core.formats.sampled_files import SampledFile, existing, file_name, write_file
from kl_core.formats.sampling_config import JudgeConfig, ModelConfig, SamplingConfig, sampling_of
from kl_core.formats.started import Origin
from kl_core.jobs.judge import JOURNAL, JUDGEMENTS, SAME, UNREAD, Judging
from kl_core.records import Message, ProblemLog
from kl_core.sources.calls import Answer, CallError
from kl_core.sources.pool import PoolSettings

HERE = "http://127.0.0.1:1/v1"
QUICK = PoolSettings(4, max_retries=1, base_s=0.002, tick_s=0.02, grace_s=0.3)
FOLDERS = ("one", "two")


def model(name):
    return ModelConfig(name=name, base_url=HERE)


class Judge:
    """Prefers the longer continuation; `say` may answer otherwise."""

    def __init__(self, say=None):
        self.asked, self.say = [], say

    async def __call__(self, question):
        text = question.prompt[0].content
        self.asked.append(question.key)
        one, two = re.search(r"A:\n(.*)\n\nContinuation B:\n(.*)\n\nAnswer", text).groups()
        said = self.say(one, two) if self.say else None
        if isinstance(said, CallError):
            raise said
        best = "A" if len(one) > len(two) else "B"
        said = said or json.dumps({"verdict": best, "reason": f"{one}|{two}"})
        body = {"choices": [{"message": {"content": said}, "finish_reason": "stop"}]}
        return Answer(body=msgspec.json.encode(body), input_tokens=3)


@pytest.fixture
def made(tmp_path):
    """(configuration, run folder, files): 2 started answers, 3 samples; one pair is equal."""
    out, run_dir = tmp_path / "out", tmp_path / "run"
    run_dir.mkdir()
    judge = JudgeConfig(model=model("j"))
    models = tuple(model(name) for name in FOLDERS)
    config = SamplingConfig(output_dir=str(out), models=models, judge=judge, seed=3, samples=3)
    files = []
    for n in range(2):
        origin = Origin(source_file="a_kl.json", response_idx=n, token_position=4, token="x")
        prompt = (Message("user", f"q{n}"), Message("assistant", "It is"))
        files.append(file_name(prompt, origin))
        for folder in FOLDERS:
            texts = [f"{folder} {n} {k}" + "!" * (k if folder == "two" else 1) for k in range(3)]
            texts[2] = "the same" if n == 0 else texts[2]
            items = {k: {"text": text, "logprobs": None} for k, text in enumerate(texts)}
            sampling = sampling_of(config, model(folder))
            made = SampledFile(prompt, folder, sampling, items, origin)
            write_file(out / folder / files[-1], made)
    return config, run_dir, files


def judged(made, ask, tick=lambda stats: None):
    config, run_dir, files = made
    judging = Judging(run_dir, config, files, HERE, ProblemLog())
    return asyncio.run(judging.run(ask, QUICK, tick)), rows(made)


def rows(made):
    config, run_dir, _ = made
    record = json.loads((run_dir / JUDGEMENTS).read_text())
    assert record == json.loads((run_dir.parent / "out" / JUDGEMENTS).read_text())
    assert (record["models"], record["template"]) == (list(FOLDERS), config.judge.template)
    return record["judgements"]


def test_every_pair_is_judged_and_kept_with_who_was_shown_first(made):
    """The verdict is a model's folder whatever letter it had; equal texts cost no call."""
    judge = Judge()
    found, written = judged(made, judge)
    assert len(judge.asked) == 5
    assert (found.pairs, found.same, found.ties, found.unread, found.failed) == (6, 1, 1, 0, 0)
    # of each prompt: 0 → the longer is one's, 1 → equal length: the one shown as B, 2 → two's
    by_place = {(row["file"], row["sample"]): row for row in written}
    files = made[2]
    for file in files:
        assert by_place[file, 0]["verdict"] == "one"
        row = by_place[file, 1]
        assert row["verdict"] in FOLDERS
        assert row["verdict"] != row["shown_first"]
        assert row["reason"].startswith(f"{row['shown_first']} ")
        assert row["origin"]["token_position"] == 4
        assert json.loads(row["raw"])["reason"] == row["reason"]
    same, other = by_place[files[0], 2], by_place[files[1], 2]
    assert (same["verdict"], same["reason"], same["raw"]) == ("tie", SAME, None)
    assert other["verdict"] == "two"
    wins = [row["verdict"] for row in written if row["verdict"] != "tie"]
    assert found.wins == {name: wins.count(name) for name in FOLDERS}
    shown = sum(row["verdict"] == row["shown_first"] for row in written)
    assert found.first_won == shown


def test_what_was_judged_is_not_asked_again(made):
    """A second start of the run makes no call and writes the same."""
    first, before = judged(made, Judge())
    again = Judge()
    second, after = judged(made, again)
    assert again.asked == []
    assert (second, after) == (first, before)


def test_a_run_cut_off_goes_on_where_it_was(made):
    """What was answered is on disk and written; the rest is asked by the next start."""
    cut = Judge(lambda one, two: CallError("401", "no key", "denied") if "1 2" in one else None)
    with pytest.raises(RunError, match="no key"):
        judged(made, cut)
    missing = [row for row in rows(made) if row["verdict"] is None]
    assert missing
    assert all(row["error"] for row in missing)
    rest = Judge()
    found, _ = judged(made, rest)
    assert 1 <= len(rest.asked) <= len(missing)
    assert found.failed == 0


def test_an_answer_without_a_verdict_is_kept_as_it_is(made):
    """Null, with the text; counted apart from pairs that got no answer."""
    refused = CallError("blocked", "blocked for good", "refused")

    def say(one, two):
        return refused if " 1 " in one else "Both are nice."

    found, written = judged(made, Judge(say))
    assert (found.unread, found.failed, found.wins) == (2, 3, {"one": 0, "two": 0})
    unread = [row for row in written if row["error"] == UNREAD]
    assert {row["raw"] for row in unread} == {"Both are nice."}
    failed = [row for row in written if row["error"] not in (UNREAD, None)]
    assert {(row["verdict"], row["raw"]) for row in failed} == {(None, None)}
    assert all("blocked for good" in row["error"] for row in failed)


def test_the_plan_knows_what_will_be_asked(made):
    """One question a pair, the equal one left out."""
    config, run_dir, files = made
    judging = Judging(run_dir, config, files, HERE, ProblemLog())
    asked = list(judging.questions())
    assert len({question.key for question in asked}) == len(asked) == 5
    assert not (run_dir / JOURNAL).exists()


def test_another_judge_or_template_is_asked_anew(made):
    """The keys hold all that decides a verdict."""
    config, run_dir, files = made
    keys = set()
    for change in ({}, {"template": "{prompt}{prefix}{a}{b}"}, {"max_tokens": 9},
                   {"model": model("k")}):  # fmt: skip
        judge = msgspec.structs.replace(config.judge, **change)
        other = msgspec.structs.replace(config, judge=judge)
        judging = Judging(run_dir, other, files, HERE, ProblemLog())
        keys |= {question.key for question in judging.questions()}
    assert len(keys) == 20


def test_without_a_judge_or_a_second_model_there_is_nothing_to_do(made):
    """One sentence."""
    config, run_dir, files = made
    for change in ({"judge": None}, {"models": config.models[:1]}):
        with pytest.raises(InputError, match="a judge and two models"):
            Judging(run_dir, msgspec.structs.replace(config, **change), files, HERE, ProblemLog())


def test_only_what_this_run_sampled_is_judged(made):
    """Samples beyond its own, and files with other settings, stay as they are."""
    config, run_dir, files = made
    fewer = msgspec.structs.replace(config, samples=1)
    judging = Judging(run_dir, fewer, files, HERE, ProblemLog())
    assert [pair.number for pair in judging.pairs] == [0, 0]
    log = ProblemLog()
    warmer = msgspec.structs.replace(config, temperature=0.5)
    assert Judging(run_dir, warmer, files, HERE, log).pairs == []
    assert all("temperature 1.0, now 0.5" in row.reason for row in log.rows)
    own = msgspec.structs.replace(model("two"), samples=2)
    two = msgspec.structs.replace(config, models=(model("one"), own))
    assert {pair.number for pair in Judging(run_dir, two, files, HERE, ProblemLog()).pairs} == {
        0,
        1,
    }


def test_the_plan_counts_one_call_for_pairs_that_look_the_same(made):
    """The same two texts after the same words are one question, and one call."""
    config, run_dir, files = made
    path = run_dir.parent / "out"
    for folder in FOLDERS:
        kept = existing(path / folder / files[0])
        items = {n: {"text": folder} for n in range(3)}
        write_file(path / folder / files[0], replace(kept, responses=items))
    judging = Judging(run_dir, config, files, HERE, ProblemLog())
    planned = len(list(judging.questions()))
    judge = Judge()
    found = asyncio.run(judging.run(judge, QUICK, lambda stats: None))
    assert len(judge.asked) == planned < found.pairs == 6
