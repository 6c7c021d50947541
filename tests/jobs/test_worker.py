"""Runs end well, badly, by cancel and by kill −9, and lose nothing that was finished."""

import json
import os
import signal
import subprocess
import time

import pytest

from kl_core.errors import InputError, RunCancelled, RunError
from kl_core.jobs import import_run, worker
from kl_core.store import parts, process, queries, runs
from kl_core.store.build import newest_database
from kl_core.store.summary import run_summary
from tests import writing


def prepared(folder):
    return import_run.prepare(import_run.ImportRequest(folder))


def start(root, folder):
    frozen, title, work = prepared(folder)
    return worker.folder_for("import", frozen, root, title), work


def test_an_import_counts_everything_and_ends_done(tmp_path):
    """Prompts, responses and tokens as written; state done; a database is there."""
    run_dir, work = start(tmp_path / "runs", writing.folder(tmp_path / "in", 7, 10, 2))
    worker.carry_out(run_dir, work)
    summary = run_summary(run_dir)
    counts = [summary[name] for name in ("state", "prompts", "responses", "tokens", "problems")]
    assert counts == ["done", 7, 14, 140, []]
    assert newest_database(run_dir) is not None


def test_a_cancel_keeps_what_was_finished_and_the_same_request_goes_on(tmp_path, monkeypatch):
    """Cancelled between prompts; the second start does only the rest."""
    monkeypatch.setattr(parts, "TOKENS_A_PART", 20)
    folder = writing.folder(tmp_path / "in", 10, 10)
    run_dir, work = start(tmp_path / "runs", folder)

    def cancel_soon(status):
        if status.done and "4 prompts" in status.message:
            runs.request_cancel(run_dir)

    monkeypatch.setattr(worker, "STATUS_EVERY_S", 0.0)
    with pytest.raises(RunCancelled, match="what was finished is kept"):
        worker.carry_out(run_dir, work, cancel_soon)
    assert runs.read_status(run_dir).state == "cancelled"
    finished = parts.finished_prompts(run_dir)
    assert 4 <= len(finished) < 10
    heads = {path.name: path.read_bytes() for path in parts.committed(run_dir, "responses")}

    again, work = start(tmp_path / "runs", folder)
    assert again == run_dir
    worker.carry_out(again, work)
    assert run_summary(run_dir)["prompts"] == 10
    for name, content in heads.items():
        assert (run_dir / "parts" / name).read_bytes() == content


def test_a_changed_input_is_another_run(tmp_path):
    """The fingerprint of the files is part of the request."""
    folder = writing.folder(tmp_path / "in", 2)
    first, _ = start(tmp_path / "runs", folder)
    writing.openai_file(folder / "more.json", "new", 5)
    second, _ = start(tmp_path / "runs", folder)
    assert first != second


def test_an_error_becomes_one_sentence_and_the_traceback_a_log(tmp_path):
    """State failed, the sentence in the status, the details in log.txt."""
    run_dir, _ = start(tmp_path / "runs", writing.folder(tmp_path / "in", 1))

    def work(_):
        raise ZeroDivisionError("boom")

    with pytest.raises(RunError, match="unexpected ZeroDivisionError: boom"):
        worker.carry_out(run_dir, work)
    assert runs.read_status(run_dir).state == "failed"
    assert "Traceback" in (run_dir / "log.txt").read_text()


def test_an_empty_folder_is_refused_before_a_run_is_made(tmp_path):
    """One sentence, and no empty run in the list."""
    (tmp_path / "in").mkdir()
    with pytest.raises(InputError, match="no file in .* check the folder"):
        prepared(tmp_path / "in")


def test_progress_has_a_rate_and_a_time_left_that_count_only_new_work(tmp_path):
    """What a resume skips costs nothing and does not make the estimate rosy."""
    run_dir, _ = start(tmp_path / "runs", writing.folder(tmp_path / "in", 1))
    seen = []
    at_work = worker.Worker(run_dir, seen.append)
    at_work.stage("scoring", 100, "prompts")
    time.sleep(0.05)
    at_work.progress(60, skipped=50)
    at_work._write(force=True)
    status = seen[-1]
    assert status.rate == pytest.approx(10 / 0.05, rel=0.5)
    assert status.eta_s == pytest.approx(40 / status.rate)


