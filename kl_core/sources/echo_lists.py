"""Lists that a server writes as log-probability by name: which of them have lost tokens.

Tokens that are written alike, such as parts of characters (U+FFFD), are one key there: one of
them stands for all, and the others are missing although they may be likely. Which ones, and how
likely they are, cannot be told from such a reply, so a list that has lost a token is no list.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SAME = 1e-3  # values of one token within a reply differ by no more


@dataclass(frozen=True, slots=True)
class Lists:
    """What is usual for the lists of one reply.

    Attributes:
        width: names of a list that has lost none; fewer than asked for where the server gives
            no more to any position.
        adds_own: the token itself stands beside the `width` likeliest where it is none of
            them; taken for granted where the reply does not tell.
    """

    width: int
    adds_own: bool

    def lost(self, listed: Mapping[str, Any], own: str, logprob: float) -> bool:
        """Whether tokens are missing from a list, or may be.

        A list is whole with `width` names, unless one of these is the token itself that was
        added to a list which lost another: it is the last then, and some name is unclear.

        Args:
            own, logprob: the token of this position and its value, NaN for none.
        """
        if len(listed) < self.width:
            return True
        if len(listed) > self.width or own not in listed or not _unclear(listed):
            return False
        values = [each for each in listed.values() if isinstance(each, int | float)]
        value = listed[own]
        if not isinstance(value, int | float) or math.isnan(logprob):
            return True
        other = not _clear(own) and abs(value - logprob) > SAME
        return other or (self.adds_own and value <= min(values))


def usual(lists: Sequence[Any], pieces: Sequence[str], top: int) -> Lists:
    """What is usual in a reply.

    Args:
        lists: one a token, objects where there is one.
        pieces: the tokens.
        top: how many names were asked for.
    """
    told = [(each, own) for each, own in zip(lists, pieces, strict=True) if isinstance(each, dict)]
    told = [(each, own) for each, own in told if each]
    surely = any(not _unclear(each) for each, _ in told)  # or all of them may have lost some
    width = min(top, max(len(each) for each, _ in told)) if surely else top
    longer = any(len(each) > top for each, _ in told)
    never = any(own not in each for each, own in told)
    return Lists(width, longer or not never)


def _unclear(listed: Mapping[str, Any]) -> bool:
    return not all(_clear(name) for name in listed)


def _clear(name: str) -> bool:
    """Whether a name may be told from others: no part of a character, not nothing."""
    return bool(name) and "\ufffd" not in name
