"""Run folders: states, names, deleting."""

import json
import os
import shutil
import time
from dataclasses import replace

import psutil
import pytest

from kl_core.errors import InputError, RunError
from kl_core.store import process, runs
from kl_core.store.runs import Status


@pytest.fixture
def run_dir(tmp_path):
    return runs.create_run(tmp_path, "score", {"request": {"a": 1}, "title": "a score"})


def test_a_run_whose_process_is_gone_shows_as_died(run_dir):
    """Running, and no such process: died, with what to do."""
    runs.write_status(run_dir, Status(state="running", updated=time.time()))
    (run_dir / "pid").write_text(json.dumps({"pid": 2**22 + 1, "started": 1.0}))
    status = runs.read_status(run_dir)
    assert status.state == "died"
    assert "resume" in status.message


def test_a_status_that_is_no_status_does_not_hide_the_list(run_dir):
    """A broken status.json reads as a run that never began."""
    (run_dir / "status.json").write_text("[1, 2]")
    assert [info.path for info in runs.list_runs(run_dir.parent)] == [run_dir]


def test_a_recycled_process_number_is_not_the_worker(run_dir):
    """The same number with another start time is another process."""
    runs.write_status(run_dir, Status(state="running", updated=time.time()))
    started = psutil.Process().create_time()
    (run_dir / "pid").write_text(json.dumps({"pid": os.getpid(), "started": started - 1000}))
    assert runs.read_status(run_dir).state == "died"
    (run_dir / "pid").write_text(json.dumps({"pid": os.getpid(), "started": started}))
    assert runs.read_status(run_dir).state == "running"


def test_two_workers_cannot_have_one_run(run_dir):
    """The second claim is refused, and works once the first is released."""
    first = process.claim(run_dir)
    with pytest.raises(RunError, match="already being worked on"):
        process.claim(run_dir)
    process.release(first)
    process.release(process.claim(run_dir))


def test_a_start_with_the_same_short_id_is_refused(tmp_path):
    """What makes a double click one run."""
    runs.create_run(tmp_path, "score", {"request": {}}, "abc123")
    with pytest.raises(RunError, match="already started"):
        runs.create_run(tmp_path, "score", {"request": {}}, "abc123")


def test_the_newest_unfinished_equal_request_is_found(tmp_path, run_dir):
    """Equal parameters and not done: that run goes on; a done one does not."""
    assert runs.find_unfinished(tmp_path, "score", {"a": 1}) == run_dir
    assert runs.find_unfinished(tmp_path, "score", {"a": 2}) is None
    runs.write_status(run_dir, Status(state="done"))
    assert runs.find_unfinished(tmp_path, "score", {"a": 1}) is None


def test_a_part_of_an_id_is_enough_when_only_one_run_has_it(tmp_path, run_dir):
    """An unknown or ambiguous id is one sentence."""
    assert runs.find_run(tmp_path, run_dir.name[-6:]) == run_dir
    runs.create_run(tmp_path, "score", {"request": {}})
    with pytest.raises(InputError, match="fits 2 runs"):
        runs.find_run(tmp_path, "-score-")
    with pytest.raises(InputError, match="no run 'nothing'"):
        runs.find_run(tmp_path, "nothing")


@pytest.mark.parametrize("hostile", ["../..", "/etc", "..", ".", "", "%2e%2e"])
def test_an_id_never_leads_out_of_the_runs_folder(tmp_path, hostile):
    """Ids come from URLs: only folders of runs are ever opened, whatever lies elsewhere."""
    root = tmp_path / "a" / "runs"
    runs.create_run(root, "score", {"request": {}})
    for folder in (tmp_path, tmp_path / "a", root):
        (folder / "params.json").write_text('{"kind": "score"}')
    with pytest.raises(InputError):
        runs.find_run(root, hostile)


def test_a_working_run_cannot_be_deleted(run_dir):
    """Cancel first; then the folder goes for good."""
    claim = process.claim(run_dir)
    runs.write_status(run_dir, Status(state="running", updated=time.time()))
    with pytest.raises(RunError, match="cancel it first"):
        runs.delete_run(run_dir)
    process.release(claim)
    runs.write_status(run_dir, replace(runs.read_status(run_dir), state="cancelled"))
    runs.delete_run(run_dir)
    assert not run_dir.exists()


def test_a_broken_folder_does_not_hide_the_others(tmp_path, run_dir):
    """A list shows what can be read."""
    broken = tmp_path / "20250101-000000-score-dead00"
    broken.mkdir()
    (broken / "params.json").write_text("{")
    assert [info.path for info in runs.list_runs(tmp_path)] == [run_dir]


def test_a_name_is_kept_beside_the_run_and_becomes_its_title(run_dir):
    """The id and the parameters stay; an empty name gives the own title back."""
    before = (run_dir / "params.json").read_text()
    assert (runs.run_info(run_dir).name, runs.run_info(run_dir).title) == (None, "a score")
    runs.rename_run(run_dir, "  base\nagainst   tuned 👍🏽 ")
    info = runs.run_info(run_dir)
    assert info.name == info.title == "base against tuned 👍🏽"
    assert (run_dir / "params.json").read_text() == before
    assert runs.find_run(run_dir.parent, run_dir.name) == run_dir
    runs.rename_run(run_dir, " ")
    assert (runs.run_info(run_dir).name, runs.run_info(run_dir).title) == (None, "a score")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("x" * 121, "120 characters and this one has 121"),
        ("a\x1b[2Jb", r"U\+001B"),
        ("abc\u202edef", r"U\+202E"),
        ("half \ud83d", r"U\+D83D"),
    ],
)
def test_a_name_that_would_not_fit_or_could_deceive_is_refused(run_dir, name, sentence):
    """The sentence says what to change, and the old name stays."""
    runs.rename_run(run_dir, "kept")
    with pytest.raises(InputError, match=sentence):
        runs.rename_run(run_dir, name)
    assert runs.run_info(run_dir).name == "kept"


@pytest.mark.parametrize("text", ["{", "[]", '{"name": 3}', '{"name": "\\u0007 \\u202e"}'])
def test_a_name_file_that_is_none_does_not_hide_the_run(run_dir, text):
    """Whatever stands in it, the run is listed by its own title."""
    (run_dir / "name.json").write_text(text)
    assert [info.title for info in runs.list_runs(run_dir.parent)] == ["a score"]


def test_a_name_written_by_hand_is_cut_to_one_clean_line(run_dir):
    """Read like any text from outside."""
    (run_dir / "name.json").write_text(json.dumps({"name": "a\n\x1b[31mb" + "c" * 200}))
    assert runs.read_name(run_dir) == ("a [31mb" + "c" * 200)[:120]


def test_a_run_that_was_deleted_elsewhere_cannot_be_named(run_dir):
    """No folder comes back to life by a name."""
    shutil.rmtree(run_dir)
    with pytest.raises(InputError, match="not here any more"):
        runs.rename_run(run_dir, "x")
    assert not run_dir.exists()
