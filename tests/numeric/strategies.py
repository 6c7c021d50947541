"""Pairs of distributions for property tests, and a slow reference of the certified bound."""

import math

import numpy as np
from hypothesis import strategies as st
from scipy.optimize import minimize

from kl_core.numeric.topk import TopK


@st.composite
def log_prob_pairs(draw, vocab: int):
    """Two log-probability rows over `vocab` ids, from nearly equal to far apart."""
    seed = draw(st.integers(0, 2**32 - 1))
    scale = draw(st.floats(0.1, 4.0))
    apart = draw(st.floats(0.0, 4.0))
    rng = np.random.default_rng(seed)
    first = rng.normal(size=vocab) * scale
    second = first + rng.normal(size=vocab) * apart
    return log_softmax(first), log_softmax(second)


def log_softmax(values):
    return values - np.logaddexp.reduce(values, axis=-1, keepdims=True)


def top_k(logp, k):
    """The k likeliest ids of one row or several, as TopK of [N, k]."""
    logp = np.atleast_2d(logp)
    ids = np.argsort(-logp, axis=-1)[:, :k]
    return TopK(ids, np.take_along_axis(logp, ids, -1), np.ones_like(ids, dtype=bool))


def one_row(probabilities, extras=()):
    """TopK of one position from {id: probability}; `extras` are known besides the list."""
    ids = np.array([list(probabilities)], dtype=np.int64)
    logp = np.log(np.array([list(probabilities.values())], dtype=np.float64))
    return TopK(ids, logp, ~np.isin(ids, list(extras)))


def lower_by_solver(p, q):
    """The certified bound of one position by a general convex solver (SLSQP).

    Variables: unknown q_i on B, unknown p_j on C, and the unseen bucket (x, y).
    """
    pd = dict(zip(p.ids[0].tolist(), np.exp(p.logp[0]).tolist(), strict=True))
    qd = dict(zip(q.ids[0].tolist(), np.exp(q.logp[0]).tolist(), strict=True))
    cap_p = min(v for v, listed in zip(pd.values(), p.listed[0], strict=True) if listed)
    cap_q = min(v for v, listed in zip(qd.values(), q.listed[0], strict=True) if listed)
    b = np.array([v for key, v in pd.items() if key not in qd])
    c = np.array([v for key, v in qd.items() if key not in pd])
    known = sum(v * np.log(v / qd[key]) for key, v in pd.items() if key in qd)
    rest_p, rest_q = 1 - sum(pd.values()), 1 - sum(qd.values())
    nb, nc = len(b), len(c)

    def cost(z):
        qi, pj, x, y = z[:nb], z[nb : nb + nc], z[-2], z[-1]
        return (b * np.log(b / qi)).sum() + (pj * np.log(pj / c)).sum() + x * np.log(x / y)

    tiny = 1e-12
    start = np.concatenate(
        [np.full(nb, min(cap_q, rest_q / (nb + 1))), np.full(nc, min(cap_p, rest_p / (nc + 1)))]
    )
    start = np.append(start, [rest_p - start[nb:].sum(), rest_q - start[:nb].sum()])
    found = minimize(
        cost,
        np.maximum(start, tiny),
        bounds=[(tiny, cap_q)] * nb + [(tiny, cap_p)] * nc + [(tiny, 1)] * 2,
        constraints=[
            {"type": "eq", "fun": lambda z: z[:nb].sum() + z[-1] - rest_q},
            {"type": "eq", "fun": lambda z: z[nb : nb + nc].sum() + z[-2] - rest_p},
        ],
        method="SLSQP",
        options={"maxiter": 1000, "ftol": 1e-14},
    )
    return known + found.fun


def lower_by_bisection(p, q, least_rest=1e-6):
    """The certified bound of one position by its documented steps, bisecting in log theta."""
    pd, qd = (
        {i: np.exp(x) for i, x in zip(side.ids[0].tolist(), side.logp[0].tolist(), strict=True)}
        for side in (p, q)
    )
    cap_p, cap_q = min(pd.values()), min(qd.values())
    in_b = [v for key, v in pd.items() if key not in qd and v > 0]
    in_c = [v for key, v in qd.items() if key not in pd and v > 0]
    rest_p = max(1 - math.fsum(pd.values()), 0.0)
    rest_q = max(1 - math.fsum(qd.values()), least_rest)
    logs = dict(zip(q.ids[0].tolist(), q.logp[0].tolist(), strict=True))
    head = sum(
        pd[key] * (logp - logs[key])
        for key, logp in zip(p.ids[0].tolist(), p.logp[0].tolist(), strict=True)
        if key in logs
    )

    def y(theta):
        return rest_q - math.fsum(min(cap_q, v / theta) for v in in_b)

    def filled(theta):
        return math.fsum(min(cap_p, theta * v) for v in in_c)

    def excess(theta):
        return filled(theta) + theta * max(y(theta), 0.0) - rest_p

    theta0 = smallest(lambda theta: y(theta) >= 0)
    if excess(theta0) >= 0:
        theta_b, theta_c = theta0, smallest(lambda theta: filled(theta) >= rest_p)
        bucket = 0.0
    else:
        theta_b = theta_c = smallest(lambda theta: theta >= theta0 and excess(theta) >= 0)
        bucket = (rest_p - filled(theta_c)) * math.log(theta_b)
    b_part = sum(v * math.log(v / min(cap_q, v / theta_b)) for v in in_b)
    fills = [(min(cap_p, theta_c * v), v) for v in in_c]
    c_part = sum(x * (math.log(x) - math.log(v)) for x, v in fills if x > 0)
    return head + b_part + c_part + bucket


def smallest(holds):
    """The smallest theta from e^-80 to e^80 for which `holds`."""
    low, high = -80.0, 80.0
    if holds(math.exp(low)):
        return math.exp(low)
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(math.exp(middle)) else (middle, high)
    return math.exp(high)
