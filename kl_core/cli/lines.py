"""Prose in a terminal: wrapped at words, never cut; whole lines where nothing is a terminal."""

from __future__ import annotations

import shutil
import sys
import textwrap
from typing import TextIO

NARROWEST = 20


def wrapped(text: str, indent: int = 0, hang: int = 0, stream: TextIO | None = None) -> str:
    """`text` as lines that fit the terminal of `stream` (standard output); one line elsewhere.

    Args:
        indent: blanks before every line.
        hang: more blanks before all lines but the first.
    """
    stream = stream or sys.stdout
    first, rest = " " * indent, " " * (indent + hang)
    if not stream.isatty():
        return first + text
    width = max(shutil.get_terminal_size().columns, NARROWEST + indent + hang)
    lines = textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_on_hyphens=False,
    )
    return "\n".join(lines) or first


def say(text: str, indent: int = 0, hang: int = 0, stream: TextIO | None = None) -> None:
    """Print it."""
    print(wrapped(text, indent, hang, stream), file=stream or sys.stdout)
