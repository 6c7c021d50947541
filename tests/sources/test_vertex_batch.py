"""Contexts through batch jobs of the local Vertex and Cloud Storage, with the real clients."""

from __future__ import annotations

import functools
import json
import ssl
import threading
import time
from dataclasses import replace

import pytest
from aiohttp import web

from kl_core.emulator import storage, vertex
from kl_core.emulator.cloud import cloud_of
from kl_core.emulator.settings import Settings
from kl_core.emulator.state import State
from kl_core.errors import InputError, RunCancelled, RunError
from kl_core.records import Message
from kl_core.sources import batch_service
from kl_core.sources.batch_ledger import Ledger, given_up, under_way
from kl_core.sources.batch_pace import Pace
from kl_core.sources.batch_rows import read_rows
from kl_core.sources.batch_shards import Limits, keys_in, name_of
from kl_core.sources.bucket import Bucket, default_bucket
from kl_core.sources.calls import Answer, CallError, Context
from kl_core.sources.endpoint import Endpoint
from kl_core.sources.gemini_wire import WireSettings, read_reply, request_body
from kl_core.sources.vertex_batch import VertexBatch, cancel_jobs
from tests.emulator.serving import serving

QUICK = Settings(answers="hash", batch_s=0.02)
SETTINGS = WireSettings("tiny-base", 5)
PACE = Pace(0.01, 0.03, 0.05, 5.0, 5.0, 0.01, 0.005)
_create_default_context = functools.cache(ssl.create_default_context)


@pytest.fixture(autouse=True)
def no_certificates_read_again(monkeypatch):
    """Each client reads all certificates three times, 70 ms each; nothing here uses https."""
    monkeypatch.setattr(ssl, "create_default_context", _create_default_context)


class Killed(BaseException):
    """The process ends here."""


class Place:
    """A server that can go away, and a run against it.

    Answers that are kept get lost with the process until they are flushed.
    """

    def __init__(self, tmp_path):
        self.state = State(QUICK)
        self.down = False
        self.folder = tmp_path / "batch"
        self.kept: dict[bytes, Answer] = {}
        self.unflushed: dict[bytes, Answer] = {}

        @web.middleware
        async def gate(request, handler):
            if self.down:
                request.transport.abort()
                raise web.HTTPServiceUnavailable
            return await handler(request)

        self.gate = gate

    @property
    def jobs(self):
        return cloud_of(self.state).jobs

    @property
    def endpoint(self):
        return Endpoint(True, self.url, "p", "us-central1", loopback=True)

    def batch(self, **more):
        self.last = VertexBatch(
            self.endpoint, more.pop("settings", SETTINGS), self.folder, "r1", pace=PACE, **more
        )
        return self.last

    def swap(self, keys, version="tiny-tuned"):
        """Rows of these keys are answered by another model."""
        real, names = State.answer, {name_of(key) for key in keys}

        def answer(model, body):
            reply = real(self.state, model, body)
            if body.get("labels", {}).get("key") in names:
                reply["modelVersion"] = version
            return reply

        self.state.answer = answer

    def keep(self, key, answer):
        self.unflushed[key] = answer

    def flush(self):
        self.kept |= self.unflushed
        self.unflushed = {}

    def run(self, contexts, watch=lambda _: None, check=lambda: None, **more):
        self.unflushed = {}
        left = (each for each in contexts if each.key not in self.kept)
        return self.batch(**more).run(left, self.keep, watch, check, self.flush)

    def direct(self, contexts, attempts=1):
        found = {}
        for each in contexts:
            reply = self.state.answer("tiny-base", request_body(each, SETTINGS))
            found[each.key] = replace_attempts(read_reply(reply, SETTINGS), attempts)
        return found


def replace_attempts(answer, attempts):
    return Answer(*(*list_fields(answer)[:6], attempts, answer.error))


def list_fields(answer):
    return [getattr(answer, name) for name in Answer.__struct_fields__]


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path)
    routes = [*storage.routes(made.state), *vertex.routes(made.state)]
    with serving(routes, middlewares=[made.gate]) as url:
        made.url = url
        yield made


