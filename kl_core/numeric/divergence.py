"""Divergences and entropies of whole distributions, in nats.

Inputs are natural-log probabilities `[..., V]` over the same V token ids in the same
order; -inf means probability zero. 0 log 0 = 0 throughout.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kl_core.errors import DistributionError

Floats = NDArray[np.float64]
NORMALIZED_MIN_ENTROPY = 1e-9


def kl(logp: Floats, logq: Floats) -> Floats:
    """KL(p‖q) at each position, in nats.

    Args:
        logp: natural-log probabilities of p, [..., V], each row summing to 1.
        logq: the same for q, over the same V token ids in the same order.

    Returns:
        [...]; `inf` where q gives zero to a token p can emit. Never clipped: a value
        below float rounding means that an input is not normalised.

    Raises:
        DistributionError: the shapes differ.

    Source: Cover & Thomas (2006), ch. 2, with 0 log 0 = 0.
    """
    logp, logq = _same_shape(logp, logq)
    p = np.exp(logp)
    with np.errstate(invalid="ignore"):
        terms = np.where(p > 0, p * (logp - logq), 0.0)
    return np.asarray(terms.sum(axis=-1), dtype=np.float64)


def jensen_shannon(logp: Floats, logq: Floats) -> Floats:
    """Jensen–Shannon divergence at each position, in nats; at most ln 2.

    Args:
        logp, logq: natural-log probabilities [..., V].

    Returns:
        [...]; half KL(p‖m) plus half KL(q‖m), m the equal mixture. -inf is a zero.

    Source: Lin (1991).
    """
    logp, logq = _same_shape(logp, logq)
    with np.errstate(invalid="ignore"):
        logm = np.logaddexp(logp, logq) - np.log(2.0)
    return 0.5 * kl(logp, logm) + 0.5 * kl(logq, logm)


def entropy(logp: Floats) -> Floats:
    """Shannon entropy at each position, in nats.

    Args:
        logp: natural-log probabilities [..., V]; -inf entries count as zero.

    Returns:
        [...].

    Source: Cover & Thomas (2006), ch. 2.
    """
    logp = np.asarray(logp, dtype=np.float64)
    p = np.exp(logp)
    return np.asarray(-np.where(p > 0, p * _finite(logp), 0.0).sum(axis=-1))


def normalized_kl(kl_nats: Floats, entropy1: Floats, entropy2: Floats) -> Floats:
    """KL/(H1+H2), dimensionless; only meaningful above a small KL threshold.

    Args:
        kl_nats, entropy1, entropy2: [...], nats.

    Returns:
        [...]; NaN where both entropies are zero or an input is NaN.
    """
    total = np.asarray(entropy1, dtype=np.float64) + entropy2
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(total > NORMALIZED_MIN_ENTROPY, kl_nats / total, np.nan))


def log_ratio(logprob1: Floats, logprob2: Floats) -> Floats:
    """Log P(y) − log Q(y) of the sampled tokens (the k1 estimator), in nats.

    Args:
        logprob1, logprob2: [...] log-probabilities of the same tokens.

    Returns:
        [...]; NaN where either is unknown. Its mean estimates KL(P‖Q) only for text
        sampled from P at temperature 1 without truncation.

    Source: Schulman (2020), k1.
    """
    with np.errstate(invalid="ignore"):
        return np.asarray(logprob1, dtype=np.float64) - logprob2


def _finite(values: Floats) -> Floats:
    return np.where(np.isfinite(values), values, 0.0)


def _same_shape(logp: Floats, logq: Floats) -> tuple[Floats, Floats]:
    logp, logq = np.asarray(logp, dtype=np.float64), np.asarray(logq, dtype=np.float64)
    if logp.shape != logq.shape:
        raise DistributionError(
            f"p has shape {logp.shape} and q {logq.shape}: both need the same token ids"
        )
    return logp, logq