def test_kill_nine_loses_nothing_and_the_same_command_finishes(tmp_path):
    """The parts on disk survive, the state says died, and the resumed run is whole."""
    folder = writing.folder(tmp_path / "in", 600, 100)
    root = tmp_path / "runs"
    child = subprocess.Popen(
        writing.command("import", folder),
        env=writing.environment(root),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=writing.REPOSITORY,
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = runs.run_folders(root)
        if found and parts.committed(found[0], "responses"):
            break
        time.sleep(0.005)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    run_dir = runs.run_folders(root)[0]
    kept = parts.finished_prompts(run_dir)
    assert 0 < len(kept) < 600
    assert runs.read_status(run_dir).state == "died"
    live = queries.open_run(run_dir)
    assert queries.summary(live.cursor())["prompts"] == len(kept)

    done = writing.call(root, "import", folder, "--json")
    summary = json.loads(done.stdout)
    assert summary["run_id"] == run_dir.name
    assert (summary["state"], summary["prompts"], summary["tokens"]) == ("done", 600, 60_000)


def test_a_second_command_attaches_to_the_live_run(tmp_path, monkeypatch):
    """While one process works, the same request waits for it instead of working twice."""
    run_dir, _ = start(tmp_path / "runs", writing.folder(tmp_path / "in", 1))
    claim = process.claim(run_dir)
    runs.write_status(run_dir, runs.Status(state="running", stage="scoring", updated=time.time()))

    def finish_meanwhile(_):
        runs.write_status(run_dir, runs.Status(state="done", updated=time.time()))

    def work(_):
        raise AssertionError("the work was done twice")

    worker.carry_out(run_dir, work, finish_meanwhile)
    process.release(claim)


def test_a_cancel_before_the_worker_began_is_not_lost(tmp_path):
    """Asked while starting: nothing is done. Left over from an earlier end: it does not count."""
    run_dir, work = start(tmp_path / "runs", writing.folder(tmp_path / "in", 2))
    runs.request_cancel(run_dir)
    with pytest.raises(RunCancelled):
        worker.carry_out(run_dir, work)
    assert run_summary(run_dir)["prompts"] == 0
    worker.carry_out(run_dir, work)
    assert run_summary(run_dir)["state"] == "done"


def test_who_waits_for_a_worker_that_dies_takes_over(tmp_path):
    """The second of two equal commands finishes what the first left."""
    run_dir, work = start(tmp_path / "runs", writing.folder(tmp_path / "in", 2))
    claim = process.claim(run_dir)
    runs.write_status(run_dir, runs.Status(state="running", updated=time.time()))

    def die_meanwhile(status):
        if status.state == "running" and not claim.closed:
            process.release(claim)
            (run_dir / "pid").write_text("{}")

    worker.carry_out(run_dir, work, die_meanwhile)
    assert run_summary(run_dir)["prompts"] == 2


def test_a_lock_held_by_nobody_one_can_see_is_said_not_waited_for(tmp_path, monkeypatch):
    """The lock is taken and its process unknown: one sentence after some tries."""
    run_dir, work = start(tmp_path / "runs", writing.folder(tmp_path / "in", 1))
    claim = process.claim(run_dir)
    (run_dir / "pid").write_text("{}")
    runs.write_status(run_dir, runs.Status(state="running", updated=time.time()))
    monkeypatch.setattr(worker, "STATUS_EVERY_S", 0.001)
    with pytest.raises(RunError, match="cannot be seen from here"):
        worker.carry_out(run_dir, work)
    process.release(claim)


def test_a_cancel_left_over_from_a_start_that_never_came_does_not_count(tmp_path):
    """The worker of that start is long dead: the next one goes on."""
    run_dir, work = start(tmp_path / "runs", writing.folder(tmp_path / "in", 1))
    runs.write_status(run_dir, runs.Status(state="starting", updated=time.time() - 3600))
    runs.request_cancel(run_dir)
    worker.carry_out(run_dir, work)
    assert run_summary(run_dir)["state"] == "done"


def test_control_c_is_a_cancel(tmp_path):
    """SIGINT ends the command with code 1, the run cancelled, its parts readable."""
    folder = writing.folder(tmp_path / "in", 600, 100)
    root = tmp_path / "runs"
    child = subprocess.Popen(
        writing.command("import", folder, "--json"),
        env=writing.environment(root),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=writing.REPOSITORY,
    )
    while not runs.run_folders(root) or runs.read_status(runs.run_folders(root)[0]).done == 0:
        assert child.poll() is None, child.communicate()
        time.sleep(0.005)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 1, err
    assert json.loads(out)["state"] == "cancelled"
    assert "Traceback" not in err
