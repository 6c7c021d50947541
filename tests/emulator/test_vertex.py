"""Vertex batch jobs of the local server, driven by the real google-genai client."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest
from google import genai
from google.cloud import storage as gcs
from google.genai import errors, types
from google.oauth2.credentials import Credentials

from kl_core.emulator import storage, vertex
from kl_core.emulator.cloud import cloud_of
from kl_core.emulator.settings import Settings
from kl_core.emulator.state import State
from tests.emulator.serving import serving

QUICK = Settings(answers="hash", batch_s=0.05)


class Place:
    """A server with a bucket, and what tests do to it."""

    def __init__(self, url: str, state: State) -> None:
        self.state = state
        credentials = Credentials(token="placeholder")
        self.genai = genai.Client(
            vertexai=True,
            project="p",
            location="us-central1",
            credentials=credentials,
            http_options=types.HttpOptions(base_url=url),
        )
        client = gcs.Client(
            project="p", credentials=credentials, client_options={"api_endpoint": url}
        )
        self.bucket = client.create_bucket("b")

    def submit(self, lines, name="in", model="tiny-base"):
        text = "\n".join(json.dumps(line) for line in lines)
        self.bucket.blob(f"{name}.jsonl").upload_from_string(text)
        return self.genai.batches.create(
            model=model,
            src=f"gs://b/{name}.jsonl",
            config={"display_name": name, "dest": f"gs://b/out-{name}"},
        )

    def end(self, job):
        """The job at its last state (job.done is false for PARTIALLY_SUCCEEDED)."""
        for _ in range(500):
            found = self.genai.batches.get(name=job.name)
            if found.state.name.removeprefix("JOB_STATE_") in (
                "SUCCEEDED", "PARTIALLY_SUCCEEDED", "FAILED", "EXPIRED", "CANCELLED",
            ):  # fmt: skip
                return found
            time.sleep(0.01)
        raise AssertionError(found)

    def files(self, job):
        directory = job.output_info.gcs_output_directory.removeprefix("gs://b/")
        blobs = self.bucket.client.list_blobs("b", prefix=directory + "/")
        return [[json.loads(x) for x in b.download_as_bytes().splitlines()] for b in blobs]

    def rows(self, job):
        return [row for file in self.files(job) for row in file]


@pytest.fixture
def place():
    state = State(QUICK)
    with serving([*storage.routes(state), *vertex.routes(state)]) as url:
        yield Place(url, state)


def request(text="What is it?", **extra):
    config = {"temperature": 0.0, "maxOutputTokens": 1, "responseLogprobs": True, "logprobs": 5}
    contents = [{"role": "user", "parts": [{"text": text}]}]
    return {"contents": contents, "generationConfig": config, **extra}


def lines(count, start=0):
    return [
        {"custom_id": f"k-{n}", "request": request(f"Question {n}?", labels={"key": f"k-{n}"})}
        for n in range(start, start + count)
    ]


def test_a_job_passes_through_its_states_and_answers_each_row(place):
    """Digits for an id, queued first, and each row is what the model answers directly."""
    sent = lines(30)
    job = place.submit(sent)
    assert job.name.rsplit("/", 1)[-1].isdigit()
    assert job.state.name == "JOB_STATE_QUEUED"
    job = place.end(job)
    assert job.state.name == "JOB_STATE_SUCCEEDED" and job.done
    assert job.completion_stats.successful_count == 30
    wanted = {line["custom_id"]: line["request"] for line in sent}
    rows = place.rows(job)
    assert {row["custom_id"] for row in rows} == set(wanted)
    for row in rows:
        assert row["status"] == "" and row["request"] == wanted[row["custom_id"]]
        assert row["response"] == place.state.answer("tiny-base", row["request"])


def test_rows_come_back_shuffled_over_several_files(place):
    """Neither the order nor the number of files is that of the input."""
    job = place.end(place.submit(lines(40)))
    files = place.files(job)
    assert [len(file) for file in files] == [20, 20]
    order = [row["custom_id"] for file in files for row in file]
    assert order != [f"k-{n}" for n in range(40)]


def test_ids_that_look_like_numbers_become_numbers(place):
    """Sibling keys are echoed, but "0012" stays text while "12" and "1.5" turn."""
    ids = ["12", "0012", "1.5", "k-1"]
    sent = [{"custom_id": each, "mine": "7", "request": request(each)} for each in ids]
    rows = place.rows(place.end(place.submit(sent)))
    back = {row["request"]["contents"][0]["parts"][0]["text"]: row["custom_id"] for row in rows}
    assert back == {"12": 12, "0012": "0012", "1.5": 1.5, "k-1": "k-1"}
    assert {row["mine"] for row in rows} == {7}


def test_failed_rows_have_a_status_and_no_response_and_pass_when_sent_again(place):
    """The job succeeds all the same; the same share fails for everyone, once."""
    place.state.settings = replace(QUICK, batch_row_faults=0.3)
    job = place.end(place.submit(lines(50)))
    bad = [row for row in place.rows(job) if "response" not in row]
    assert job.state.name == "JOB_STATE_SUCCEEDED"
    assert 5 < len(bad) == job.completion_stats.failed_count < 30
    assert all(row["status"].startswith("Bad Request: ") for row in bad)
    again = place.end(place.submit([{"request": row["request"]} for row in bad], "again"))
    assert all("response" in row for row in place.rows(again))


def test_a_row_that_the_model_refuses_fails_alone(place):
    """A request that generateContent would answer with 400 is a failed row."""
    sent = [*lines(2), {"custom_id": "k-9", "request": request(nonsense=1)}]
    job = place.end(place.submit(sent))
    bad = [row for row in place.rows(job) if "response" not in row]
    assert [row["custom_id"] for row in bad] == ["k-9"]
    assert "nonsense" in bad[0]["status"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"request": {"contents": []}}, "empty"),
        ({"request": {"contents": [{"role": "user", "parts": [{"text": None}]}]}}, "null"),
        ({"request": {"contents": [{"role": "user", "parts": [{}]}]}}, "null or empty"),
        ({"custom_id": 7, "request": request()}, "number"),
        ({"custom_id": "k-1"}, "no 'request'"),
    ],
)
def test_one_bad_line_fails_the_whole_job(place, line, reason):
    """A hole in contents or a second type under one key: no row comes back."""
    job = place.end(place.submit([*lines(3), line]))
    assert job.state.name == "JOB_STATE_FAILED"
    assert reason in job.error.message
    assert job.output_info is None


def test_deep_nesting_and_too_many_lines_fail_the_job(place):
    """15 levels at most, and a limited number of requests."""
    deep: dict = {"x": "y"}
    for _ in range(15):
        deep = {"x": deep}
    assert (
        "deeper than 15"
        in place.end(place.submit([{"request": request(), "m": deep}])).error.message
    )
    cloud_of(place.state).jobs.most_lines = 5
    assert "more than 5" in place.end(place.submit(lines(6), "many")).error.message


@pytest.mark.parametrize(
    ("state", "least", "most"),
    [("PARTIALLY_SUCCEEDED", 20, 39), ("FAILED", 0, 0), ("EXPIRED", 5, 35), ("CANCELLED", 5, 35)],
)
def test_every_last_state_can_be_had(place, state, least, most):
    """Some rows are missing from a partial job, half from an expired, all from a failed one."""
    place.state.settings = replace(QUICK, batch_state=f"JOB_STATE_{state}")
    job = place.end(place.submit(lines(40)))
    assert job.state.name == f"JOB_STATE_{state}"
    found = place.rows(job) if job.output_info else []
    assert least <= len(found) <= most
    assert (job.error is None) == (state == "PARTIALLY_SUCCEEDED")


def test_jobs_are_cancelled_listed_and_deleted(place):
    """Lists filter by display name and page, the newest first; a deleted job is 404."""
    place.state.settings = replace(QUICK, batch_s=30)
    job = place.submit(lines(1), "slow")
    place.genai.batches.cancel(name=job.name)
    assert place.end(job).state.name == "JOB_STATE_CANCELLED"
    place.state.settings = QUICK
    others = [place.end(place.submit(lines(1, n), f"other-{n}")).name for n in range(3)]
    named = list(place.genai.batches.list(config={"filter": 'displayName="slow"'}))
    assert [each.name for each in named] == [job.name]
    paged = place.genai.batches.list(config={"page_size": 2})
    assert [each.name for each in paged] == [*reversed(others), job.name]
    place.genai.batches.delete(name=job.name)
    with pytest.raises(errors.ClientError) as error:
        place.genai.batches.get(name=job.name)
    assert error.value.code == 404


def test_an_unknown_model_is_refused_and_a_missing_input_fails(place):
    """404 names the models there are; a job whose input is not there fails by itself."""
    with pytest.raises(errors.ClientError, match="tiny-base") as error:
        place.submit(lines(1), model="no-such-model")
    assert error.value.code == 404
    job = place.genai.batches.create(
        model="tiny-base", src="gs://b/none.jsonl", config={"dest": "gs://b/x"}
    )
    assert "No such object" in place.end(job).error.message


def test_the_server_counts_rows_by_what_they_asked(place):
    """The log tells jobs, rows and how often each context was answered."""
    place.end(place.submit(lines(4), "one"))
    place.end(place.submit(lines(2), "two"))
    log = cloud_of(place.state).jobs.log()
    assert [(each["name"], each["rows"], each["succeeded"]) for each in log] == [
        ("one", 4, 4),
        ("two", 2, 2),
    ]
    assert sorted(place.state.stats.successes().values()) == [1, 1, 2, 2]
