"""Batch runs whose jobs end in other ways than well, against the local servers."""

from __future__ import annotations

import threading
import time
from contextlib import closing, contextmanager

import pytest

from kl_core.emulator.cloud import cloud_of
from kl_core.emulator.server import running
from kl_core.emulator.settings import Settings
from kl_core.errors import InputError, KLExplorerError, RunCancelled, RunError, RunWaiting
from kl_core.jobs import batch, worker
from kl_core.jobs.batch_cancel import cancel_jobs
from kl_core.jobs.gemini_calls import open_journal
from kl_core.jobs.gemini_job import GeminiRequest
from kl_core.jobs.gemini_options import AskOptions, BatchOptions, PoolOptions, SpendOptions
from kl_core.sources import vertex_batch
from kl_core.sources.batch_pace import Pace
from kl_core.sources.batch_shards import Limits
from kl_core.store import parts, queries, runs, spending
from tests import writing
from tests.jobs.gemini import MODEL, newest, submit, texts

FIRST = 173  # contexts of the first file: a job of so many answers it
PACE = Pace(0.02, 0.05, 0.1, 10.0, 5.0, 0.02, 0.01)


@pytest.fixture
def server():
    with running(Settings(batch_s=0.05, answers="hash")) as started:
        yield started


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(vertex_batch, "LOCAL", PACE)


@pytest.fixture
def held(server, monkeypatch):
    """Jobs run and answer nothing until this is set, or they are cancelled."""
    let_go, real = threading.Event(), type(jobs_of(server))._answer_all

    def answer(self, job, spool):
        while not let_go.wait(0.01) and not job.stop.is_set():
            pass
        real(self, job, spool)

    monkeypatch.setattr(type(jobs_of(server)), "_answer_all", answer)
    yield let_go
    let_go.set()


def jobs_of(server):
    return cloud_of(server.state).jobs


def small_jobs(monkeypatch, requests):
    monkeypatch.setattr(vertex_batch, "Limits", lambda: Limits(requests, 10**9))


def submit_unasked(root, server, few, reuse=False, yes=False):
    """Nobody says yes in this start, where not told otherwise."""
    options = AskOptions(few, MODEL, project_id="demo", base_url=server.base_url)
    places = BatchOptions(storage_url=server.base_url)
    request = GeminiRequest(options, PoolOptions(reuse=reuse), SpendOptions(yes=yes))
    frozen, title, work = batch.prepare(request, places)
    run_dir = worker.folder_for("batch", frozen, root, title)
    worker.carry_out(run_dir, work)
    return run_dir


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED"])
def test_a_job_that_ends_badly_fails_the_run_and_resuming_submits_what_is_missing(
    tmp_path, server, few, state
):
    """Never `done` with rows missing; what a resume ends with is what a calm run would."""
    submit(tmp_path / "calm", server.base_url, input_dir=few, output_dir=tmp_path / "a")
    [calm] = jobs_of(server).log()
    jobs_of(server).sent.clear()
    server.settings = Settings(batch_s=0.05, answers="hash", batch_state=f"JOB_STATE_{state}")
    place = {"input_dir": few, "output_dir": tmp_path / "b"}
    with pytest.raises(RunError, match="got no answer.*resuming the run submits") as caught:
        submit(tmp_path / "runs", server.base_url, **place)
    assert "\n" not in str(caught.value) and f"the job ended as {state}" in str(caught.value)
    run_dir = newest(tmp_path / "runs")
    assert runs.read_status(run_dir).state == "failed"
    assert texts(tmp_path / "b") == {}
    stats = spending.read_stats(run_dir)
    assert stats.failed == 0  # nothing is given up
    missing = calm["rows"] - jobs_of(server).log()[-1]["succeeded"]
    server.settings = Settings(batch_s=0.05, answers="hash")
    assert submit(tmp_path / "runs", server.base_url, **place) == run_dir
    assert runs.read_status(run_dir).state == "done"
    assert jobs_of(server).log()[-1]["rows"] == missing
    assert texts(tmp_path / "a") == texts(tmp_path / "b")
    stats = spending.read_stats(run_dir)
    assert (stats.made, stats.failed, stats.retried) == (calm["rows"] + 2, 0, 0)


