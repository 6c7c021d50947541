"""KL and Jensen-Shannon divergence of rows of logits in torch.

Twins of the NumPy formulas, for rows that should not leave the device. Differences
and products are float32, sums over the vocabulary float64.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def kl_rows(logp: Tensor, logq: Tensor) -> Tensor:
    """KL(p ‖ q) of each row, in nats.

    Args:
        logp: natural-log probabilities of p, [r, V]; -inf is probability zero.
        logq: the same for q.

    Returns:
        [r] float64; inf where q gives zero to a token p can emit, 0 log 0 = 0. Never
        clipped: float32 rounding can leave about -1e-7 for nearly equal rows.
    """
    total = (logp.exp() * (logp - logq)).sum(1, dtype=torch.float64)
    odd = ~total.isfinite()
    if bool(odd.any()):
        total[odd] = _kl_with_zeros(logp[odd], logq[odd])
    return total


def _kl_with_zeros(logp: Tensor, logq: Tensor) -> Tensor:
    possible = ~logp.isneginf()
    terms = torch.where(possible, logp.exp() * (logp - logq), 0.0)
    total = terms.nan_to_num(nan=0.0, posinf=0.0).sum(1, dtype=torch.float64)
    impossible = (possible & logq.isneginf()).any(1)
    broken = logp.isnan().any(1) | logq.isnan().any(1)
    return total.masked_fill(impossible, math.inf).masked_fill(broken, math.nan)


def js_rows(logp: Tensor, logq: Tensor) -> Tensor:
    """Jensen-Shannon divergence of each row: half KL(p‖m) + half KL(q‖m), m = (p+q)/2.

    Args:
        logp: natural-log probabilities of p, [r, V]; -inf is probability zero.
        logq: the same for q.

    Returns:
        [r] float64 in nats, at most ln 2 up to rounding.
    """
    logm = torch.logaddexp(logp, logq) - math.log(2.0)
    return 0.5 * (kl_rows(logp, logm) + kl_rows(logq, logm))
