"""Find the K prompts whose responses diverge most, asking as little as possible. No I/O.

Differences of knowledge sit at single words, and the responses to one prompt repeat each
other's phrases. So the first round asks every prompt once for each *local context* (the
tokens just before a position), at positions where a word may start; a position not asked
takes the mean of those with the same local context. Prompts that fall clearly behind are
left; those that may be among the K are asked at all words, then the K at what is wanted of
them. Measured in benchmarks/bench_budget.py against other orders.

What the search asked was not drawn by chance: no estimate or interval follows from it, and a
prompt that was left has none. The K winners get theirs from `wanted`: every position, or the
draws of a Budget, which know nothing of the search and are therefore valid after it.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from kl_core.errors import InputError
from kl_core.records import Ints, Position, Response
from kl_core.sources.calls import Context

Place = tuple[int, int]  # (slot, position)
LOCAL_TOKENS = 3
NEAR = 0.6  # of the score of the K-th: who comes so close stays, up to 2 K + 3 prompts
_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Stratum:
    """One response as the search sees it.

    Attributes:
        slot: its slot in the entry.
        positions: the askable ones.
        contexts: a key of each one's context; equal keys cost one call.
        local: a key of what stands just before each one, see `local_contexts`.
        starts: where a word may start, see `word_starts`.
        wanted: what is asked of a winner: `positions`, or a Budget's draws from them.
    """

    slot: int
    positions: tuple[int, ...]
    contexts: tuple[Hashable, ...]
    local: tuple[Hashable, ...]
    starts: tuple[bool, ...]
    wanted: tuple[int, ...]


def stratum(
    response: Response, contexts: Sequence[Context | None], wanted: Sequence[int] | None = None
) -> Stratum:
    """A response for the search.

    Args:
        response: T positions.
        contexts: [T], None where a position cannot be asked.
        wanted: of a winner; None for every askable position.
    """
    askable = [place for place, context in enumerate(contexts) if context is not None]
    local, starts = local_contexts(response.positions), word_starts(response.positions)
    return Stratum(
        slot=response.index,
        positions=tuple(askable),
        contexts=tuple(context.key for context in contexts if context is not None),
        local=tuple(local[place] for place in askable),
        starts=tuple(starts[place] for place in askable),
        wanted=tuple(askable if wanted is None else wanted),
    )


@dataclass(frozen=True, slots=True)
class Ranked:
    """One prompt of the ranking, best first.

    Attributes:
        score: mean KL in nats with unasked positions filled in; for sorting, no estimate.
        won: among the K.
    """

    prompt: Hashable
    score: float
    won: bool


def local_contexts(positions: Sequence[Position], tokens: int = LOCAL_TOKENS) -> list[Hashable]:
    """A key a position: the tokens just before it, and where the response begins."""
    pieces = ["", *(position.token.piece for position in positions)]
    return [tuple(pieces[max(0, end - tokens) : end]) for end in range(1, len(pieces))]


def word_starts(positions: Sequence[Position]) -> list[bool]:
    """False where a token goes on with a word that the token before it began.

    Only letters of scripts with capitals and spaces make such words; digits, signs,
    Chinese characters and whatever is not known may start something anywhere.
    """
    texts = ["", *(position.token.text for position in positions)]
    return [not (_cased(before[-1:]) and _cased(text[:1])) for before, text in pairwise(texts)]


def _cased(letter: str) -> bool:
    return letter.lower() != letter.upper()


class _Prompt:
    """What is known of one prompt; all arrays are over its askable positions, joined."""

    def __init__(self, strata: Sequence[Stratum]) -> None:
        self.places: list[Place] = [(s.slot, p) for s in strata for p in s.positions]
        self.context = _numbered(key for s in strata for key in s.contexts)
        self.local = _numbered(key for s in strata for key in s.local)
        self.starts = np.array([each for s in strata for each in s.starts], dtype=np.bool_)
        wanted = {(s.slot, p) for s in strata for p in s.wanted}
        self.wanted = np.array([place in wanted for place in self.places], dtype=np.bool_)
        self.kl = np.full(len(self.places), np.nan)
        self.asked = np.zeros(len(self.places), dtype=np.bool_)

    def still(self, chosen: np.ndarray) -> list[Place]:
        """The chosen places not asked yet, one for each context."""
        rows = np.flatnonzero(chosen & ~self.asked)
        _, first = np.unique(self.context[rows], return_index=True)
        return [self.places[row] for row in rows[np.sort(first)]]

    def new_starts(self) -> np.ndarray:
        """[N] where a word may start, once for each local context."""
        rows = np.flatnonzero(self.starts)
        chosen = np.zeros(len(self.places), dtype=np.bool_)
        chosen[rows[np.unique(self.local[rows], return_index=True)[1]]] = True
        return chosen

    def take(self, asked: Sequence[Place], found: Mapping[Place, float]) -> None:
        """Note the answers; what was asked and has none is not asked again."""
        row_of = {place: row for row, place in enumerate(self.places)}
        contexts = self.context[[row_of[place] for place in asked]]
        values = np.full(len(self.places), np.nan)
        values[contexts] = [found.get(place, np.nan) for place in asked]
        now = np.isin(self.context, contexts)
        self.kl[now] = values[self.context[now]]
        self.asked |= now

    def score(self) -> float:
        """Mean of what is known, of equal local contexts, and 0 for the rest; nats."""
        known = ~np.isnan(self.kl)
        if not known.any():
            return 0.0
        size = int(self.local.max()) + 1
        totals = np.bincount(self.local[known], self.kl[known], minlength=size)
        counts = np.bincount(self.local[known], minlength=size)
        likely = (totals / np.maximum(counts, 1))[self.local]
        lost = self.asked & ~known
        return float(np.where(known, self.kl, likely)[~lost].mean())


class TopPrompts:
    """The search: `add` every prompt, then `ask` and `tell` until nothing is asked.

    Args:
        k: how many prompts are looked for, from 1.

    Raises:
        InputError: k is not positive.
    """

    def __init__(self, k: int) -> None:
        if k < 1:
            raise InputError(f"--top-prompts is {k}: give at least 1")
        self._k = k
        self._round = 0
        self._prompts: dict[Hashable, _Prompt] = {}
        self._left_in: dict[Hashable, int] = {}
        self._open: dict[Hashable, list[Place]] = {}

    def add(self, prompt: Hashable, strata: Sequence[Stratum]) -> None:
        """Take part; before the first round. One without askable positions scores 0."""
        self._prompts[prompt] = _Prompt(strata)

    def ask(self) -> dict[Hashable, list[Place]]:
        """The next round's calls; a prompt that needs none is not named. Empty at the end.

        Every prompt named must be told before the next round.
        """
        while not self._open and self._round < _ROUNDS:
            self._leave()
            self._round += 1
            rounds = {prompt: self._chosen(self._prompts[prompt]) for prompt in self._alive()}
            self._open = {prompt: places for prompt, places in rounds.items() if places}
        return {prompt: list(places) for prompt, places in self._open.items()}

    def tell(self, prompt: Hashable, found: Mapping[Place, float]) -> None:
        """The answers to a prompt's calls of this round, nats; none for those that failed."""
        self._prompts[prompt].take(self._open.pop(prompt), found)

    def finished(self) -> set[Hashable]:
        """Prompts of which nothing more will be asked."""
        if self._round < _ROUNDS:
            return set(self._left_in)
        return set(self._prompts) - set(self._open)

    def ranking(self) -> list[Ranked]:
        """All prompts: those that stayed longest first, then by score."""
        scores = {prompt: each.score() for prompt, each in self._prompts.items()}
        order = sorted(
            scores, key=lambda prompt: (-self._left_in.get(prompt, _ROUNDS), -scores[prompt])
        )
        return [
            Ranked(prompt, scores[prompt], won=place < self._k and prompt not in self._left_in)
            for place, prompt in enumerate(order)
        ]

    def _alive(self) -> list[Hashable]:
        return [prompt for prompt in self._prompts if prompt not in self._left_in]

    def _chosen(self, prompt: _Prompt) -> list[Place]:
        if self._round == 1:
            return prompt.still(prompt.new_starts())
        return prompt.still(prompt.starts if self._round == 2 else prompt.wanted)

    def _leave(self) -> None:
        """Before the second round all but those near the K best, before the last all but K + 1."""
        if self._round == 0:
            return
        alive = [each for each in self.ranking() if each.prompt not in self._left_in]
        keep = self._k + 1
        if self._round == 1 and len(alive) > keep:
            near = alive[self._k - 1].score * NEAR
            keep = min(max(sum(each.score >= near for each in alive), keep), 2 * keep + 1)
        for each in alive[keep:]:
            self._left_in[each.prompt] = self._round


def _numbered(keys: Iterable[Hashable]) -> Ints:
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)
