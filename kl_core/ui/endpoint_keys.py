"""Which environment variable holds a server's key, and whether it is set; never a key itself."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from kl_core import addresses

USUAL = {"openrouter.ai": "OPENROUTER_API_KEY", "api.openai.com": "OPENAI_API_KEY"}
"""Hosts that need a key, with the variable that holds it as a rule."""
_NAME = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")


def usual(base_url: str | None) -> str | None:
    """The variable a server's key is looked for in when none is named."""
    parts = addresses.parsed(base_url or "")
    return None if parts is None else USUAL.get(parts.hostname or "")


def name_problem(name: str | None) -> str | None:
    """Why this cannot name a variable, without repeating it: it may be a key.

    Capitals alone are taken, as nearly every key has small letters or hyphens.
    """
    if not name or _NAME.fullmatch(name):
        return None
    return (
        "the field for the key takes the name of a variable, in capitals, such as "
        "OPENROUTER_API_KEY; the key itself belongs in the environment and nowhere else"
    )


def problem(
    base_url: str | None, name: str | None, environment: Mapping[str, str] = os.environ
) -> str | None:
    """What has to be done about the key before anything can be asked; None where nothing."""
    if name_problem(name):
        return name_problem(name)
    wanted = name or usual(base_url)
    if wanted is None or environment.get(wanted, "").strip():
        return None
    return f"set {wanted}, which holds the server's key, in the environment and start the app again"


def sentence(
    base_url: str | None, name: str | None, environment: Mapping[str, str] = os.environ
) -> str:
    """What is sent as a key; empty where that cannot be said yet."""
    parts = addresses.parsed(base_url or "")
    if parts is None or problem(base_url, name, environment):
        return ""
    wanted = name or usual(base_url)
    if wanted is None:
        return "No key is sent; name a variable where the server wants one."
    return f"{wanted} is set; its key goes to {parts.hostname} and nowhere else."