def contexts(count, start=0):
    said = b"Paris is the capital of France, as everybody knows."
    prompt = (Message("user", "What is the capital of France?"),)
    return [
        Context(
            int(f"{n}7", 16).to_bytes(16, "big"), (*prompt, Message("user", str(n))), said, n % 40
        )
        for n in range(start, start + count)
    ]


def once_each(place, count):
    """Every context answered once, no row sent that had been answered."""
    successes = place.state.stats.successes()
    assert len(successes) == count
    assert set(successes.values()) == {1}


def test_answers_equal_those_of_direct_calls(place):
    """Rows come back shuffled over two files and are joined by their keys."""
    asked = contexts(60)
    shown = []
    assert place.run(asked, shown.append) == {}
    assert place.kept == place.direct(asked)
    last = shown[-1]
    assert [(job["state"], job["requests"], job["succeeded"], job["failed"]) for job in last] == [
        ("SUCCEEDED", 60, 60, 0)
    ]
    assert last[0]["id"].split("/")[-1].isdigit() and last[0]["created"]
    assert {"WRITTEN", "QUEUED"} <= {job["state"] for jobs in shown for job in jobs}


def test_the_tiny_model_answers_a_batch_as_it_answers_calls(place):
    """The same with a real model behind both."""
    place.state.settings = replace(QUICK, answers="model")
    asked = contexts(8)
    assert place.run(asked) == {}
    assert place.kept == place.direct(asked)


def test_nothing_to_ask_touches_nothing(place):
    """No contexts: no bucket, no job."""
    assert place.run([]) == {}
    assert not cloud_of(place.state).storage.buckets


def test_keys_of_digits_alone_survive_numbers_being_coerced(place):
    """A key such as 00…12 would come back as a number without its prefix."""
    asked = contexts(13)
    assert asked[9].key.hex().isdigit()
    place.run(asked)
    assert set(place.kept) == {each.key for each in asked}


def test_a_row_is_known_by_its_label_when_its_id_is_spoilt(tmp_path):
    """custom_id and label carry the key; where both are ours and differ, it is nobody's."""
    one, two = (n.to_bytes(16, "big") for n in (1, 2))

    def row(custom_id, label):
        labels = {"labels": {"key": label}} if label else {}
        return json.dumps({"status": "x", "custom_id": custom_id, "request": labels})

    lines = [row(12, name_of(one)), row(name_of(two), None), row(name_of(one), name_of(two))]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join([*lines, "not json", ""]))
    found = list(read_rows(path, SETTINGS))
    assert [each.key for each in found] == [one, two, None, None]
    assert all(isinstance(each.found, CallError) for each in found)


def test_failed_rows_are_sent_once_more_and_then_succeed(place):
    """A second job holds exactly the rows that failed, and its answers say two attempts."""
    place.state.settings = replace(QUICK, batch_row_faults=0.3)
    asked = contexts(50)
    assert place.run(asked) == {}
    first, second = place.jobs.log()
    assert first["failed"] == second["rows"] == second["succeeded"] > 5
    assert {key: replace_attempts(a, 1) for key, a in place.kept.items()} == place.direct(asked)
    assert sum(a.attempts == 2 for a in place.kept.values()) == second["rows"]
    once_each(place, 50)


def test_rows_that_fail_twice_are_listed_with_their_reason(place):
    """Two jobs, never a third; the others are answered."""
    asked = contexts(20)
    bad = {name_of(each.key) for each in asked[:3]}
    place.jobs.refuses = lambda row: row["custom_id"] in bad
    failed = place.run(asked)
    assert set(failed) == {each.key for each in asked[:3]}
    assert all("is refused whenever" in why and "sent twice" in why for why in failed.values())
    assert [job["rows"] for job in place.jobs.log()] == [20, 3]
    assert len(place.kept) == 17


def test_a_job_without_one_good_row_is_not_paid_for_again(place):
    """Where fifty rows fail and none succeeds, a second job would be money lost."""
    place.jobs.refuses = lambda _: True
    assert len(place.run(contexts(60))) == 60
    assert len(place.jobs.log()) == 1


