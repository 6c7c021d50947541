"""What one model said after every text it came to, over all its responses to a prompt."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from kl_core import measures
from kl_core.records import Response, TokenDist
from kl_core.sources.prefix_keys import prefix_keys

NOISE = 1e-3  # one list, computed twice by one machine, may differ by so much probability


@dataclass(slots=True)
class PrefixLists:
    """The prefix trie of a prompt, flat: key of a text → the list at it.

    Attributes:
        lists: None where the model came to the text and gave no usable list. Of several
            lists at one text, which should be equal, the first.
        differing: texts at which two lists differ by more than NOISE.
        apart: the largest difference of one token's probability between two lists of a text.
    """

    lists: dict[bytes, TokenDist | None] = field(default_factory=dict)
    differing: set[bytes] = field(default_factory=set)
    apart: float = 0.0

    def add(self, prompt: bytes, response: Response) -> None:
        """Take in a response to the prompt with this key."""
        if response.error:
            return
        keys, _ = prefix_keys(prompt, response)
        for key, position in zip(keys, response.positions, strict=True):
            if key is not None:
                self._put(key, position.dist if position.reason is None else None)

    def merge(self, other: PrefixLists) -> None:
        """Take in what was said in another file."""
        for key, dist in other.lists.items():
            self._put(key, dist)
        self.differing |= other.differing
        self.apart = max(self.apart, other.apart)

    def _put(self, key: bytes, dist: TokenDist | None) -> None:
        first = self.lists.setdefault(key, dist)
        if first is dist or dist is None:
            return
        if first is None:
            self.lists[key] = dist
            return
        apart = difference(first, dist)
        if apart > NOISE:
            self.differing.add(key)
            self.apart = max(self.apart, apart)


def difference(one: TokenDist, other: TokenDist) -> float:
    """The largest difference of a token's probability that two lists show.

    A token that only one of them holds differs from the other's least likely one, at least.
    """
    if one.logprobs == other.logprobs and one.tokens == other.tokens:
        return 0.0
    return max(_beyond(one, other), _beyond(other, one))


def _beyond(one: TokenDist, other: TokenDist) -> float:
    known = {
        measures.identity(token): logprob
        for token, logprob in zip(other.tokens, other.logprobs, strict=True)
        if measures.identified(token)
    }
    least = min(other.logprobs[: other.listed], default=-math.inf)
    largest = 0.0
    for token, logprob in zip(one.tokens, one.logprobs, strict=True):
        if not measures.identified(token):
            continue
        there = known.get(measures.identity(token))
        if there is not None:
            largest = max(largest, abs(math.exp(logprob) - math.exp(there)))
        else:
            largest = max(largest, math.exp(logprob) - math.exp(least))
    return largest
