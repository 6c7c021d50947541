"""How far two runs are apart over all paired prompts, and whether that is beyond noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.special import stdtrit

from kl_core.errors import InputError
from kl_core.store.pair_figures import figure

LEVEL = 0.95
_PROMPTS_NEEDED = 2


@dataclass(frozen=True, slots=True)
class Difference:
    """B − A of one figure over two runs, in nats.

    Attributes:
        mean: over tokens that both runs scored; over prompts for medians and the like.
        se: its standard error, clustered by prompt; None for fewer than two prompts.
        half: half the width of the 95 % interval (Student t, one degree less than prompts).
        units: tokens (or prompts) that the mean is over.
        prompts: prompts that these come from.
        up, down, level: prompts whose own figure is higher, lower, equal in B.
        unknown: paired prompts without the figure in one of the runs.
        infinite: tokens (or prompts) left out because a value is infinite.
    """

    figure: str
    mean: float | None
    se: float | None
    half: float | None
    units: int
    prompts: int
    up: int
    down: int
    level: int
    unknown: int
    infinite: int

    @property
    def beyond_noise(self) -> bool:
        """Whether the 95 % interval leaves out 0."""
        return self.mean is not None and self.half is not None and abs(self.mean) > self.half


def clustered(sums: np.ndarray, counts: np.ndarray) -> tuple[float | None, float | None]:
    """(mean, standard error) over units that come in independent clusters.

    Args:
        sums, counts: [C]: sum of the values in a cluster, and how many there are; clusters
            without values do not count.

    Returns:
        sqrt(C/(C−1) · Σ_c (Σ_i (s_i − mean))²) / n as the error, None for fewer than two
        clusters; both None without any value.
    """
    sums, counts = sums[counts > 0], counts[counts > 0]
    if not len(counts):
        return None, None
    total = counts.sum()
    mean = float(sums.sum() / total)
    if len(counts) < _PROMPTS_NEEDED:
        return mean, None
    spread = float(((sums - mean * counts) ** 2).sum())
    return mean, math.sqrt(len(counts) / (len(counts) - 1) * spread) / float(total)


def difference(name: str, prompts: pa.Table, sums: pa.Table) -> Difference:
    """The run-level difference of a figure.

    Args:
        prompts: all rows of pair_figures.prompts_query for this figure.
        sums: pair_tokens.sums_query.

    Raises:
        InputError: no such figure.
    """
    one = figure(name)
    moved = _floats(prompts["difference"])
    if one.mean:
        counts, totals = _floats(sums[f"n_{name}"]), _floats(sums[f"sum_{name}"])
        infinite = int(_floats(sums[f"infinite_{name}"]).sum())
    else:
        counts, totals = np.isfinite(moved).astype(float), np.where(np.isfinite(moved), moved, 0)
        infinite = int(np.isinf(moved).sum())
    mean, se = clustered(totals, counts)
    clusters = int((counts > 0).sum())
    half = se * float(stdtrit(clusters - 1, 0.5 + LEVEL / 2)) if se is not None else None
    return Difference(
        figure=name,
        mean=mean,
        se=se,
        half=half,
        units=int(counts.sum()),
        prompts=clusters,
        up=int((moved > 0).sum()),
        down=int((moved < 0).sum()),
        level=int((moved == 0).sum()),
        unknown=int(np.isnan(moved).sum()),
        infinite=infinite,
    )


def verdict(found: Difference) -> str:
    """One sentence: which run diverges more, only where the 95 % interval leaves out 0."""
    one = figure(found.figure)
    prompts = found.up + found.down + found.level
    if found.mean is None:
        return f"There is no {one.label} that both runs know, so nothing can be said."
    over = "" if one.mean else " (mean over prompts)"
    if found.half is None:
        return (
            f"{one.label}{over} {_nats(found.mean)} in B; one prompt alone cannot tell a "
            "difference from noise."
        )
    size = f"{one.label}{over} {_nats(found.mean)} ± {_nats(found.half, sign=False)} (95 %)"
    moved = f"{found.up:,} of {prompts:,} prompts up, {found.down:,} down"
    if found.level == prompts and found.mean == 0:
        return f"No difference: {one.label} is the same at all {prompts:,} prompts."
    if not found.beyond_noise:
        return f"No difference beyond noise: {size}, {moved}."
    return f"{one.more if found.mean > 0 else one.less}: {size}, {moved}."


def _nats(value: float, sign: bool = True) -> str:
    text = f"{value:+.3g}" if sign else f"{value:.2g}"
    return text.replace("-", "−")


def unlike(heads: list[dict[str, Any]]) -> list[str]:
    """Sentences on what keeps two runs' figures from being of one kind.

    Args:
        heads: run_pairs.heads_query. Names are model text: show the sentences as text.
    """
    a, b = heads
    said = []
    if a["model1"] != b["model1"]:
        said.append(
            f"Model 1 is not the same: {a['model1'] or 'unnamed'} in A, "
            f"{b['model1'] or 'unnamed'} in B."
        )
    if a["measure"] != b["measure"]:
        said.append(
            f"The figures are not of one kind: {_kind(a['measure'])} in A, "
            f"{_kind(b['measure'])} in B; a difference may come from that alone."
        )
    return said


def _kind(measure: str | None) -> str:
    if measure is None:
        return "no second model"
    return "exact KL (full)" if measure == "full" else f"estimated KL ({measure})"


def known_figure(name: str, heads: list[dict[str, Any]]) -> bool:
    """Whether both runs have the figure at all."""
    column = name if name in ("mean_reverse", "mean_surprisal2") else "mean_kl"
    try:
        figure(name)
    except InputError:
        return False
    return all(head[column] is not None for head in heads)


def _floats(column: pa.ChunkedArray) -> np.ndarray:
    values: np.ndarray = column.cast(pa.float64()).fill_null(math.nan).to_numpy()
    return values
