"""The bucket of batch jobs, on the local Cloud Storage."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from aiohttp import web

from kl_core.emulator import storage
from kl_core.emulator.cloud import cloud_of
from kl_core.emulator.state import State
from kl_core.errors import InputError, RunError
from kl_core.sources.bucket import Bucket, _client, default_bucket
from kl_core.sources.calls import CallError
from tests.emulator.serving import serving


@pytest.fixture
def state():
    return State()


@pytest.fixture
def url(state):
    with serving(storage.routes(state)) as at:
        yield at


def test_many_who_create_it_at_once_all_get_it(url, state):
    """A 409 from another creator is fine; the location is that of the jobs."""
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda _: Bucket.open("p", "shared", "europe-west4", url), range(8)))
    assert {bucket.name for bucket in opened} == {"shared"}
    made = cloud_of(state).storage.buckets["shared"]
    assert made.properties["location"].lower() == "europe-west4"


def test_somebody_elses_bucket_is_one_sentence(url, state):
    """It names the bucket and the option."""
    cloud_of(state).storage.foreign.add("theirs")
    with pytest.raises(InputError, match="the bucket theirs belongs to somebody else.*--bucket-n"):
        Bucket.open("p", "theirs", "us-central1", url)


def test_a_redirect_is_not_followed(tmp_path):
    """Whatever it is asked, the client goes nowhere but to its own address."""
    asked = []

    async def elsewhere(request):
        asked.append(request.path)
        return web.json_response({"name": "b-1", "location": "US"})

    async def moved(request):
        raise web.HTTPTemporaryRedirect(f"{target}{request.path_qs}")

    anything = "/{path:.*}"
    path = tmp_path / "x"
    path.write_bytes(b"prompt")
    with (
        serving([web.route("*", anything, elsewhere)]) as target,
        serving([web.route("*", anything, moved)]) as url,
    ):
        with pytest.raises(CallError, match="redirect") as caught:
            Bucket.open("p", "b-1", "us-central1", url)
        bucket = Bucket(_client("p", url), "b-1")
        for call in (
            lambda: bucket.upload(path, "x"),
            lambda: bucket.download("x", path),
            lambda: bucket.list("x"),
        ):
            with pytest.raises(CallError):
                call()
    assert caught.value.retry == "denied"
    assert asked == []


@pytest.mark.parametrize("address", ["http://storage.example.com", "ftp://127.0.0.1", "nonsense"])
def test_a_token_is_not_sent_in_the_clear(address):
    """Plain http goes to this machine only; refused before anything is sent."""
    with pytest.raises(InputError, match="--storage-url"):
        Bucket.open("p", "b-1", "us-central1", address)


def test_names_that_are_none_are_refused(url):
    """And the default name of a domain's project is one."""
    with pytest.raises(InputError, match="'No'"):
        Bucket.open("p", "No", "us-central1", url)
    assert default_bucket("example.com:my-project") == "example-com-my-project-kl-batch"
    assert default_bucket("my-project") == "my-project-kl-batch"


def test_a_repeated_upload_is_fine_and_another_content_is_not(url, tmp_path):
    """Objects are never overwritten."""
    bucket = Bucket.open("p", "files", "us-central1", url)
    path = tmp_path / "x"
    path.write_bytes(b"abc" * 1000)
    bucket.upload(path, "a/x")
    bucket.upload(path, "a/x")
    path.write_bytes(b"other")
    with pytest.raises(RunError, match="gs://files/a/x is there already"):
        bucket.upload(path, "a/x")
    back = tmp_path / "back"
    bucket.download("a/x", back)
    assert back.read_bytes() == b"abc" * 1000


def test_a_large_file_goes_up_in_parts_and_comes_back_whole(url, tmp_path):
    """Forty megabytes, resumable."""
    path, back = tmp_path / "large", tmp_path / "back"
    path.write_bytes(bytes(range(256)) * 160_000)
    bucket = Bucket.open("p", "files", "us-central1", url)
    bucket.upload(path, "large")
    bucket.download("large", back)
    assert back.read_bytes() == path.read_bytes()


def test_deleting_a_prefix_leaves_the_others(url, tmp_path):
    """run/1/ is not run/10/."""
    bucket = Bucket.open("p", "files", "us-central1", url)
    path = tmp_path / "x"
    path.touch()
    for name in ("run/1/a", "run/1/b", "run/10/a"):
        bucket.upload(path, name)
    assert bucket.delete_prefix("run/1/") == 2
    assert bucket.list("run/") == ["run/10/a"]


def test_a_lifecycle_rule_is_added_once_and_others_stay(url, state):
    """The bucket may have rules of its owner."""
    bucket = Bucket.open("p", "files", "us-central1", url)
    mine = {"action": {"type": "Delete"}, "condition": {"age": 365}}
    cloud_of(state).storage.buckets["files"].properties["lifecycle"] = {"rule": [mine]}
    assert bucket.offer_lifecycle(30, "kl-explorer/")
    assert not bucket.offer_lifecycle(30, "kl-explorer/")
    rules = cloud_of(state).storage.buckets["files"].properties["lifecycle"]["rule"]
    assert rules == [
        mine,
        {"action": {"type": "Delete"}, "condition": {"age": 30, "matchesPrefix": ["kl-explorer/"]}},
    ]
