"""Put two tokenisations of one text side by side: tokens of a file, tokens of a server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from kl_core.formats.align import Segment
from kl_core.formats.gaps import find_gaps
from kl_core.records import Token

WITH_PROMPT = "it shares a token of model 2 with the prompt, so it has no probability of its own"
OTHER_TEXT = "model 2's text is not that of the response from here on"
ENDED = "model 2's text ends before this token"
GOES_ON = "model 2's token here reaches beyond the response's last token"
NAMELESS = "the token has no name, so model 2's text cannot show it"


@dataclass(frozen=True, slots=True)
class ByteAlignment:
    """How the tokens of a response lie beside those of another tokenisation.

    Attributes:
        segments: in order; `local` are places among the other side's tokens.
        reasons: per file token why it lies in no segment; None where it does.
    """

    segments: tuple[Segment, ...]
    reasons: tuple[str | None, ...]


def align_bytes(
    tokens: Sequence[Token], others: Sequence[Token], text: str | None, skipped: int = 0
) -> ByteAlignment:
    """Cut both sides at the byte boundaries they share.

    One file token and one token of the other side are one to one where they begin and end
    at the same bytes and the bytes are equal; a special token only beside one of the same
    name. Bytes that a side does not tell are found in the text around them. A token without
    bytes or a name (some servers write parts of a character so, before the whole one)
    belongs to what follows it. From the first difference on nothing is matched.

    Args:
        tokens: the sampled tokens of the response.
        others: the same text as another tokenizer cuts it, after `skipped` bytes.
        text: the response text; it settles the bytes that the file does not give.
        skipped: bytes at the beginning that the other side has in a token of the prompt.
    """
    ours = _units(tokens, text)
    said = b"".join([each.data or b"" for each in takewhile(_known, ours)])
    theirs = _units(others, said[skipped:].decode("utf-8", "replace"))
    if skipped:
        theirs.insert(0, _Unit(0, 0, said[:skipped]))
    walk = _Walk(ours, theirs, len(tokens))
    walk.to_the_end()
    return ByteAlignment(tuple(walk.segments), tuple(walk.reasons))


@dataclass(frozen=True, slots=True)
class _Unit:
    """Tokens [start, end) with their bytes, None where not known; none for the prompt's part.

    `name` is that of a special token, whose bytes are b"".
    """

    start: int
    end: int
    data: bytes | None
    name: str = ""
    piece: str = ""


def _known(unit: _Unit) -> bool:
    return unit.data is not None


def _units(tokens: Sequence[Token], text: str | None) -> list[_Unit]:
    gaps = {gap.start: gap for gap in find_gaps(tokens, text)}
    units: list[_Unit] = []
    at = 0
    while at < len(tokens):
        token, gap = tokens[at], gaps.get(at)
        if gap is not None:
            units.append(_Unit(gap.start, gap.end, gap.data))
        else:
            name = token.piece if token.special else ""
            units.append(_Unit(at, at + 1, token.data, name, token.piece))
        at = units[-1].end
    return units


class _Walk:
    """Goes along both sides from shared boundary to shared boundary."""

    def __init__(self, ours: list[_Unit], theirs: list[_Unit], count: int) -> None:
        self.ours = ours
        self.theirs = theirs
        self.segments: list[Segment] = []
        self.reasons: list[str | None] = [None] * count
        self._a = 0
        self._b = 0

    def to_the_end(self) -> None:
        """Fill `segments` and `reasons`."""
        lost: str | None = None
        while lost is None and self._a < len(self.ours):
            mine, other = self.ours[self._a], self._other()
            special = mine.name or (other is not None and other.name)
            lost = self._special(mine, other) if special else self._stretch()
        if lost is not None:
            self._refuse(self.ours[self._a :], lost)

    def _other(self) -> _Unit | None:
        return self.theirs[self._b] if self._b < len(self.theirs) else None

    def _refuse(self, units: Sequence[_Unit], reason: str) -> None:
        for unit in units:
            self.reasons[unit.start : unit.end] = [reason] * (unit.end - unit.start)

    def _special(self, mine: _Unit, other: _Unit | None) -> str | None:
        """A special token on a side; returns why nothing after it can be matched."""
        if other is not None and mine.name == other.name:
            self._take(self._a + 1, self._b + 1)
            return None
        if not mine.name:
            name = other.name if other is not None else ""
            return f"model 2's text has the special token {name!r} before it, the response has not"
        self._refuse([mine], f"model 2's text has no special token {mine.name!r} here")
        self._a += 1
        return f"it comes after the special token {mine.name!r}, which model 2's text has not"

    def _stretch(self) -> str | None:
        """Ordinary tokens up to the next shared boundary; returns why there is none."""
        a, b = self._a, self._b
        left = right = b""
        while not left or len(left) != len(right):
            if len(left) <= len(right):
                if (why := _no_more(self.ours, a, ours=True)) is not None:
                    waiting = a > self._a and not right  # tokens without bytes, and no text
                    return NAMELESS if waiting else why
                left += self.ours[a].data or b""
                a += 1
            else:
                if (why := _no_more(self.theirs, b, ours=False)) is not None:
                    return why
                right += self.theirs[b].data or b""
                b += 1
            size = min(len(left), len(right))
            if left[:size] != right[:size]:
                return OTHER_TEXT
        self._take(a, b)
        return None

    def _take(self, a: int, b: int) -> None:
        """The units up to these ends belong together; with the prompt's part they are lost."""
        ours, theirs = self.ours[self._a : a], self.theirs[self._b : b]
        self._a, self._b = a, b
        if any(unit.start == unit.end for unit in theirs):
            self._refuse(ours, WITH_PROMPT)
            return
        places = ours[0].start, ours[-1].end, theirs[0].start, theirs[-1].end
        self.segments.append(Segment(*places))


def _no_more(units: Sequence[_Unit], at: int, *, ours: bool) -> str | None:
    """Why the unit cannot be added to a stretch of ordinary text; None where it can."""
    if at == len(units):
        return GOES_ON if ours else ENDED
    unit = units[at]
    if unit.name:
        return (
            f"model 2's tokens do not end where the special token {unit.name!r} stands"
            if ours
            else f"model 2's text has the special token {unit.name!r} here, the response has not"
        )
    if unit.data is None:
        whose = "the token" if ours else "model 2's token"
        return f"the bytes of {whose} {unit.piece!r} are not known: the text is lost here"
    return None
