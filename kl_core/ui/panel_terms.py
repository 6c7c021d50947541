"""What each candidate adds to the KL at one position, and what would tighten the bound.

Works on one row of the store's `tokens`; P is model 1, Q model 2, all in nats. The figures
come from `numeric`; nothing is estimated here a second time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from kl_core.numeric.lower_bound import lower_kl
from kl_core.numeric.topk import (
    EMPTY,
    ROUNDING,
    TopK,
    cap,
    match,
    rest,
    smallest_listed,
    union,
)

TENTH = 10.0
"""The bound is tried with unknown values at one tenth of the most they can be."""
LITTLE = 0.02  # share of the bound, or nats, below which a change is not worth the trouble
Where = Literal["ask2", "ask1", "longer"]


@dataclass(frozen=True, slots=True)
class Terms:
    """What the candidates add to the KL shown.

    Attributes:
        of: candidate key → nats; absent where the KL shown holds no term of it.
        assumed: keys whose term rests on a list's smallest entry standing in for a value.
        others: what everything not listed adds (whole vocabularies only), else None.
    """

    of: dict[int, float]
    assumed: frozenset[int]
    others: float | None = None


@dataclass(frozen=True, slots=True)
class Lever:
    """The knowledge that would raise the certified bound most.

    Attributes:
        where: ask model 2 for model 1's candidates, ask model 1 for model 2's, or a
            longer list of model 1 (and model 2's values for it).
        count: how many candidates are asked for; 0 for a longer list.
        mass: probability of model 1 (for `ask1` of model 2) that is open there.
        bound: the bound, were these values a tenth of the most they can be.
    """

    where: Where
    count: int
    mass: float
    bound: float


def side(candidates: list[dict[str, Any]] | None) -> TopK:
    """One position's list as arrays [1, K]; an absent list is one empty column."""
    found = candidates or []
    if not found:
        nothing = np.array([[False]])
        return TopK(np.array([[EMPTY]]), np.array([[-np.inf]]), nothing)
    return TopK(
        np.array([[one["key"] for one in found]], dtype=np.int64),
        np.array([[one["logprob"] for one in found]], dtype=np.float64),
        np.array([[bool(one["listed"]) for one in found]]),
    )


def terms(token: dict[str, Any], measure: str | None) -> Terms:
    """What each candidate adds to the row's `kl`; empty where there is no KL.

    Under `floor` the terms are those of the estimate itself, both lists renormalised over
    their union with the k-th probability for what is missing, so that they sum to it.
    Under `full` they are p·ln(p/q) of candidates known on both sides, and `others`.
    """
    if token["kl"] is None or not token["top1"] or not token["top2"]:
        return Terms({}, frozenset())
    p, q = side(token["top1"]), side(token["top2"])
    return _exact(p, q, token["kl"]) if measure == "full" else _of_the_estimate(p, q)


def _of_the_estimate(p: TopK, q: TopK) -> Terms:
    logp, logq = (values[0] for values in union(p, q))
    keys = np.concatenate([p.ids[0], q.ids[0]])
    in_q, _ = match(p.listed_only(), q.listed_only())
    guessed = np.concatenate([~in_q[0], np.ones(q.ids.shape[1], dtype=bool)])
    found = {
        int(keys[i]): _term(float(logp[i]), float(logq[i]))
        for i in range(len(keys))
        if np.isfinite(logp[i])
    }
    assumed = {int(keys[i]) for i in range(len(keys)) if np.isfinite(logp[i]) and guessed[i]}
    return Terms(found, frozenset(assumed))


def _exact(p: TopK, q: TopK, kl: float) -> Terms:
    p, q = p.identified(), q.identified()
    shared, q_at_p = match(p, q)
    found = {
        int(p.ids[0, i]): _term(float(p.logp[0, i]), float(q_at_p[0, i]))
        for i in np.flatnonzero(shared[0])
    }
    others = kl - sum(found.values())
    return Terms(found, frozenset(), others if math.isfinite(others) else None)


def most(candidates: list[dict[str, Any]] | None) -> float | None:
    """The most ln-probability of a token that the list does not identify; None for no limit.

    Not more than the smallest entry and not more than the rest, unless it is a candidate
    of unknown identity: any token may be one of these. A rest within rounding is no proof.
    """
    known = side(candidates)
    smallest, left = float(smallest_listed(known)[0]), float(rest(known)[0])
    if smallest == math.inf:  # an empty list
        return None
    bound = min(smallest, math.log(left)) if left > ROUNDING else smallest
    return max([bound, *(float(one["logprob"]) for one in candidates or [] if unnamed(one))])


def unnamed(candidate: dict[str, Any]) -> bool:
    """Whether the file does not tell which token a candidate is."""
    return bool(candidate["key"] < EMPTY)


def interval(row: dict[str, Any]) -> tuple[float, float | None] | None:
    """(least, most) that a candidate's own p·ln(p/q) can be; `most` None for no limit.

    Args:
        row: of panel_data.align: lp1, lp2 where known, else cap1, cap2, the most it can be.

    Returns:
        None where neither side bounds it.
    """
    lp1, lp2 = row.get("lp1"), row.get("lp2")
    if lp1 is not None and lp2 is not None:
        value = _term(lp1, lp2)
        return value, value
    if lp1 is not None and row.get("cap2") is not None:
        return _term(lp1, row["cap2"]), None
    if lp2 is not None and row.get("cap1") is not None:
        # p·ln(p/q) falls until p = q/e, then rises
        least = _term(min(row["cap1"], lp2 - 1.0), lp2)
        return least, max(0.0, _term(row["cap1"], lp2))
    return None


def lever(token: dict[str, Any]) -> Lever | None:
    """What would raise the certified bound most; None where hardly anything would."""
    if token["kl_lower"] is None or not token["top1"] or not token["top2"]:
        return None
    p, q = side(token["top1"]), side(token["top2"])
    base = float(lower_kl(p, q)[0])
    found = [one for one in (_ask2(p, q), _ask1(p, q), _longer(p, q)) if one is not None]
    best = max(found, key=lambda one: one.bound, default=None)
    if best is None or not best.bound - base > LITTLE * max(base, 1.0):
        return None
    return best


@dataclass(frozen=True, slots=True)
class Known:
    """How much of both sides a position's lists tell.

    Attributes:
        shared: probability of model 1 on tokens known under both models.
        outside: least probability of model 1 on tokens that model 2 does not identify.
        left: most probability that model 2 has for all of these together.
        whole: all of model 1 is shared, to within rounding: the bound is the KL itself.
    """

    shared: float
    outside: float
    left: float
    whole: bool


def known(token: dict[str, Any]) -> Known:
    """What the two lists of a row tell of each other; both must be there."""
    p, q = side(token["top1"]).identified(), side(token["top2"]).identified()
    both, _ = match(p, q)
    shared = float(np.exp(p.logp[both]).sum())
    alone = float(np.exp(p.logp[(p.ids != EMPTY) & ~both]).sum())
    open1, left = _unseen(p), max(_unseen(q), ROUNDING)
    only2 = int((q.ids != EMPTY).sum() - both.sum())
    # what model 1 has unseen may lie on candidates of model 2, up to its cap on each
    bound = most(token["top1"])
    elsewhere = open1 - only2 * (1.0 if bound is None else math.exp(bound))
    whole = alone <= 0 and open1 <= ROUNDING
    return Known(shared, alone + max(elsewhere, 0.0), left, whole)


def _ask2(p: TopK, q: TopK) -> Lever | None:
    """Model 2's values at model 1's candidates."""
    known, _ = match(p, q)
    open_ = (p.ids[0] > EMPTY) & ~known[0]
    if not open_.any():
        return None
    asked = _with(q, p.ids[0][open_])
    return Lever(
        "ask2",
        int(open_.sum()),
        float(np.exp(p.logp[0][open_]).sum()),
        float(lower_kl(p, asked)[0]),
    )


def _ask1(p: TopK, q: TopK) -> Lever | None:
    """Model 1's values at model 2's candidates."""
    known, _ = match(q, p)
    open_ = (q.ids[0] > EMPTY) & ~known[0]
    if not open_.any() or _unseen(p) <= 0:
        return None
    asked = _with(p, q.ids[0][open_])
    return Lever(
        "ask1",
        int(open_.sum()),
        float(np.exp(q.logp[0][open_]).sum()),
        float(lower_kl(asked, q)[0]),
    )


def _longer(p: TopK, q: TopK) -> Lever | None:
    """Half of model 1's unseen mass listed, and model 2 asked for it."""
    unseen, most = _unseen(p), float(np.exp(min(cap(p)[0], 0.0)))
    if unseen <= 0 or most <= 0:
        return None
    count = min(max(math.ceil(unseen / 2 / most), 1), 1000)
    ids = int(max(p.ids.max(), q.ids.max())) + 1 + np.arange(count)
    each = np.full(count, math.log(min(unseen / 2 / count, most)))
    longer = _append(p, ids, each)
    room = math.log(max(_unseen(q), ROUNDING) / 2 / count)
    asked = _append(q, ids, np.minimum(each - math.log(TENTH), room))
    return Lever("longer", 0, unseen, float(lower_kl(longer, asked)[0]))


def _with(known: TopK, ids: np.ndarray[Any, Any]) -> TopK:
    """The side, were it asked for these and gave a tenth of the most it can."""
    share = math.log(max(_unseen(known), ROUNDING) / len(ids))
    each = min(float(cap(known)[0]), share) - math.log(TENTH)
    return _append(known, ids, np.full(len(ids), each))


def _unseen(known: TopK) -> float:
    """Probability of a side that lies on no identified candidate."""
    return float(rest(known.identified())[0])


def _append(known: TopK, ids: np.ndarray[Any, Any], logp: np.ndarray[Any, Any]) -> TopK:
    return TopK(
        np.concatenate([known.ids, ids[None]], axis=-1),
        np.concatenate([known.logp, logp[None]], axis=-1),
        np.concatenate([known.listed, np.zeros((1, len(ids)), dtype=bool)], axis=-1),
    )


def _term(logp: float, logq: float) -> float:
    """p·ln(p/q) with 0·ln 0 = 0."""
    return 0.0 if math.isinf(logp) else math.exp(logp) * (logp - logq)
