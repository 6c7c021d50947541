"""Texts and numbers that no file, path or server takes, found anywhere in a configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

LEAST, MOST = -(2**63), 2**63 - 1
_FREE = {"texts", "system", "template", "extra_body"}
"""Fields whose texts are no names, paths or addresses: they may hold any character."""


def odd(record: msgspec.Struct, at: str = "") -> Iterator[str]:
    """Halves of characters, names and paths that are none, whole numbers beyond 64 bits.

    Args:
        at: the record's place, with a dot at its end.
    """
    for name in type(record).__struct_fields__:
        yield from _value(getattr(record, name), f"{at}{name}", name not in _FREE)


def _value(value: Any, at: str, named: bool) -> Iterator[str]:
    if isinstance(value, msgspec.Struct):
        yield from odd(value, f"{at}.")
    elif isinstance(value, tuple | list):
        for number, inner in enumerate(value):
            yield from _value(inner, f"{at}[{number}]", named)
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _value(name, f"a field's name in {at}", named)
            yield from _value(inner, f"{at}.{shown(name)}", named)
    elif isinstance(value, str):
        if re.search("[\ud800-\udfff]", value):
            yield (
                f"{at} holds half of a character (a lone surrogate, \\ud800 to \\udfff); write "
                "the whole character"
            )
        elif named and "\0" in value:
            yield f"{at} holds a zero byte, which no name or path has; take it out"
        elif named and value.startswith("~") and not _has_home(value):
            yield f"{at} begins with the home folder of nobody here ({value!r}); write it out"
    elif isinstance(value, int) and not LEAST <= value <= MOST:
        yield f"{at} is beyond 64 bits; give a whole number from {LEAST} to {MOST}"


def _has_home(path: str) -> bool:
    try:
        Path(path).expanduser()
    except RuntimeError:
        return False
    return True


def shown(name: Any) -> str:
    """A field's name for a sentence: short plain words as they are, others as an ellipsis."""
    plain = isinstance(name, str) and re.fullmatch(r"[A-Za-z_][\w.-]{0,39}", name, re.ASCII)
    return str(name) if plain and not looks_like_key(name) else "…"


_KEYS = re.compile(
    r"\b(?:sk|pk|rk|or|gsk|fw|hf|xai|tgp|nvapi|key|ghp)[-_](?=[\w-]*\d)[\w-]{12,}"
    r"|(?i:\bbearer\s+\S{8,}|\bbasic\s+[A-Za-z0-9+/=]{12,}\s*$)"
    r"|\bAIza[\w-]{20,}|\bya29\.[\w.-]{10,}|\bAQ\.[\w-]{20,}|\beyJ[\w-]{10,}\.[\w-]+",
    re.ASCII,
)


def looks_like_key(text: str) -> bool:
    """Whether a text holds what the keys of the usual providers look like."""
    return _KEYS.search(text) is not None
