"""The certified lower bound of KL(P‖Q) from two truncated lists.

No pair of full distributions that agrees with what is known has a smaller KL. Write A for
the tokens known on both sides, B for those known only of P, C for those known only of Q,
a and b for the smallest listed probabilities, rho_P and rho_Q for the unknown mass.
Candidates of unknown identity are part of the unknown mass, and no cap is below the
likeliest of them. Unknown q_i ≤ b on B, unknown p_j ≤ a on C; what neither side shows
collapses into one bucket (x, y) by the log-sum inequality. The optimality conditions
share one ratio theta: q_i = min(b, p_i/theta), p_j = min(a, theta q_j), x = theta y.

F(theta) = sum_C min(a, theta q_j) + theta·rho_Q − sum_B min(b theta, p_i) − rho_P is
piecewise linear, with breakpoints p_i/b and a/q_j, so it is solved exactly by one sort.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kl_core.numeric.topk import EMPTY, ROUNDING, TopK, cap, match, rest

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def lower_kl(p: TopK, q: TopK) -> Floats:
    """Certified lower bound of KL(P‖Q) at each position.

    Args:
        p, q: what is known of both sides, N positions; a token the server appended
            because it was sampled must have `listed` False (it is known mass, never the
            cap), and entries standing for "outside the list" must have been removed.

    Returns:
        [N] nats, tail_kl ≤ lower ≤ full KL, and never below 0, which is a bound of every
        KL. Q is granted at least ROUNDING unknown mass, so that rounded lists cannot make
        the bound infinite. NaN where a side is empty. The lists are taken as they are:
        log-probabilities rounded to six decimals leave it uncertain by about 1e-6.

    Source: convex programme with shared dual ratio; see the module docstring.
    """
    # an empty side has no cap: 1 stands in, its rows are NaN below
    cap_p, cap_q = (np.exp(np.minimum(cap(side), 0.0)) for side in (p, q))
    empty = ~(p.listed.any(axis=-1) & q.listed.any(axis=-1))
    p, q = p.identified(), q.identified()
    shared, q_at_p = match(p, q)
    known_in_p, _ = match(q, p)
    prob_p = np.exp(p.logp)
    with np.errstate(invalid="ignore"):
        head = np.where(shared & (prob_p > 0), prob_p * (p.logp - q_at_p), 0.0).sum(axis=-1)
    only_p = np.where((p.ids != EMPTY) & ~shared, prob_p, 0.0)
    only_q = np.where((q.ids != EMPTY) & ~known_in_p, np.exp(q.logp), 0.0)
    rest_p, rest_q = rest(p), np.maximum(rest(q), ROUNDING)
    value = head + _unknown_part(only_p, only_q, cap_p, cap_q, rest_p, rest_q)
    return np.where(empty, np.nan, np.maximum(value, 0.0))


def _unknown_part(
    b_mass: Floats, c_mass: Floats, cap_p: Floats, cap_q: Floats, rest_p: Floats, rest_q: Floats
) -> Floats:
    """The minimum over what is not known; arrays [N, Kb], [N, Kc], then [N] each."""
    theta0 = _smallest_ratio(b_mass, cap_q, rest_q)
    theta, inside = _root(b_mass, c_mass, cap_p, cap_q, rest_p, rest_q, theta0)
    theta_b = np.where(inside, theta, theta0)
    theta_c = np.where(inside, theta, _fill_ratio(c_mass, cap_p, rest_p))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        q_fill = np.minimum(cap_q[:, None], b_mass / theta_b[:, None])
        b_part = np.where(b_mass > 0, b_mass * (np.log(b_mass) - np.log(q_fill)), 0.0).sum(axis=-1)
        p_fill = np.minimum(cap_p[:, None], theta_c[:, None] * c_mass)
        c_part = np.where(p_fill > 0, p_fill * (np.log(p_fill) - np.log(c_mass)), 0.0).sum(axis=-1)
        x = np.where(inside, rest_p - p_fill.sum(axis=-1), 0.0)
        bucket = np.where(x > 0, x * np.log(theta_b), 0.0)
    return np.asarray(b_part + c_part + bucket)


def _smallest_ratio(b_mass: Floats, cap_q: Floats, rest_q: Floats) -> Floats:
    """[N] smallest theta with sum_B min(b, p_i/theta) ≤ rho_Q; 0 where any will do."""
    ordered = -np.sort(-b_mass, axis=-1)
    size = ordered.shape[-1]
    capped = np.arange(size)
    below = _from_here(ordered)
    room = rest_q[:, None] - cap_q[:, None] * capped
    with np.errstate(divide="ignore", invalid="ignore"):
        theta = np.where(room > 0, below / np.where(room > 0, room, 1.0), np.inf)
    # with m values capped at b, the m-th is not below b·theta and the next is
    valid = ordered <= cap_q[:, None] * theta
    first = np.argmax(valid, axis=-1)
    chosen = np.take_along_axis(theta, first[:, None], axis=-1)[:, 0] if size else 0 * rest_q
    loose = cap_q * (b_mass > 0).sum(axis=-1) <= rest_q
    return np.where(loose, 0.0, chosen)


def _root(
    b_mass: Floats,
    c_mass: Floats,
    cap_p: Floats,
    cap_q: Floats,
    rest_p: Floats,
    rest_q: Floats,
    theta0: Floats,
) -> tuple[Floats, Bools]:
    """([N] theta ≥ theta0 with F(theta) = 0, [N] whether F(theta0) < 0 at all)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        at_b = np.where(b_mass > 0, b_mass / cap_q[:, None], np.inf)
        at_c = np.where(c_mass > 0, cap_p[:, None] / np.where(c_mass > 0, c_mass, 1), np.inf)
    points = np.concatenate([at_b, at_c], axis=-1)
    slopes = np.concatenate([np.where(b_mass > 0, cap_q[:, None], 0.0), -c_mass], axis=-1)
    jumps = np.concatenate([-b_mass, np.where(c_mass > 0, cap_p[:, None], 0.0)], axis=-1)
    order = np.argsort(points, axis=-1)
    points = np.take_along_axis(points, order, axis=-1)
    start_slope = rest_q + c_mass.sum(axis=-1) - cap_q * (b_mass > 0).sum(axis=-1)
    slope = start_slope[:, None] + _before(np.take_along_axis(slopes, order, axis=-1))
    level = -rest_p[:, None] + _before(np.take_along_axis(jumps, order, axis=-1))
    # piece j holds between points j-1 and j; the last one goes on for ever
    ends = np.concatenate([points, np.full((len(points), 1), np.inf)], axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        value_at_end = np.where(np.isfinite(ends), slope * ends + level, np.inf)
        reached = (ends >= theta0[:, None]) & (value_at_end >= 0)
        piece = np.argmax(reached, axis=-1)[:, None]
        slope_here = np.take_along_axis(slope, piece, axis=-1)[:, 0]
        level_here = np.take_along_axis(level, piece, axis=-1)[:, 0]
        theta = np.where(slope_here > 0, -level_here / slope_here, theta0)
    theta = np.maximum(theta, theta0)
    return theta, _value(theta0, b_mass, c_mass, cap_p, cap_q, rest_p, rest_q) < 0


def _value(
    theta: Floats,
    b_mass: Floats,
    c_mass: Floats,
    cap_p: Floats,
    cap_q: Floats,
    rest_p: Floats,
    rest_q: Floats,
) -> Floats:
    """F(theta) itself, [N]."""
    at = theta[:, None]
    c_part = np.minimum(cap_p[:, None], at * c_mass).sum(axis=-1)
    b_part = np.minimum(cap_q[:, None] * at, b_mass).sum(axis=-1)
    return np.asarray(c_part + np.maximum(theta * rest_q - b_part, 0.0) - rest_p)


def _fill_ratio(c_mass: Floats, cap_p: Floats, rest_p: Floats) -> Floats:
    """[N] theta with sum_C min(a, theta q_j) = rho_P (the largest needed if it cannot be)."""
    ordered = -np.sort(-c_mass, axis=-1)
    size = ordered.shape[-1]
    below = _from_here(ordered)
    left = rest_p[:, None] - cap_p[:, None] * np.arange(size)
    with np.errstate(divide="ignore", invalid="ignore"):
        theta = np.where(below > 0, left / np.where(below > 0, below, 1.0), np.inf)
        valid = ordered * theta <= cap_p[:, None] * (1 + 1e-12)
    first = np.argmax(valid, axis=-1)
    return np.take_along_axis(theta, first[:, None], axis=-1)[:, 0] if size else 0 * rest_p


def _from_here(ordered: Floats) -> Floats:
    """Sums from each column to the last of falling values, added up from the small end.

    A difference of sums from the large end would lose what is small altogether.
    """
    return np.cumsum(ordered[..., ::-1], axis=-1)[..., ::-1]


def _before(values: Floats) -> Floats:
    """[N, M] to [N, M+1]: sums of everything before each column."""
    sums = np.cumsum(values, axis=-1)
    return np.concatenate([np.zeros((len(values), 1)), sums], axis=-1)