def test_a_partial_job_has_its_missing_rows_sent_once_more(place):
    """PARTIALLY_SUCCEEDED ends the wait, though the client's job.done says no."""
    place.state.settings = replace(QUICK, batch_state="JOB_STATE_PARTIALLY_SUCCEEDED")
    asked = contexts(40)
    shown = []
    assert place.run(asked, shown.append) == {}
    assert [job["state"] for job in shown[-1]] == ["PARTIALLY_SUCCEEDED", "SUCCEEDED"]
    assert {key: replace_attempts(a, 1) for key, a in place.kept.items()} == place.direct(asked)
    once_each(place, 40)


@pytest.mark.parametrize(("state", "jobs"), [("FAILED", 1), ("CANCELLED", 1), ("EXPIRED", 2)])
def test_rows_of_a_job_that_ended_badly_are_used_and_the_rest_is_lost(place, state, jobs):
    """What rows there are count; only an expired job is worth a second try at once.

    The others are not given up: the next run submits them, and them alone.
    """
    place.state.settings = replace(QUICK, batch_state=f"JOB_STATE_{state}")
    asked = contexts(40)
    assert place.run(asked) == {}
    lost = place.last.lost
    assert len(place.jobs.log()) == jobs
    assert set(lost) | set(place.kept) == {each.key for each in asked}
    assert not set(lost) & set(place.kept)
    assert lost and all(f"the job ended as {state}" in why for why in lost.values())
    assert bool(place.kept) == (state != "FAILED")
    place.state.settings = QUICK
    assert place.run(asked) == place.last.lost == {}
    assert place.jobs.log()[-1]["rows"] == len(lost)
    once_each(place, 40)


def test_what_was_refused_for_good_is_not_sent_again_when_a_job_is_lost(place):
    """One job is lost, another has a row that failed twice: the next run sends the lost rows."""
    asked, bad = contexts(10), name_of(contexts(10)[0].key)
    place.jobs.refuses = lambda row: row["custom_id"] == bad

    def watch(jobs):
        for job in jobs[1:2]:
            if job["state"] in ("PENDING", "RUNNING"):
                place.jobs.all.pop(job["id"].rsplit("/", 1)[-1], None)

    place.state.settings = replace(QUICK, batch_s=0.3)
    failed = place.run(asked, watch, limits=Limits(5, 10**9))
    assert set(failed) == {asked[0].key} == given_up(place.folder, "r1")
    assert set(place.last.lost) == {each.key for each in asked[5:]}
    place.jobs.refuses = lambda _: False
    assert set(place.run(asked)) == {asked[0].key}
    assert place.jobs.log()[-1]["rows"] == 5
    assert len(place.kept) == 9


def test_an_expired_job_without_rows_is_sent_again(place, monkeypatch):
    """Queued for too long: nothing was paid, the second job answers everything."""
    first = replace(QUICK, batch_state="JOB_STATE_EXPIRED")
    place.state.settings = first
    monkeypatch.setattr(type(place.jobs), "_lost", lambda self, end, row: end.endswith("EXPIRED"))

    def watch(jobs):
        if jobs[0]["state"] == "EXPIRED":
            place.state.settings = QUICK

    assert place.run(contexts(10), watch) == {}
    assert [job["succeeded"] for job in place.jobs.log()] == [0, 10]


def test_another_model_stops_the_run_and_keeps_what_was_good(place):
    """One sentence that names both models; the next run submits the rows without an answer."""
    asked = contexts(9)
    bad = {each.key for each in asked[:2]}
    place.swap(bad)
    with pytest.raises(RunError, match="tiny-tuned answered where tiny-base was asked"):
        place.run(asked)
    assert [job["rows"] for job in place.jobs.log()] == [9, 2]
    assert set(place.kept) == {each.key for each in asked[2:]}
    assert set(place.last.lost) == bad
    place.swap(())
    assert place.run(asked) == place.last.lost == {}
    assert [job["rows"] for job in place.jobs.log()] == [9, 2, 2]
    assert len(place.kept) == 9


