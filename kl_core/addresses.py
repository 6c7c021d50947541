"""Addresses of servers: what one looks like, and which are of this machine alone."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from kl_core.errors import InputError


def is_loopback(host: str) -> bool:
    """Whether a host can only be this machine: localhost, 127.0.0.0/8 or ::1."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    if address.version == 4:
        return address in ipaddress.ip_network("127.0.0.0/8")
    return address == ipaddress.ip_address("::1")


def check_address(address: str, source: str, key: bool = True) -> bool:
    """Whether a usable address is on this machine.

    Args:
        source: the option or variable it comes from, for the sentence.
        key: whether a key or login goes there; without one, plain http is the user's choice.

    Raises:
        InputError: it is no address, or would send a key unencrypted.
    """
    parts = parsed(address)
    if parts is None:
        shown = re.sub(r"//[^/]*@", "//…@", address.split("?", 1)[0])
        raise InputError(
            f"{source} {shown!r} is not an address such as https://host/path: give scheme and "
            "host, without user, question mark or blanks"
        )
    loopback = is_loopback(parts.hostname or "")
    if parts.scheme == "http" and not loopback and key:
        raise InputError(
            f"{source} {address} would send a key unencrypted to {parts.hostname}: use https "
            "there, or http on this machine only"
        )
    return loopback


def parsed(address: str) -> SplitResult | None:
    """The parts of an address that can be used, None for one that cannot.

    No user, question mark, fragment or blanks: parsers of addresses disagree about those.
    """
    if re.search(r"[\s\\@?#\x00-\x1f]", address):
        return None
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        return None
    return parts
