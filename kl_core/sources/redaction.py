"""Sentences of servers without anything that is, or looks like, a key."""

from __future__ import annotations

import os
import re

_LOOKS = re.compile(
    r"\b(?:sk|pk|rk|or|gsk|fw|hf|xai|tgp|nvapi|key)[-_][\w*.-]{8,}"
    r"|(?i:(?<=bearer )|(?<=api[_-]key=)|(?<=key=)|(?<=token=))[^\s&\"',;}]+"
    r"|AIza[\w-]{10,}|ya29\.[\w.-]+|AQ\.[\w.-]{10,}|eyJ[\w-]{10,}\.[\w.-]+"
)
_NAMES = re.compile(r"KEY|TOKEN|SECRET|PASSWORD", re.IGNORECASE)
SHORTEST = 8  # of what the environment holds; shorter words are no keys


def redacted(text: str, key_env: str | None = None) -> str:
    """`text` with … in place of keys: those of the environment, and what looks like one.

    Args:
        key_env: a variable that holds a key, whatever it is called.
    """
    for name, value in os.environ.items():
        key = value.strip()
        if len(key) >= SHORTEST and (name == key_env or _NAMES.search(name)):
            text = text.replace(key, "…")
    return _LOOKS.sub("…", text)