def test_a_row_of_another_model_that_was_a_slip_is_answered_the_second_time(place):
    """One of a mixed fleet must not end a run of two hundred thousand rows."""
    asked = contexts(6)
    place.swap({asked[0].key})

    def watch(jobs):
        if len(jobs) == 2:
            place.swap(())

    assert place.run(asked, watch) == place.last.lost == {}
    assert [job["rows"] for job in place.jobs.log()] == [6, 1]
    assert place.kept[asked[0].key].attempts == 2


def test_a_job_answered_by_another_model_throughout_is_not_paid_for_twice(place):
    """Fifty rows without a good one are proof enough; resuming is not stuck on them."""
    asked = contexts(60)
    place.state.settings = replace(QUICK, model_version="tiny-tuned")
    with pytest.raises(RunError, match="tiny-tuned answered"):
        place.run(asked)
    assert len(place.jobs.log()) == 1
    place.state.settings = QUICK
    assert place.run(asked) == {}
    assert [job["rows"] for job in place.jobs.log()] == [60, 60]
    assert len(place.kept) == 60


def test_each_job_is_told_when_its_rows_are_kept(place):
    """What is known can be shown before the last job ends."""
    seen = []
    asked = contexts(25)
    place.batch(limits=Limits(10, 10**9)).run(
        asked, place.keep, lambda _: None, lambda: None, place.flush,
        lambda: seen.append(len(place.kept)),
    )  # fmt: skip
    assert len(seen) == 3 and seen[0] in (5, 10) and seen[-1] == 25


def test_rows_under_way_are_known_without_touching_the_ledger(place):
    """Also while another process writes an input file that the ledger does not know yet."""
    assert under_way(place.folder, "r1") == given_up(place.folder, "r1") == set()
    assert not place.folder.exists()
    place.state.settings = replace(QUICK, batch_s=20)
    asked, seen = contexts(5), []
    leave_when(place, asked, seen, "QUEUED")
    half = place.folder / "in-half.jsonl"
    half.write_bytes(b"")
    assert under_way(place.folder, "r1") == {each.key for each in asked}
    assert half.exists()
    cancel_jobs(place.endpoint, place.folder, "r1")
    assert half.exists()


def leave_when(place, asked, seen, state):
    def check():
        if seen and seen[-1] == state:
            raise RunCancelled("run r1 was cancelled")

    with pytest.raises(RunCancelled):
        place.run(asked, lambda jobs: seen.append(jobs[0]["state"]), check)


def test_what_was_given_up_is_asked_again_only_after_the_end(place):
    """A run that ended lists its failures; handed in again, they are a new job."""
    asked = contexts(10)
    place.jobs.refuses = lambda row: row["custom_id"] == name_of(asked[0].key)
    assert set(place.run(asked)) == {asked[0].key}
    place.jobs.refuses = lambda _: False
    assert place.run(asked) == {}
    assert [job["rows"] for job in place.jobs.log()] == [10, 1, 1]
    assert len(place.kept) == 10


def test_limits_split_the_contexts_into_several_jobs(place):
    """By number and by size; no file exceeds either, no context is lost."""
    asked = contexts(25)
    assert place.run(asked, limits=Limits(10, 10**9)) == {}
    assert [job["rows"] for job in place.jobs.log()] == [10, 10, 5]
    more = contexts(20, start=100)
    size = 6 * 700
    place.run(more, limits=Limits(1000, size))
    inputs = [o for o in objects(place) if o.name.endswith("in.jsonl")]
    assert len(inputs) > 5
    assert all(each.size <= size for each in inputs[3:])
    assert len(place.kept) == 45


def test_a_job_takes_two_hundred_thousand_requests_and_no_more(tmp_path):
    """The limit of Vertex is the default; the rest goes into a second file."""
    from kl_core.sources.batch_shards import write_shards

    names = iter(tmp_path / f"{n}.jsonl" for n in range(9))
    line = b'{"custom_id":"k-' + b"00" * 16 + b'"}\n'
    shards = list(write_shards((line for _ in range(200_001)), lambda: next(names), Limits()))
    assert [shard.requests for shard in shards] == [200_000, 1]
    assert sum(1 for _ in keys_in(shards[0].path)) == 200_000


def objects(place):
    bucket = cloud_of(place.state).storage.buckets[default_bucket("p")]
    return list(bucket.objects.values())