def break_all_but_the_first(monkeypatch, server):
    """Jobs of later input files fail as a whole."""
    real = type(jobs_of(server))._answer_all

    def answer(self, job, spool):
        if "-0000-" not in job.body["displayName"]:
            raise RuntimeError("this job breaks")
        real(self, job, spool)

    monkeypatch.setattr(type(jobs_of(server)), "_answer_all", answer)


def test_what_good_jobs_brought_is_scored_when_another_is_lost(tmp_path, server, few, monkeypatch):
    """The prompt whose rows are all there stands in Explore and in the output folder."""
    small_jobs(monkeypatch, FIRST)
    break_all_but_the_first(monkeypatch, server)
    with pytest.raises(RunError, match="rows of 1 prompt got no answer"):
        submit(tmp_path / "runs", server.base_url, input_dir=few, output_dir=tmp_path / "out")
    assert list(texts(tmp_path / "out")) == ["what-is-a-haiku_kl.json"]
    assert prompts_shown(newest(tmp_path / "runs")) == 1


def test_the_first_job_s_prompts_are_shown_while_the_others_run(tmp_path, server, few, monkeypatch):
    """And no prompt is written twice: what is there after the end is each of them once."""
    small_jobs(monkeypatch, FIRST)
    real, shown = type(jobs_of(server))._answer_all, []

    def hold(self, job, spool):
        limit = time.monotonic() + 20
        while "-0000-" not in job.body["displayName"] and not shown:
            if time.monotonic() > limit:
                raise RuntimeError("the first job's results were not shown")
            if list((tmp_path / "runs").glob("*/parts/*.responses.parquet")):
                shown.append(prompts_shown(newest(tmp_path / "runs")))
            time.sleep(0.01)
        real(self, job, spool)

    monkeypatch.setattr(type(jobs_of(server)), "_answer_all", hold)
    written = counting_writes(monkeypatch)
    run_dir = submit(tmp_path / "runs", server.base_url, input_dir=few, output_dir=tmp_path / "out")
    assert set(shown) == {1}
    assert sorted(written) == [0, 1]
    assert prompts_shown(run_dir) == 2
    status = runs.read_status(run_dir)
    assert (status.done, status.total) == (2, 2)


def counting_writes(monkeypatch, also=lambda: None):
    """Prompt ids in the order in which they are written."""
    real, written = parts.PartWriter.add, []

    def add(self, prompt_id, *more):
        written.append(prompt_id)
        real(self, prompt_id, *more)
        also()

    monkeypatch.setattr(parts.PartWriter, "add", add)
    return written


def test_a_run_cancelled_while_it_scores_shows_all_that_is_known(
    tmp_path, server, few, monkeypatch
):
    """Every row is here: the cancel comes after the first prompt, the second is not held back."""
    written = counting_writes(monkeypatch, lambda: runs.request_cancel(newest(tmp_path)))
    with pytest.raises(RunCancelled):
        submit(tmp_path, server.base_url, input_dir=few)
    assert sorted(written) == [0, 1]
    assert prompts_shown(newest(tmp_path)) == 2


def test_resuming_a_batch_needs_no_new_yes_for_rows_under_way(tmp_path, server, few, held):
    """They are paid for: the plan counts them as kept, and nobody is asked again."""
    with pytest.raises(RunWaiting):
        submit_unasked(tmp_path, server, few)
    wanted = spending.read_plan(newest(tmp_path)).calls
    with cancelling(lambda run_dir: states(run_dir) == {"RUNNING"}), pytest.raises(RunCancelled):
        submit(tmp_path, server.base_url, input_dir=few)
    run_dir = newest(tmp_path)
    held.set()
    assert submit_unasked(tmp_path, server, few) == run_dir
    assert runs.read_status(run_dir).state == "done"
    plan = spending.read_plan(run_dir)
    assert (plan.calls, plan.kept) == (0, wanted + 2)
    assert server.stats()["contexts_repeated"] == 0


