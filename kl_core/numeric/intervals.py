"""Intervals of means over tokens that come in independent clusters (prompts)."""

from __future__ import annotations

import math

from scipy.special import stdtrit

LEVEL = 0.95


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
    if se is None or clusters is None or clusters < 2 or not math.isfinite(se):
        return None
    return se * float(stdtrit(clusters - 1, 0.5 + level / 2))
