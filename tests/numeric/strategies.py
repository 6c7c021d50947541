"""Pairs of distributions for property tests, and a slow reference of the certified bound."""

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
