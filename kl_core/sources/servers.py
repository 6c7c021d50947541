"""OpenAI-shaped servers: where one is, and which key it gets."""

from __future__ import annotations

from dataclasses import dataclass

PLACEHOLDER = "no-key-needed"
"""Goes to servers that need no key; the client insists on one."""
KEYS = {"openrouter.ai": "OPENROUTER_API_KEY", "api.openai.com": "OPENAI_API_KEY"}
"""Hosts whose key has a usual name in the environment."""


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
    def openrouter(self) -> bool:
        """Whether OpenRouter's own fields are understood here."""
        raise NotImplementedError


def resolve_server(base_url: str, key_env: str | None) -> Server:
    """Check an address and find its key, without a call.

    A key goes only to a host it belongs to: the variables of KEYS to their hosts, any other
    variable where the user names it for this server.

    Raises:
        InputError: an address that cannot be used (no address, plain http to another machine),
            or a key that is named, or needed, and not set.
    """
    raise NotImplementedError