def test_the_jobs_of_a_run_can_be_cancelled_at_google(tmp_path, server, few, held):
    """From the command line; what was answered is collected, the rest only after a new yes."""
    with cancelling(lambda run_dir: states(run_dir) == {"RUNNING"}), pytest.raises(RunCancelled):
        submit(tmp_path, server.base_url, input_dir=few)
    run_dir = newest(tmp_path)
    done = writing.call(tmp_path, "runs", "cancel", run_dir.name, "--jobs")
    assert "asked to cancel 1 batch job" in done.stdout and "paid for" in done.stdout
    held.set()
    with pytest.raises(RunError, match="ended as cancelled without an answer"):
        submit_unasked(tmp_path, server, few)
    with pytest.raises(RunWaiting):
        submit_unasked(tmp_path, server, few)
    assert [job["state"] for job in jobs_of(server).log()] == ["JOB_STATE_CANCELLED"]
    assert (
        "no batch job under way"
        in writing.call(tmp_path, "runs", "cancel", run_dir.name, "--jobs").stdout
    )


def test_a_live_run_is_stopped_before_its_jobs_are_cancelled(tmp_path, server, few, held):
    """It would go on submitting otherwise."""
    ends = []

    def work():
        try:
            submit(tmp_path, server.base_url, input_dir=few)
        except KLExplorerError as error:
            ends.append(type(error))

    thread = threading.Thread(target=work)
    thread.start()
    limit = time.monotonic() + 20
    while not (runs.run_folders(tmp_path) and states(newest(tmp_path)) == {"RUNNING"}):
        assert time.monotonic() < limit
        time.sleep(0.02)
    assert cancel_jobs(newest(tmp_path)) == 1
    thread.join(20)
    held.set()
    assert ends == [RunCancelled]


def test_only_batch_runs_have_jobs_to_cancel(tmp_path):
    """One sentence that names the kind; no call is made."""
    run_dir = runs.create_run(tmp_path, "prefill", {"request": {}})
    with pytest.raises(InputError, match="is of kind prefill"):
        cancel_jobs(run_dir)


def test_counts_tell_answers_rows_given_up_and_rows_sent_twice_apart(tmp_path, server, few):
    """Answered plus given up are all rows; a second attempt counts once for each row."""
    twice = set()

    def refuses(row):
        mark = row["custom_id"]
        return hash_of(mark) % 20 == 0 or (hash_of(mark) % 20 == 1 and first_time(mark))

    def first_time(mark):
        new = mark not in twice
        twice.add(mark)
        return new

    jobs_of(server).refuses = refuses
    run_dir = submit(tmp_path, server.base_url, input_dir=few)
    first, second = jobs_of(server).log()
    stats = spending.read_stats(run_dir)
    assert stats.failed == second["failed"] > 5
    assert stats.retried == second["rows"] == first["failed"] > stats.failed
    assert stats.made == first["succeeded"] + second["succeeded"] + 2
    assert stats.made + stats.failed == first["rows"] + 2


def test_answers_of_a_finished_run_count_as_reused_and_not_as_made(tmp_path, server, few):
    """Also after a restart, which takes its counts from the journal."""
    submit(tmp_path, server.base_url, input_dir=few)
    [job] = jobs_of(server).log()
    run_dir = submit_unasked(tmp_path, server, few, reuse=True, yes=True)
    assert len(jobs_of(server).log()) == 1
    stats = spending.read_stats(run_dir)
    assert (stats.made, stats.reused) == (2, job["rows"])
    with closing(open_journal(run_dir)) as journal:
        assert journal.totals().reused == job["rows"]


def hash_of(mark):
    return int(mark[-6:], 16)


def states(run_dir):
    return {job["state"] for job in spending.read_stats(run_dir).jobs}


@contextmanager
def cancelling(reached):
    """A cancel as soon as `reached` holds for the run's folder."""
    real = worker.Worker.progress

    def progress(self, *values, **more):
        if reached(self.run_dir):
            runs.request_cancel(self.run_dir)
        real(self, *values, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker.Worker, "progress", progress)
        yield


def prompts_shown(run_dir):
    opened = queries.open_run(run_dir)
    """How many prompts with values Explore finds."""
    try:
        rows = queries.prompts(opened.cursor(), "mean_kl", limit=20).to_pylist()
        return sum(row["mean_kl"] is not None for row in rows)
    finally:
        opened.connection.close()
