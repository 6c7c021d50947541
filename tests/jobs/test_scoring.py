"""What score and compare share: groups of prompts, result names, resume."""

import json
from types import SimpleNamespace

import pytest

from kl_core.errors import InputError
from kl_core.formats.reader import read_entries
from kl_core.jobs import reading, scoring, worker
from kl_core.jobs.import_run import raw_entry
from kl_core.records import ProblemLog, ScoredEntry
from kl_core.store import parts, runs
from kl_core.store.summary import run_summary
from tests import writing


class EchoSource:
    """A source that scores nothing and remembers what it was asked."""

    def __init__(self):
        self.identity = {"model2": "echo"}
        self.asked = []

    def score(self, entries):
        self.asked += [entry.file for entry in entries]
        return [ScoredEntry(e, e.model, "echo", raw_entry(e).responses) for e in entries]

    def problems(self):
        return []


def run(tmp_path, folder, source, output=None, max_prompts=None):
    run_dir = runs.find_unfinished(tmp_path / "runs", "score", {}) or runs.create_run(
        tmp_path / "runs", "score", {"request": {}}
    )
    given = reading.open_input(folder, None)
    options = scoring.ScoringOptions(folder, output, max_prompts=max_prompts)
    worker.carry_out(run_dir, lambda w: scoring.score_all(given, w, lambda: source, options))
    return run_dir


def test_every_prompt_is_scored_once_and_written_once(tmp_path):
    """One result file a prompt, folders kept, readable again."""
    folder = writing.folder(tmp_path / "in", 5)
    writing.openai_file(folder / "deep" / "x.json", "deep", 4)
    source = EchoSource()
    run(tmp_path, folder, source, tmp_path / "out")
    assert len(source.asked) == len(set(source.asked)) == 6
    written = sorted(
        p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.json")
    )
    assert written == ["deep/x_kl.json", *(f"p{n:04}_kl.json" for n in range(5))]
    log = ProblemLog()
    assert len(list(read_entries(tmp_path / "out", None, log))) == 6
    assert log.rows == []


def test_two_inputs_for_one_result_name_are_refused_before_any_work(tmp_path):
    """a.json and a.jsonl would both become a_kl.json: said with both names, nothing computed."""
    folder = writing.folder(tmp_path / "in", 1)
    (folder / "p0000.jsonl").write_text((folder / "p0000.json").read_text())
    source = EchoSource()
    with pytest.raises(InputError, match=r"p0000.json .*p0000.jsonl .*rename"):
        run(tmp_path, folder, source, tmp_path / "out")
    assert source.asked == []


def test_a_collision_between_a_list_and_a_numbered_file_is_refused_every_time(tmp_path):
    """a.json with two prompts and a_0.json: refused at once, and again on the next try."""
    folder = tmp_path / "in"
    writing.openai_file(folder / "one.json", "one", 3)
    one = json.loads((folder / "one.json").read_text())
    (folder / "one.json").unlink()
    (folder / "a.json").write_text(json.dumps([one, one]))
    (folder / "a_0.json").write_text(json.dumps(one))
    source = EchoSource()
    for _ in range(2):
        with pytest.raises(InputError, match="a_0_kl.json"):
            run(tmp_path, folder, source, tmp_path / "out")
    assert source.asked == []
    assert not (tmp_path / "out").exists()


def test_a_numbered_file_beside_a_single_prompt_is_no_collision(tmp_path):
    """a.json with one prompt gives a_kl.json, a_0.json gives a_0_kl.json."""
    for name in ("a", "a_0"):
        writing.openai_file(tmp_path / "in" / f"{name}.json", name, 3)
    run(tmp_path, tmp_path / "in", EchoSource(), tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a_0_kl.json", "a_kl.json"]


def test_stopping_early_keeps_the_problems_of_the_file_it_stopped_in(tmp_path):
    """--max-prompts cuts the work, not the list of problems."""
    folder = tmp_path / "in"
    writing.openai_file(folder / "a.json", "a", 3)
    good = json.loads((folder / "a.json").read_text())
    silent = {**good, "responses": [{"provider": "Q", "choices": [{"message": {"content": "x"}}]}]}
    (folder / "a.json").write_text(json.dumps([silent, good, good]))
    run_dir = run(tmp_path, folder, EchoSource(), max_prompts=2)
    reasons = [row["reason"] for row in run_summary(run_dir)["problems"]]
    assert any("without log-probabilities" in reason for reason in reasons)


def test_a_resumed_run_asks_only_for_what_is_missing(tmp_path):
    """Finished prompts are not scored again, whatever group they were in."""
    folder = writing.folder(tmp_path / "in", 5)
    first = EchoSource()
    run_dir = run(tmp_path, folder, first, max_prompts=3)
    assert parts.finished_prompts(run_dir) == {0, 1, 2}
    runs.write_status(run_dir, runs.Status(state="cancelled"))
    second = EchoSource()
    run(tmp_path, folder, second)
    assert second.asked == ["p0003.json", "p0004.json"]


def test_results_inside_the_input_folder_are_not_scored_again(tmp_path):
    """An output folder inside the input folder changes neither the work nor the request."""
    folder = writing.folder(tmp_path / "in", 2)
    before = reading.open_input(folder, None, to_score=True)
    run(tmp_path, folder, EchoSource(), folder / "results")
    after = reading.open_input(folder, None, to_score=True)
    assert [file.name for file in after.files] == ["p0000.json", "p0001.json"]
    assert after.fingerprint == before.fingerprint
    assert "2 result files" in after.log.rows[0].reason


def test_groups_end_when_they_hold_enough_tokens(tmp_path):
    """Cancelling and saving happen between groups, so a group must not grow without bound."""
    size = scoring.GroupSize()
    size.tokens = 50
    given = reading.open_input(writing.folder(tmp_path / "in", 7, tokens=20), None)
    fake = SimpleNamespace(parts=SimpleNamespace(add_problems=lambda rows: None))
    assert [len(group) for group in scoring.groups(given, fake, None, size)] == [3, 3, 1]


def test_a_slow_model_gets_small_groups_and_a_fast_one_large_ones():
    """About the same seconds between two saves, whatever the model; growth is gradual."""
    slow, fast = scoring.GroupSize(), scoring.GroupSize()
    for _ in range(10):
        slow.learn(slow.tokens, slow.tokens / 40)  # 40 tokens a second
        fast.learn(fast.tokens, fast.tokens / 5_000)
    assert slow.tokens == pytest.approx(40 * scoring.GROUP_SECONDS, rel=0.1)
    assert fast.tokens == pytest.approx(5_000 * scoring.GROUP_SECONDS, rel=0.1)


def test_options_survive_being_frozen_and_thawed(tmp_path):
    """What a resumed run does is what was asked."""
    folder = writing.folder(tmp_path / "in", 1)
    options = scoring.ScoringOptions(folder, tmp_path / "out", 7, 3, "*.json", 512, True)
    frozen = json.loads(json.dumps(options.frozen(reading.open_input(folder, None))))
    assert scoring.ScoringOptions.thawed(frozen) == options
