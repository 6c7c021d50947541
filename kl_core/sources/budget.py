"""Ask only a share of the positions: which ones, and what follows for the mean KL.

A response is a stratum; in it positions are drawn one after another, with chances by
`numeric.ordered_sampling.draw_weights`. Which positions are drawn depends on the seed and
the place of the response alone, so a resumed run draws the same ones.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kl_core import measures
from kl_core.errors import InputError
from kl_core.numeric import ordered_sampling
from kl_core.numeric.ordered_sampling import Draws
from kl_core.numeric.stratified_bets import stratified_interval
from kl_core.records import Estimate, Floats, Response

DEFAULT_CAP = 20.0


@dataclass(frozen=True, slots=True)
class Drawable:
    """One response as the draw sees it, T positions.

    Attributes:
        slot: its slot in the entry.
        askable: positions that can be asked, in order.
        entropy1, surprisal1: [T] of model 1, nats, NaN where not known (surprisal is
            −log P of the sampled token).
    """

    slot: int
    askable: tuple[int, ...]
    entropy1: Floats
    surprisal1: Floats

    def weights(self, positions: Sequence[int]) -> Floats:
        """Draw weights of all askable positions, at those given."""
        askable = np.asarray(self.askable, dtype=np.int64)
        every = ordered_sampling.draw_weights(self.entropy1[askable], self.surprisal1[askable])
        return np.asarray(every[np.searchsorted(askable, positions)], dtype=np.float64)


def drawable(response: Response, askable: Sequence[int]) -> Drawable:
    """A response with what model 1's log-probabilities tell of each position."""
    known = measures.unscored(response).measures
    return Drawable(response.index, tuple(askable), known.entropy1, -known.logprob1)


@dataclass(frozen=True, slots=True)
class Budget:
    """A share of all calls.

    Attributes:
        share: in (0, 1]; 1 asks everything.
        seed: the only source of chance.
        cap: nats; the largest KL that a position is taken to have, for the intervals alone.

    Raises:
        InputError: the share or the cap makes no sense.
    """

    share: float
    seed: int = 0
    cap: float = DEFAULT_CAP

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise InputError(f"--budget is {self.share}: give a share above 0 and at most 1")
        if not 0 < self.cap < math.inf:
            raise InputError(f"the largest KL of a position is {self.cap} nats: give one above 0")

    def plan(
        self, file: str, entry_index: int, responses: Sequence[Drawable]
    ) -> tuple[tuple[int, ...], ...]:
        """The positions to ask, one tuple a response, in the order of the draws.

        The share holds over the entry to within one position (what one response leaves over
        goes to the next, beginning at a random fraction), but every response that can be
        asked at all is asked once at least.
        """
        start = float(self._rng(file, entry_index, -1).random())
        counts = _counts(self.share, [len(each.askable) for each in responses], start)
        plans = zip(responses, counts, strict=True)
        return tuple(self._draw(file, entry_index, each, count) for each, count in plans)

    def _draw(self, file: str, entry_index: int, each: Drawable, count: int) -> tuple[int, ...]:
        if not each.askable:
            return ()
        weights = each.weights(each.askable)
        order = ordered_sampling.draw_order(weights, self._rng(file, entry_index, each.slot))
        return tuple(each.askable[place] for place in order[:count])

    def _rng(self, file: str, entry_index: int, slot: int) -> np.random.Generator:
        place = f"{self.seed}\0{file}\0{entry_index}\0{slot}".encode("utf-8", "surrogatepass")
        return np.random.default_rng(int.from_bytes(hashlib.blake2b(place).digest()[:16], "big"))


def response_estimate(
    response: Drawable, drawn: Sequence[int], kl: Floats, cap: float = DEFAULT_CAP
) -> Estimate | None:
    """What the drawn positions tell of a response's mean KL.

    Args:
        response: as it was drawn from.
        drawn: positions in the order of the draws, as Budget.plan gave them.
        kl: [T] headline KL(P‖Q), nats, NaN where a call failed or its answer cannot be
            compared. Such a position is left out as if it had not been askable; positions
            that were not drawn count as answerable. Values besides the draws are not used.
        cap: of the budget.

    Returns:
        None where no draw was answered. Exact (low = mean = high) where nothing is left.
    """
    sample = _sample(response, drawn, kl)
    return None if sample is None else _estimate([sample], cap)


def entry_estimate(
    responses: Sequence[Drawable],
    drawn: Sequence[Sequence[int]],
    kl: Sequence[Floats],
    cap: float = DEFAULT_CAP,
) -> Estimate | None:
    """The same for the mean over all askable positions of an entry's responses.

    Responses without an answered draw are left out; `of` counts the others' positions.
    """
    each = zip(responses, drawn, kl, strict=True)
    samples = [sample for one in each if (sample := _sample(*one)) is not None]
    return _estimate(samples, cap) if samples else None


def _sample(response: Drawable, drawn: Sequence[int], kl: Floats) -> Draws | None:
    answered = [position for position in drawn if not math.isnan(kl[position])]
    if not answered:
        return None
    failed = set(drawn) - set(answered)
    population = [position for position in response.askable if position not in failed]
    order = np.searchsorted(population, answered)
    weights = response.weights(population)
    return ordered_sampling.draws(kl[answered], weights, order.astype(np.int64))


def _estimate(samples: Sequence[Draws], cap: float) -> Estimate:
    mean, variance = ordered_sampling.stratified_des_raj(samples)
    low, high = stratified_interval(samples, cap)
    asked = sum(len(sample.values) for sample in samples)
    of = sum(sample.of for sample in samples)
    if asked == of:
        low = high = mean
    return Estimate(mean, low, high, variance, asked, of, cap)


def _counts(share: float, sizes: Sequence[int], start: float) -> list[int]:
    """How many of each size: the sums keep to the share, at least 1 of every size above 0."""
    counts: list[int] = []
    owed = start
    for size in sizes:
        owed += share * size
        count = min(max(math.floor(owed), 1), size) if share < 1 else size
        owed -= count
        counts.append(count)
    return counts
