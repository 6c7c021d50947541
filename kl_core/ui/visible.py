"""Token text made visible: what a browser would hide or obey is shown as a mark.

A mark is wrapped in OPEN … CLOSE, two private-use characters, so that the browser
side can set it apart; everything else is the text itself. Nothing is lost: each
character of the token appears, as itself or as its mark.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

OPEN, CLOSE = "\ue000", "\ue001"
_GLYPHS = {"\n": "⏎", "\r": "␍", "\t": "⇥", "\u00a0": "⍽"}
_JOINERS = "\u200c\u200d"
_HIDDEN_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_LONGEST_CHARACTER = 8  # tokens; a character is at most four bytes, joined emoji more


def show(text: str) -> str:
    """Display form of one token.

    Whitespace that would vanish (a run of spaces, trailing spaces, tabs, newlines) gets
    a glyph; control, bidirectional, zero-width and other invisible characters are
    escaped as `⟨U+202E⟩`. One space before a word stays a space.
    """
    out: list[str] = []
    for place, char in enumerate(text):
        if char == " ":
            out.append(_mark("·") if _space_shows(text, place) else char)
        elif char in _GLYPHS:
            out.append(_mark(_GLYPHS[char]))
        elif char in _JOINERS and _joins(text, place):
            out.append(char)
        elif _hidden(char):
            out.append(_mark(f"⟨U+{ord(char):04X}⟩"))
        else:
            out.append(char)
    return "".join(out)


def plain(text: str, limit: int = 60) -> str:
    """One-line display form without wrappers, leading space as `␣`; for labels."""
    shown = show(text).replace(OPEN, "").replace(CLOSE, "")
    shown = "␣" + shown[1:] if shown.startswith(" ") else shown
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def lines(text: str) -> str:
    """A longer text over its lines, without wrappers; what hides or turns it is escaped."""
    shown = "\n".join(show(line) for line in text.split("\n"))
    return shown.replace(OPEN, "").replace(CLOSE, "")


def join_characters(texts: Sequence[str], data: Sequence[bytes | None]) -> list[str | None]:
    """Texts with characters that are split over tokens put together.

    The token that starts such a character carries the whole of it, those that only
    continue it are None. Bytes that never become a character keep their own text.
    """
    out: list[str | None] = list(texts)
    place = 0
    while place < len(texts):
        end = _character_end(data, place)
        if end is not None:
            out[place] = b"".join(part or b"" for part in data[place:end]).decode()
            out[place + 1 : end] = [None] * (end - place - 1)
        place = end or place + 1
    return out


def _character_end(data: Sequence[bytes | None], start: int) -> int | None:
    """Where the character begun at `start` is complete; None if it is not split."""
    joined = data[start]
    if not joined or _decodes(joined):
        return None
    for end in range(start + 1, min(start + _LONGEST_CHARACTER, len(data))):
        part = data[end]
        if not part:
            return None
        joined += part
        if _decodes(joined):
            return end + 1
    return None


def _decodes(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _space_shows(text: str, place: int) -> bool:
    alone = place + 1 == len(text)
    return alone or text[place + 1].isspace() or (place > 0 and text[place - 1] in " \t\n\r")


def _joins(text: str, place: int) -> bool:
    """A joiner between two visible characters of one token does its proper work."""
    around = text[place - 1 : place] + text[place + 1 : place + 2]
    return len(around) == 2 and all(ord(char) > 127 and not _hidden(char) for char in around)


def _hidden(char: str) -> bool:
    if unicodedata.category(char) in _HIDDEN_CATEGORIES:
        return True
    return unicodedata.category(char) == "Zs" and char != " "


def _mark(glyph: str) -> str:
    return f"{OPEN}{glyph}{CLOSE}"
