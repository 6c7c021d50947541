"""Addresses and keys of OpenAI-shaped servers: what goes where, checked without a call."""

import pytest

from kl_core.errors import InputError
from kl_core.sources.redaction import redacted
from kl_core.sources.servers import KEYS, PLACEHOLDER, Server, read_key, resolve_server

KEY = "sk-or-v1-0123456789abcdef"


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch):
    for name in (*KEYS.values(), "MY_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("address", ["https://host.example/v1", "https://host.example/v1/"])
def test_an_address_means_the_same_with_and_without_its_last_slash(address):
    """One server, one name."""
    server = resolve_server(address, None)
    assert server.base_url == "https://host.example/v1"
    assert server.root == "https://host.example"


def test_an_address_without_v1_is_its_own_root():
    """Nothing is cut off that is not there."""
    assert resolve_server("http://127.0.0.1:8000", None).root == "http://127.0.0.1:8000"


@pytest.mark.parametrize("address", ["", "host/v1", "ftp://host", "https://user:pw@host/v1"])
def test_what_is_no_address_is_refused_without_its_password(address):
    """In one sentence that names the option."""
    with pytest.raises(InputError, match="--base-url") as raised:
        resolve_server(address, None)
    assert "pw" not in str(raised.value).replace("--base-url", "")


def test_plain_http_to_another_machine_is_refused_where_a_key_would_go_there(monkeypatch):
    """It would be readable on its way; without one the address is the user's choice, and free."""
    monkeypatch.setenv("LAN_KEY", "a-key-of-the-house")
    with pytest.raises(InputError, match="unencrypted"):
        resolve_server("http://10.0.0.5:8000/v1", "LAN_KEY")
    with pytest.raises(InputError, match="unencrypted"):
        resolve_server("http://openrouter.ai/api/v1", None)
    server = resolve_server("http://10.0.0.5:8000/v1", None)
    assert (server.loopback, server.free, server.key_env) == (False, True, None)
    assert not resolve_server("https://10.0.0.5:8000/v1", "LAN_KEY").free


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/v1", "https://host.example/v1"])
def test_loopback_and_unknown_hosts_get_the_placeholder(address, monkeypatch):
    """Whatever keys the environment holds."""
    for name in KEYS.values():
        monkeypatch.setenv(name, KEY)
    server = resolve_server(address, None)
    assert server.key_env is None
    assert read_key(server) == PLACEHOLDER


@pytest.mark.parametrize(("host", "name"), KEYS.items())
def test_a_known_host_takes_its_own_key(host, name, monkeypatch):
    """And asks for it where it is missing."""
    address = f"https://{host}/api/v1"
    with pytest.raises(InputError, match=f"{name} holds no key"):
        resolve_server(address, None)
    monkeypatch.setenv(name, f" {KEY}\n")
    server = resolve_server(address, None)
    assert (server.key_env, read_key(server)) == (name, KEY)
    assert server.openrouter == (host == "openrouter.ai")


@pytest.mark.parametrize(
    "address",
    ["https://host.example/v1", "http://127.0.0.1:1/v1", "https://openrouter.ai.evil.example/v1"],
)
@pytest.mark.parametrize("name", KEYS.values())
def test_a_key_with_an_owner_goes_to_nobody_else(address, name, monkeypatch):
    """Not even when it is named."""
    monkeypatch.setenv(name, KEY)
    with pytest.raises(InputError, match="is not sent to"):
        resolve_server(address, name)
    assert resolve_server(address, None).key_env is None


def test_any_other_variable_serves_where_it_is_named(monkeypatch):
    """For this machine too; unset, it is asked for."""
    with pytest.raises(InputError, match="MY_KEY holds no key"):
        resolve_server("https://host.example/v1", "MY_KEY")
    monkeypatch.setenv("MY_KEY", KEY)
    for address in ("https://host.example/v1", "http://localhost:1/v1"):
        assert read_key(resolve_server(address, "MY_KEY")) == KEY


@pytest.mark.parametrize("given", [KEY, "0123456789abcdef", "abcdef0123456789abcdef"])
def test_a_key_given_in_place_of_a_name_is_not_shown(given):
    """It would stand on the screen and in the log."""
    with pytest.raises(InputError) as raised:
        resolve_server("https://host.example/v1", given)
    assert given not in str(raised.value)


@pytest.mark.parametrize("value", ["two words", "caf\u00e9-key", "a\nb"])
def test_a_key_that_cannot_stand_in_a_header_is_refused_unseen(value, monkeypatch):
    """Header injection and pasted prose alike."""
    monkeypatch.setenv("MY_KEY", value)
    with pytest.raises(InputError, match="MY_KEY") as raised:
        resolve_server("https://host.example/v1", "MY_KEY")
    assert value not in str(raised.value)


def test_a_server_shows_no_key(monkeypatch):
    """It holds a name."""
    monkeypatch.setenv("MY_KEY", KEY)
    assert KEY not in repr(resolve_server("https://host.example/v1", "MY_KEY"))
    assert Server("https://eu.api.openai.com/v1", None, False).openai


@pytest.mark.parametrize(
    "secret",
    [
        KEY,
        "hf_abcdefghijklmnop",
        "Bearer abc.def",
        "key=abc",
        "my-odd-secret-1",
        "sk-proj-ab**1234",
    ],
)
def test_what_is_or_looks_like_a_key_is_taken_out(secret, monkeypatch):
    """Of any sentence of a server."""
    monkeypatch.setenv("SOME_NAME", "my-odd-secret-1")
    shown = redacted(f"Incorrect key provided: {secret}, see docs.", "SOME_NAME")
    assert secret.split(" ")[-1].split("key=")[-1] not in shown
    assert "see docs" in shown
