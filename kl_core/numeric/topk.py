"""Measures from two truncated (top-k) distributions at each position, in nats.

P is model 1, Q model 2. A list is known only at its listed candidates and, sometimes, at
a few more (`listed` False): the sampled token, or candidates asked for by id.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kl_core.errors import DistributionError
from kl_core.numeric import divergence

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
EMPTY = -1
ROUNDING = 1e-6
"""Least mass granted to Q outside its list: float32 lists sum to 1 only to about this."""


@dataclass(frozen=True, slots=True)
class TopK:
    """Truncated distributions of N positions.

    Attributes:
        ids: [N, K] token identities; EMPTY (-1) where a row is shorter. No identity
            occurs twice in a row; equal identities on both sides are the same token.
            Below EMPTY (-2, -3 …): a candidate of unknown identity. It may be any token,
            also one that the other side lists; it never equals another. A candidate that
            is known but that the other side cannot have needs an id of 0 or more.
        logp: [N, K] natural-log probabilities, -inf where empty.
        listed: [N, K] True for the members of the top-k list proper.
    """

    ids: Ints
    logp: Floats
    listed: Bools

    def __post_init__(self) -> None:
        if not self.ids.shape == self.logp.shape == self.listed.shape:
            raise DistributionError(
                f"ids {self.ids.shape}, logp {self.logp.shape} and listed "
                f"{self.listed.shape} must have one shape"
            )

    def listed_only(self) -> TopK:
        """The same without what is known besides the list."""
        keep = self.listed
        return TopK(
            np.where(keep, self.ids, EMPTY), np.where(keep, self.logp, -np.inf), self.listed
        )

    def identified(self) -> TopK:
        """The same without the candidates of unknown identity."""
        keep = self.ids >= EMPTY
        return TopK(
            np.where(keep, self.ids, EMPTY),
            np.where(keep, self.logp, -np.inf),
            self.listed & keep,
        )


def smallest_listed(side: TopK) -> Floats:
    """[N] log-probability of the k-th listed candidate."""
    values = np.where(side.listed & (side.ids != EMPTY), side.logp, np.inf)
    return np.asarray(values.min(axis=-1, initial=np.inf))


def cap(side: TopK) -> Floats:
    """[N] log-probability that no token has more of unless it is identified.

    The k-th listed candidate's, or that of the likeliest candidate of unknown identity.
    """
    unknown = np.where(side.ids < EMPTY, side.logp, -np.inf).max(axis=-1, initial=-np.inf)
    return np.asarray(np.maximum(smallest_listed(side), unknown))


def match(left: TopK, right: TopK) -> tuple[Bools, Floats]:
    """Where each candidate of `left` stands in `right`.

    Returns:
        ([N, Kl] whether it is known there, [N, Kl] its log-probability there or NaN).
    """
    equal = left.ids[:, :, None] == right.ids[:, None, :]
    equal &= (left.ids != EMPTY)[:, :, None]
    found = equal.any(axis=-1)
    place = equal.argmax(axis=-1)
    values = np.take_along_axis(right.logp, place, axis=-1)
    return found, np.where(found, values, np.nan)


def union(p: TopK, q: TopK) -> tuple[Floats, Floats]:
    """Both lists over the union of their listed candidates, each renormalised.

    A token missing on one side gets that side's k-th (smallest listed) probability.
    Candidates of unknown identity are left out; a caller refuses lists with much of them.

    Returns:
        (logp, logq), each [N, Kp + Kq]; -inf in both where a column is unused.
    """
    cap_p, cap_q = smallest_listed(p)[:, None], smallest_listed(q)[:, None]
    p, q = p.listed_only().identified(), q.listed_only().identified()
    in_q, q_at_p = match(p, q)
    in_p, _ = match(q, p)
    used_p, only_q = p.ids != EMPTY, (q.ids != EMPTY) & ~in_p
    logp = np.concatenate([p.logp, np.where(only_q, cap_p, -np.inf)], axis=-1)
    q_left = np.where(in_q, q_at_p, np.where(used_p, cap_q, -np.inf))
    logq = np.concatenate([q_left, np.where(only_q, q.logp, -np.inf)], axis=-1)
    return renormalized(logp), renormalized(logq)


def renormalized(logp: Floats) -> Floats:
    """[..., K] log-probabilities scaled to sum to 1 per row; empty rows stay -inf."""
    top = logp.max(axis=-1, keepdims=True, initial=-np.inf)
    shift = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        total = np.log(np.exp(logp - shift).sum(axis=-1, keepdims=True)) + shift
    return np.where(np.isfinite(total), logp - np.where(np.isfinite(total), total, 0), logp)


def floor_kl(p: TopK, q: TopK) -> Floats:
    """KL(P‖Q) of the two lists over their union, [N] nats; never negative beyond rounding.

    A token missing on one side gets that side's k-th probability, then both sides are
    renormalised over the union. Values known outside a list are not used. An estimate:
    it may lie above or below the true KL and certifies nothing.

    Source: the union/floor heuristic of truncated-list KL.
    """
    return divergence.kl(*union(p, q))


def floor_js(p: TopK, q: TopK) -> Floats:
    """Jensen–Shannon divergence over the same renormalised union, [N] nats."""
    return divergence.jensen_shannon(*union(p, q))


def rank_kl(logp: Floats, logq: Floats) -> Floats:
    """The rank metric: sorted log-probabilities compared rank by rank, [N].

    Mean over the k ranks of exp(lp)·(lp − lq). **Token identity is ignored** and the
    value can be negative: it is not a divergence, it is kept because people compare it.

    Args:
        logp, logq: [N, k] log-probabilities in falling order, same k; NaN past the end
            of a shorter list (such ranks do not count).

    Returns:
        [N]; NaN where no rank is there.

    Source: `F.kl_div(lq, lp, reduction="mean", log_target=True)` of PyTorch.
    """
    if logp.shape != logq.shape:
        raise DistributionError(f"P has ranks {logp.shape} and Q {logq.shape}; cut to one k")
    both = ~(np.isnan(logp) | np.isnan(logq))
    with np.errstate(invalid="ignore"):
        terms = np.where(both, np.exp(logp) * (logp - logq), 0.0)
        return np.asarray(
            terms.sum(axis=-1) / np.where(both.any(axis=-1), both.sum(axis=-1), np.nan)
        )


def tail_kl(p: TopK, q: TopK) -> Floats:
    """Coarse-grained KL(P‖Q): tokens known on both sides plus one bucket, [N] nats.

    A lower bound of the full KL by the data-processing inequality; looser than
    `lower_bound.lower_kl`. Candidates of unknown identity belong to the bucket.

    Source: Cover & Thomas (2006), log-sum inequality.
    """
    p, q = p.identified(), q.identified()
    shared, q_at_p = match(p, q)
    prob_p = np.where(shared, np.exp(p.logp), 0.0)
    with np.errstate(invalid="ignore"):
        head = np.where(prob_p > 0, prob_p * (p.logp - q_at_p), 0.0).sum(axis=-1)
    also_in_p, _ = match(q, p)
    rest_p = rest(p) + np.where(shared, 0.0, np.exp(p.logp)).sum(axis=-1)
    only_q = np.where(also_in_p, 0.0, np.exp(q.logp)).sum(axis=-1)
    rest_q = np.maximum(rest(q), ROUNDING) + only_q
    with np.errstate(divide="ignore", invalid="ignore"):
        bucket = np.where(rest_p > 0, rest_p * (np.log(rest_p) - np.log(rest_q)), 0.0)
    return np.asarray(head + bucket)


def rest(side: TopK) -> Floats:
    """[N] probability outside everything known of a side; 0 where the list sums above 1."""
    return np.asarray(np.maximum(1.0 - np.exp(side.logp).sum(axis=-1), 0.0))


def listed_entropy(side: TopK) -> Floats:
    """Entropy of the renormalised top-k list, [N] nats."""
    return divergence.entropy(renormalized(side.listed_only().logp))
