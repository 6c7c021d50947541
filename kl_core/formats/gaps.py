"""Bytes of tokens that the file does not give, taken from the response text around them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from kl_core.records import Token

_REPLACED = "\ufffd"
_REPLACED_BYTES = _REPLACED.encode()
_WHITE = b" \t\r\n\f\v"
_SURE = 8  # so many known bytes after a gap are hardly met elsewhere by accident


@dataclass(frozen=True, slots=True)
class Gap:
    """Tokens [start, end) of unknown bytes, and the bytes they add together."""

    start: int
    end: int
    data: bytes


def find_gaps(tokens: Sequence[Token], text: str | None) -> list[Gap]:
    """The gaps that the text settles, in order; none from the first that it does not.

    The known bytes before and after a gap must stand in the text, which may be stripped
    at either end and may show or leave out the names of special tokens. A character that
    is broken in the text itself (U+FFFD) settles nothing.
    """
    runs = _unknown_runs(tokens)
    if not text or not runs:
        return []
    matchers = [_Matcher(tokens, runs, text, names) for names in (False, True)]
    return max([each.gaps(loose) for loose in (False, True) for each in matchers], key=len)


def _unknown_runs(tokens: Sequence[Token]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for n, token in enumerate(tokens):
        if token.data is None and not token.special:
            if runs and runs[-1][1] == n:
                runs[-1] = (runs[-1][0], n + 1)
            else:
                runs.append((n, n + 1))
    return runs


class _Matcher:
    """Walks through the text from known part to known part."""

    def __init__(
        self, tokens: Sequence[Token], runs: Sequence[tuple[int, int]], text: str, names: bool
    ) -> None:
        self._tokens = tokens
        self._runs = runs
        self._names = names
        first, last = self._known(0, runs[0][0]), self._known(runs[-1][1], len(tokens))
        if runs[0][0] == 0:
            first = tokens[0].piece.encode("utf-8", "replace")
        # outer white space is as the tokens have it
        lead = first[: len(first) - len(first.lstrip(_WHITE))]
        trail = last[len(last.rstrip(_WHITE)) :]
        self._text = lead + text.encode("utf-8", "replace").strip(_WHITE) + trail

    def _known(self, start: int, end: int) -> bytes:
        """The bytes of known tokens [start, end), with special names or without."""
        return b"".join(
            [
                token.piece.encode() if token.special and self._names else token.data or b""
                for token in self._tokens[start:end]
            ]
        )

    def gaps(self, loose: bool) -> list[Gap]:
        """The gaps up to the first that cannot be settled; `loose` takes any bytes as one."""
        at = len(self._known(0, self._runs[0][0]))
        if self._text[:at] != self._known(0, self._runs[0][0]):
            return []
        found = []
        stops = [start for start, _ in self._runs[1:]] + [len(self._tokens)]
        for (start, end), stop in zip(self._runs, stops, strict=True):
            after = self._known(end, stop)
            last = stop == len(self._tokens)
            if not after and not last:
                break
            match = self._pattern(start, end, after, last).match(self._text, at)
            if match is None and loose and (last or len(after) >= _SURE):
                match = _whatever(after, last).match(self._text, at)
            if match is None or _REPLACED_BYTES in match[1]:
                break
            found.append(Gap(start, end, match[1]))
            at = match.end(1) + len(after)
        return found

    def _pattern(self, start: int, end: int, after: bytes, last: bool) -> re.Pattern[bytes]:
        """What a run must look like: U+FFFD stands for bytes that are no ASCII."""
        shown = "".join([token.piece or _REPLACED for token in self._tokens[start:end]])
        parts = [
            rb"[\x80-\xff]{%d,}?" % len(part)
            if part[:1] == _REPLACED
            else re.escape(part.encode("utf-8", "replace"))
            for part in re.split(f"({_REPLACED}+)", shown)
            if part
        ]
        stop = rb"\Z" if last and not after else b""
        return re.compile(rb"(%b)(?=%b%b)" % (b"".join(parts), re.escape(after), stop))


def _whatever(after: bytes, last: bool) -> re.Pattern[bytes]:
    """Any bytes up to the known ones: some servers show a whole token as one U+FFFD."""
    end = rb"\Z" if last else b""
    return re.compile(rb"(.+?)(?=%b%b)" % (re.escape(after), end), re.DOTALL)