def run_until_done(place, asked, **more):
    """Runs as one that is started again after every death."""
    deaths = 0
    while True:
        try:
            return place.run(asked, **more), deaths
        except Killed:
            deaths += 1
            assert deaths < 100


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_death_at_any_step_loses_nothing_and_pays_nothing_twice(place, monkeypatch, when):
    """Killed at the n-th write of the ledger, for every n, just before or after it."""
    place.state.settings = replace(QUICK, batch_row_faults=0.2)
    real, countdown = Ledger.save, [0]

    def save(ledger):
        countdown[0] -= 1
        if countdown[0] == 0 and when == "before":
            raise Killed
        real(ledger)
        if countdown[0] == 0:
            raise Killed

    monkeypatch.setattr(Ledger, "save", save)
    total = 0
    for n in range(1, 40):
        asked = contexts(6, start=n * 100)
        total += 6
        countdown[0] = n
        failed, deaths = run_until_done(place, asked)
        assert failed == {}
        successes = place.state.stats.successes()
        assert len(successes) == len(place.kept) == total
        assert set(successes.values()) == {1}
        if not deaths:
            break
    assert n > 10 and deaths == 0


@pytest.mark.parametrize("step", ["upload", "create", "download", "keep"])
def test_an_answer_lost_with_the_process_is_found_again(place, monkeypatch, step):
    """The upload, the creation or the row happened, but nobody wrote down that it did."""
    owner, name = {
        "upload": (Bucket, "upload"),
        "create": (batch_service.BatchService, "create"),
        "download": (Bucket, "download"),
        "keep": (Place, "keep"),
    }[step]
    real, left = getattr(owner, name), [2]

    def dying(*arguments):
        found = real(*arguments)
        left[0] -= 1
        if left[0] == 0:
            raise Killed
        return found

    monkeypatch.setattr(owner, name, dying)
    asked = contexts(24)
    failed, deaths = run_until_done(place, asked, limits=Limits(10, 10**9))
    assert (failed, deaths) == ({}, 1)
    assert [job["rows"] for job in place.jobs.log()] == [10, 10, 4]
    once_each(place, 24)
    assert place.kept == place.direct(asked)


def test_a_creation_whose_answer_is_lost_is_looked_for_not_repeated(place, monkeypatch):
    """The connection breaks after Google has made the job: it is found by its name."""
    real, failures = batch_service.BatchService.create, [1]

    def create(*arguments):
        view = real(*arguments)
        if failures:
            failures.pop()
            raise CallError("connection", "the connection failed", "again")
        return view

    monkeypatch.setattr(batch_service.BatchService, "create", create)
    assert place.run(contexts(5)) == {}
    assert len(place.jobs.log()) == 1


def test_a_lost_connection_is_waited_out(place):
    """The laptop is closed while the job runs; the note says so, and goes."""
    place.state.settings = replace(QUICK, batch_s=0.3)
    notes = []

    def watch(jobs):
        notes.extend(job["note"] for job in jobs)
        if jobs[0]["state"] == "PENDING" and not place.down and not any(notes):
            place.down = True
            threading.Timer(0.4, lambda: setattr(place, "down", False)).start()

    assert place.run(contexts(5), watch) == {}
    assert any("trying again" in note for note in notes)
    assert notes[-1] == ""
    assert len(place.jobs.log()) == 1


def test_an_address_where_nobody_is_ends_with_one_sentence(place, monkeypatch):
    """Before any job is known, a dead address is not waited for during days."""
    from kl_core.sources import bucket

    monkeypatch.setattr(bucket, "_FIRST", bucket._FIRST.with_timeout(0.1))
    endpoint = Endpoint(True, "http://127.0.0.1:9", "p", "us-central1", loopback=True)
    batch = VertexBatch(endpoint, SETTINGS, place.folder, "r1", pace=replace(PACE, unknown_s=0.1))
    with pytest.raises(RunError, match="cannot be reached"):
        batch.run(contexts(1), place.keep, lambda _: None, lambda: None)


