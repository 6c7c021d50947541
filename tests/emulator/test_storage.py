"""The small Cloud Storage, asked by the real google-cloud-storage client."""

from __future__ import annotations

import hashlib
import io
from concurrent.futures import ThreadPoolExecutor

import pytest
from google.api_core.exceptions import Conflict, Forbidden, NotFound, PreconditionFailed
from google.cloud import storage as gcs
from google.oauth2.credentials import Credentials

from kl_core.emulator import storage
from kl_core.emulator.cloud import cloud_of
from kl_core.emulator.state import State
from tests.emulator.serving import serving


@pytest.fixture(scope="module")
def state():
    return State()


@pytest.fixture(scope="module")
def client(state):
    with serving(storage.routes(state)) as url:
        yield gcs.Client(
            project="p",
            credentials=Credentials(token="placeholder"),
            client_options={"api_endpoint": url},
        )


@pytest.fixture
def bucket(client, request):
    return client.create_bucket(request.node.name.replace("_", "-")[:60], location="us-central1")


def test_a_bucket_is_made_once(client):
    """A second creation is 409, a missing bucket 404, and the location is kept."""
    made = client.create_bucket("made-once", location="europe-west4")
    assert made.location == "europe-west4"
    assert client.get_bucket("made-once").metageneration == 1
    with pytest.raises(Conflict):
        client.create_bucket("made-once")
    with pytest.raises(NotFound, match="does not exist"):
        client.get_bucket("never-made")
    assert client.lookup_bucket("never-made") is None


def test_somebody_elses_bucket_is_forbidden(client, state):
    """Names are shared by the world: reading is 403, creating 409."""
    cloud_of(state).storage.foreign.add("theirs")
    with pytest.raises(Forbidden):
        client.get_bucket("theirs")
    with pytest.raises(Conflict, match="not available"):
        client.create_bucket("theirs")


def test_lifecycle_rules_are_kept_and_guarded_by_metageneration(client, bucket):
    """A patch raises the metageneration; one that was written for an older one is 412."""
    bucket.add_lifecycle_delete_rule(age=30, matches_prefix=["a/"])
    bucket.patch(if_metageneration_match=1)
    again = client.get_bucket(bucket.name)
    assert again.metageneration == 2
    assert next(iter(again.lifecycle_rules))["condition"] == {"age": 30, "matchesPrefix": ["a/"]}
    bucket.clear_lifecycle_rules()
    with pytest.raises(PreconditionFailed):
        bucket.patch(if_metageneration_match=1)


def test_small_and_large_objects_come_back_as_sent(bucket):
    """Multipart, and resumable in chunks; the client checks both checksums on the way."""
    small = bucket.blob("dir/ü name.txt")
    small.upload_from_string("häuser", content_type="text/plain")
    assert bucket.blob("dir/ü name.txt").download_as_text() == "häuser"
    data = bytes(range(256)) * 40_000
    large = bucket.blob("large.bin", chunk_size=1 << 20)
    large.upload_from_file(io.BytesIO(data), size=len(data))
    assert large.size == len(data)
    assert large.md5_hash is not None and large.crc32c is not None
    out = io.BytesIO()
    bucket.blob("large.bin").download_to_file(out)
    assert hashlib.sha256(out.getvalue()).digest() == hashlib.sha256(data).digest()
    assert bucket.blob("large.bin").download_as_bytes(start=300, end=309) == data[300:310]


def test_generation_zero_means_only_if_it_is_not_there(bucket):
    """ifGenerationMatch=0 refuses a second object, resumable or not, and numbers grow."""
    first = bucket.blob("once")
    first.upload_from_string("one", if_generation_match=0)
    for size in (3, 600_000):
        again = bucket.blob("once", chunk_size=None if size == 3 else 256 * 1024)
        with pytest.raises(PreconditionFailed):
            again.upload_from_file(io.BytesIO(b"x" * size), size=size, if_generation_match=0)
    assert bucket.blob("once").download_as_bytes() == b"one"
    replaced = bucket.blob("once")
    replaced.upload_from_string("two", if_generation_match=first.generation)
    assert replaced.generation > first.generation
    with pytest.raises(PreconditionFailed):
        bucket.blob("once").delete(if_generation_match=first.generation)
    with pytest.raises(NotFound):
        bucket.blob("once", generation=first.generation).download_as_bytes()


def test_listing_pages_prefixes_and_deletes(client, bucket):
    """Every object is listed once over pages; prefixes select, delimiters fold."""
    for n in range(7):
        bucket.blob(f"a/{n % 2}/{n}").upload_from_string("x")
    bucket.blob("b").upload_from_string("x")
    paged = client.list_blobs(bucket.name, prefix="a/", page_size=2)
    assert [blob.name for blob in paged] == sorted(f"a/{n % 2}/{n}" for n in range(7))
    folded = client.list_blobs(bucket.name, delimiter="/")
    assert [blob.name for blob in folded] == ["b"]
    assert folded.prefixes == {"a/"}
    with pytest.raises(Conflict, match="not empty"):
        client.get_bucket(bucket.name).delete()
    for blob in list(client.list_blobs(bucket.name)):
        blob.delete()
    client.get_bucket(bucket.name).delete()
    with pytest.raises(NotFound):
        client.get_bucket(bucket.name)


def test_objects_are_composed(bucket):
    """Several objects become one, in their order."""
    parts = [bucket.blob(f"part-{n}") for n in range(3)]
    for n, part in enumerate(parts):
        part.upload_from_string(f"<{n}>")
    whole = bucket.blob("whole")
    whole.compose(parts)
    assert whole.download_as_bytes() == b"<0><1><2>"


def test_one_of_many_concurrent_creators_wins(client, bucket):
    """Preconditions hold when twelve writers come at once."""

    def create(n: int) -> bool:
        try:
            client.bucket(bucket.name).blob("race").upload_from_string(
                str(n), if_generation_match=0
            )
        except PreconditionFailed:
            return False
        return True

    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(create, range(12))) == 1


def test_bytes_lie_on_disk_and_go_when_deleted(bucket, state):
    """The server keeps names in memory, bytes in its folder; replaced ones are unlinked."""
    folder = cloud_of(state).folder
    before = len(list(folder.iterdir()))
    for text in ("one", "two"):
        bucket.blob("kept").upload_from_string(text)
    assert len(list(folder.iterdir())) == before + 1
    bucket.blob("kept").delete()
    assert len(list(folder.iterdir())) == before
