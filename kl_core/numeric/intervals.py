"""Intervals of means over tokens that come in independent clusters (prompts)."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import stdtrit

LEVEL = 0.95
_CLUSTERS_NEEDED = 2


def clustered_error(totals: np.ndarray, counts: np.ndarray) -> tuple[float | None, float | None]:
    """(mean, its standard error) over units that come in independent clusters.

    Args:
        totals: [C], the sum of the values s in each cluster, in any unit; finite.
        counts: [C], how many values that is; clusters without any do not count.

    Returns:
        In the values' unit: Σ s / n, and sqrt(C/(C−1) · Σ_c (Σ_i (s_i − mean))²) / n, None for
        fewer than two clusters; both None without any value.

    Source: Cameron & Miller (2015), A Practitioner's Guide to Cluster-Robust Inference.
    """
    totals, counts = totals[counts > 0], counts[counts > 0]
    if not len(counts):
        return None, None
    units = float(counts.sum())
    mean = float(totals.sum()) / units
    if len(counts) < _CLUSTERS_NEEDED:
        return mean, None
    spread = float(((totals - mean * counts) ** 2).sum())
    return mean, math.sqrt(len(counts) / (len(counts) - 1) * spread) / units


def half_width(se: float | None, clusters: int | None, level: float = LEVEL) -> float | None:
    """Half of the interval of a mean: Student's t with clusters − 1 degrees of freedom.

    Args:
        se: the mean's standard error, clustered, in the mean's own unit.
        clusters: how many independent clusters it comes from.
        level: nominal coverage.

    Returns:
        None where there is no standard error: fewer than two clusters tell nothing of others.

    Source: Cameron & Miller (2015), A Practitioner's Guide to Cluster-Robust Inference.
    """
    if se is None or clusters is None or clusters < _CLUSTERS_NEEDED or not math.isfinite(se):
        return None
    return se * float(stdtrit(clusters - 1, 0.5 + level / 2))