def test_a_cancelled_run_leaves_its_job_and_the_next_one_attaches(place):
    """The sentence says that the job goes on; resuming submits nothing."""
    place.state.settings = replace(QUICK, batch_s=0.3)
    asked, seen = contexts(5), []

    def check():
        if seen and seen[-1] == "RUNNING":
            raise RunCancelled("run r1 was cancelled")

    with pytest.raises(RunCancelled, match="1 batch job goes on at Google"):
        place.run(asked, lambda jobs: seen.append(jobs[0]["state"]), check)
    assert place.run(asked) == {}
    assert len(place.jobs.log()) == 1
    once_each(place, 5)


def test_jobs_can_be_cancelled_at_google_too(place):
    """Then they end, and what they had not answered is lost with them; a second time is none."""
    place.state.settings = replace(QUICK, batch_s=20)
    asked = contexts(5)
    leave_when(place, asked, [], "QUEUED")
    assert cancel_jobs(place.endpoint, place.folder, "r1") == 1
    started = time.monotonic()
    assert place.run(asked) == {}
    assert time.monotonic() - started < 5
    assert len(place.last.lost) == 5
    assert all("cancelled without an answer" in why for why in place.last.lost.values())
    assert cancel_jobs(place.endpoint, place.folder, "r1") == 0


def test_jobs_that_ended_meanwhile_or_are_gone_are_not_cancelled(place):
    """The ledger says running; Google knows better."""
    place.state.settings = replace(QUICK, batch_s=0.2)
    leave_when(place, contexts(5), [], "QUEUED")
    while not all(job.over for job in place.jobs.all.values()):
        time.sleep(0.02)
    assert cancel_jobs(place.endpoint, place.folder, "r1") == 0
    place.jobs.all.clear()
    assert cancel_jobs(place.endpoint, place.folder, "r1") == 0


def test_a_job_that_somebody_deleted_is_told(place):
    """404 for a job that was there: its rows are lost, with the reason."""

    def watch(jobs):
        for job in jobs:
            if job["state"] == "PENDING":
                place.jobs.all.clear()

    place.state.settings = replace(QUICK, batch_s=0.3)
    assert place.run(contexts(3), watch) == {}
    assert len(place.last.lost) == 3
    assert all("does not know the job any more" in why for why in place.last.lost.values())


def test_cleaning_up_deletes_this_runs_objects_alone(place):
    """Others stay; a run with jobs under way is refused."""
    place.run(contexts(5))
    bucket = Bucket.open("p", default_bucket("p"), "us-central1", place.url)
    other = place.folder / "x"
    other.write_text("x")
    bucket.upload(other, "kl-explorer/r10/x")
    batch = place.batch()
    assert batch.cleanup() == 3
    assert [each.name for each in objects(place)] == ["kl-explorer/r10/x"]
    batch._ledger.jobs[0].step = "running"
    with pytest.raises(InputError, match="1 batch jobs of this run are not collected"):
        batch.cleanup()


def test_no_input_stays_on_disk_after_the_end(place):
    """Only the ledger is left of the batch folder."""
    place.state.settings = replace(QUICK, batch_row_faults=0.5)
    place.run(contexts(10))
    assert [path.name for path in place.folder.iterdir()] == ["jobs.json"]


def test_a_prompt_that_cannot_be_asked_is_listed_and_the_rest_is_asked(place):
    """A role that Gemini does not know fails one row, not the job."""
    odd = Context(b"o" * 16, (Message("tool", "x"),), b"", 0)
    failed = place.run([odd, *contexts(3)])
    assert list(failed) == [odd.key] and "'tool'" in failed[odd.key]
    assert len(place.kept) == 3


def test_a_folder_of_another_run_is_refused(place):
    """Its ledger names jobs that were paid for by somebody else."""
    place.run(contexts(1))
    with pytest.raises(RunError, match="belongs to the run r1, not to r2"):
        Ledger(place.folder, "r2")


def test_the_developer_api_has_no_batch_jobs_here(tmp_path):
    """Said before anything is written."""
    endpoint = Endpoint(False, "http://127.0.0.1:9", None, None, loopback=True)
    with pytest.raises(InputError, match="need Vertex AI"):
        VertexBatch(endpoint, SETTINGS, tmp_path / "x", "r1")
