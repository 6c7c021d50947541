"""Text that must not be read as markup, where only markdown is drawn: captions and labels."""

from __future__ import annotations

import re

_SPECIAL = re.compile(r"([\\\[\]`*_$<>!#|~])")


def inert(text: str) -> str:
    """The text with its signs escaped; worker messages may quote a file."""
    return re.sub(r":(?=\S)", ": ", _SPECIAL.sub(r"\\\1", text))
