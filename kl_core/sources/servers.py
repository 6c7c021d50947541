"""OpenAI-shaped servers: where one is, and which key it gets."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from kl_core.addresses import check_address
from kl_core.errors import InputError

PLACEHOLDER = "no-key-needed"
"""Goes to servers that need no key; the client insists on one."""
KEYS = {"openrouter.ai": "OPENROUTER_API_KEY", "api.openai.com": "OPENAI_API_KEY"}
"""Hosts whose key has a usual name in the environment."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class Server:
    """An address and the name of the variable that holds its key; never a key.

    Attributes:
        base_url: ends in `/v1` as a rule, without a slash at its end.
        key_env: None sends the placeholder.
        loopback: the address is on this machine.
    """

    base_url: str
    key_env: str | None
    loopback: bool

    @property
    def free(self) -> bool:
        """Whether nobody charges for it: nobody can whom no key tells who asks."""
        return self.loopback or self.key_env is None

    @property
    def host(self) -> str:
        """The machine's name, in small letters."""
        return urlsplit(self.base_url).hostname or ""

    @property
    def openrouter(self) -> bool:
        """Whether OpenRouter's own fields are understood here."""
        return _belongs(self.host, "openrouter.ai")

    @property
    def openai(self) -> bool:
        """OpenAI itself, which refuses fields that it does not know."""
        return _belongs(self.host, "api.openai.com")

    @property
    def root(self) -> str:
        """The address above `/v1`, where a server has routes of its own."""
        return self.base_url.removesuffix("/v1")


def resolve_server(base_url: str, key_env: str | None) -> Server:
    """Check an address and find its key, without a call.

    A key goes only to a host it belongs to: the variables of KEYS to their hosts, any other
    variable where the user names it for this server.

    Raises:
        InputError: an address that cannot be used (no address, or plain http with a key to
            another machine), or a key that is named, or needed, and not set.
    """
    check_address(base_url, "--base-url", key=False)
    address = base_url.rstrip("/")
    host = urlsplit(address).hostname or ""
    usual = next((name for owner, name in KEYS.items() if _belongs(host, owner)), None)
    if key_env is not None:
        _check_name(key_env, host)
    name = key_env or usual
    loopback = check_address(base_url, "--base-url", key=name is not None)
    server = Server(address, name, loopback)
    read_key(server)
    return server


def read_key(server: Server) -> str:
    """The key of the moment, or the placeholder; for the client alone, never to be kept or shown.

    Raises:
        InputError: the variable is not set, or what it holds cannot stand in a header.
    """
    if server.key_env is None:
        return PLACEHOLDER
    key = os.environ.get(server.key_env, "").strip()
    shown = server.key_env if re.fullmatch(r"[A-Z][A-Z0-9_]*", server.key_env) else "that is named"
    if not key:
        raise InputError(
            f"the variable {shown} holds no key for {server.host}: set it in the environment, or "
            "name another with --key-env"
        )
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise InputError(
            f"what the variable {shown} holds is no key (blanks or odd characters): set it again"
        )
    return key


def _check_name(key_env: str, host: str) -> None:
    if not _NAME.fullmatch(key_env):  # it may be a key, so it is not shown
        raise InputError(
            "--key-env takes the name of an environment variable, such as OPENROUTER_API_KEY, and "
            "never the key itself"
        )
    for owner, name in KEYS.items():
        if key_env == name and not _belongs(host, owner):
            raise InputError(
                f"{name} is a key for {owner} and is not sent to {host}: put the key for {host} "
                "into a variable of its own and name that with --key-env"
            )


def _belongs(host: str, owner: str) -> bool:
    return host == owner or host.endswith(f".{owner}")
