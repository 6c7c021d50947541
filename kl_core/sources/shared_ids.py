"""Whether two sides number their tokens alike, so that ids settle what strings leave open."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from kl_core.records import TokenDist

ENOUGH = 20  # different tokens seen on both sides with the same id
Lists = Iterable[TokenDist | None]


def same_vocabulary(dists1: Lists, dists2: Lists) -> bool:
    """True where every id that both sides use has the same bytes on both, ENOUGH of them.

    A part of a character is often written as U+FFFD, which says nothing; the ids of the tokens
    whose bytes are known tell whether the ids of these may be trusted.
    """
    first, second = _bytes_of(dists1), _bytes_of(dists2)
    shared = first.keys() & second.keys()
    return len(shared) >= ENOUGH and all(first[number] == second[number] for number in shared)


def keyed(dist: TokenDist) -> TokenDist:
    """The list with its ids as identities; as it is where a token has none."""
    ids = [token.id for token in dist.tokens]
    if dist.keys is not None or any(number is None for number in ids):
        return dist
    return replace(dist, keys=tuple(number for number in ids if number is not None))


def _bytes_of(dists: Lists) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    for dist in dists:
        for token in dist.tokens if dist is not None else ():
            if token.id is not None and token.data is not None and not token.special:
                found.setdefault(token.id, token.data)
    return found


def both_keyed(dist1: TokenDist, dist2: TokenDist) -> tuple[TokenDist, TokenDist]:
    """Both lists by id where both can be; one alone would never meet the other."""
    one, other = keyed(dist1), keyed(dist2)
    return (one, other) if one.keys is not None and other.keys is not None else (dist1, dist2)
