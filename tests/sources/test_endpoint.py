"""Where calls go, and that no key goes where it should not."""

import google.auth
import pytest
from google.auth.exceptions import DefaultCredentialsError

from kl_core.addresses import is_loopback
from kl_core.errors import InputError
from kl_core.sources.endpoint import Endpoint, resolve_endpoint

KEY = "AIzaSyTheRealKeyThatMustNotBeSeen"
NAMES = ("GOOGLE_API_KEY", "GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL", "GOOGLE_VERTEX_BASE_URL")


@pytest.fixture(autouse=True)
def _bare(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)

    def none(**_):
        raise DefaultCredentialsError("none")

    monkeypatch.setattr(google.auth, "default", none)


def test_the_developer_api_needs_a_key(monkeypatch):
    """One of two names, not blank."""
    monkeypatch.setenv("GEMINI_API_KEY", "  ")
    with pytest.raises(InputError, match="neither GEMINI_API_KEY nor GOOGLE_API_KEY"):
        resolve_endpoint(None, None, None)
    monkeypatch.setenv("GOOGLE_API_KEY", KEY)
    found = resolve_endpoint(None, None, None)
    assert found == Endpoint(False, None, None, None, False)
    assert KEY not in repr(found) + found.name


def test_a_project_means_vertex_and_needs_a_login(monkeypatch):
    """Application-default credentials; the location has a default."""
    with pytest.raises(InputError, match="gcloud auth application-default login"):
        resolve_endpoint("proj", None, None)
    monkeypatch.setattr(google.auth, "default", lambda **_: (object(), "proj"))
    assert resolve_endpoint("proj", None, None).location == "us-central1"
    assert resolve_endpoint("proj", "europe-west4", None).location == "europe-west4"


@pytest.mark.parametrize("vertex", [False, True])
def test_this_machine_needs_neither_key_nor_login(vertex):
    """The demo server works without an account."""
    found = resolve_endpoint("p" if vertex else None, None, "http://127.0.0.1:8790")
    assert found.loopback
    assert found.vertex is vertex


@pytest.mark.parametrize("vertex", [False, True])
def test_redirects_in_the_environment_pass_the_same_check(vertex, monkeypatch):
    """The client would follow them, so they count."""
    name = "GOOGLE_VERTEX_BASE_URL" if vertex else "GOOGLE_GEMINI_BASE_URL"
    monkeypatch.setenv("GOOGLE_API_KEY", KEY)
    monkeypatch.setenv(name, "http://example.com")
    project = "p" if vertex else None
    with pytest.raises(InputError, match=f"{name} http://example.com would send a key unencrypted"):
        resolve_endpoint(project, None, None)
    monkeypatch.setenv(name, "http://localhost:1")
    assert resolve_endpoint(project, None, None).base_url == "http://localhost:1"


@pytest.mark.parametrize(
    "address",
    [
        "http://example.com",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://128.0.0.1",
        "http://0.0.0.0",
        "http://[::2]",
        "http://10.0.0.1:8790",
        "http://127.1",
        "http://user:secret@127.0.0.1",
        "http://127.0.0.1@example.com",
        "http://example.com\\@127.0.0.1",
        "https://example.com/?key=secret",
        "ftp://127.0.0.1",
        "127.0.0.1:8790",
        "http://",
        "http://127.0.0.1:0",
        "http://127.0.0.1:99999",
        "http://[::1",
        "https://example.com\n",
    ],
)
def test_an_address_that_could_leak_a_key_or_is_none_is_refused(address, monkeypatch):
    """In a sentence that does not repeat what may be secret."""
    monkeypatch.setenv("GOOGLE_API_KEY", KEY)
    with pytest.raises(InputError, match="--base-url") as error:
        resolve_endpoint(None, None, address)
    assert "secret" not in str(error.value)
    assert KEY not in str(error.value)


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.200.3.4", True),
        ("::1", True),
        ("::ffff:127.0.0.1", False),
        ("0.0.0.0", False),
        ("", False),
    ],
)
def test_loopback_is_what_can_only_be_this_machine(host, here):
    """127.0.0.0/8, ::1 and localhost."""
    assert is_loopback(host) is here


@pytest.mark.parametrize(
    ("project", "location"), [("p/../x", None), ("p", "evil.com/x"), ("p", "a b"), ("P#", None)]
)
def test_names_that_would_change_the_address_are_refused(project, location):
    """A location becomes part of the host's name."""
    with pytest.raises(InputError, match="is none"):
        resolve_endpoint(project, location, "http://127.0.0.1:1")


def test_a_location_without_a_project_is_a_mistake():
    """It would be ignored otherwise."""
    with pytest.raises(InputError, match="--project-id"):
        resolve_endpoint(None, "us-east1", "http://127.0.0.1:1")
