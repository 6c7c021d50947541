"""How far two runs are apart over all paired prompts, and whether that is beyond noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from kl_core.errors import InputError
from kl_core.numeric.intervals import clustered_error, half_width
from kl_core.store.pair_figures import figure
from kl_core.store.pair_sums import TOKENS_APART

_LENGTHS_APART = 0.5


@dataclass(frozen=True, slots=True)
class Difference:
    """B − A of one figure over two runs, in nats.

    Attributes:
        mean: over tokens finite in both runs; over prompts for medians and the like.
        se: its standard error, clustered by prompt; None for fewer than two prompts.
        half: half the width of the 95 % interval (Student t, one degree less than prompts).
        units: tokens (or prompts) that the mean is over.
        prompts: prompts that these come from.
        up, down, level: prompts whose own figure is higher, lower, equal in B.
        unknown: paired prompts without a difference.
        alone_a, alone_b: paired tokens with a value in one run alone, left out.
        infinite_a, infinite_b, infinite_both: paired tokens with a value in both runs that
            is infinite in A alone, in B alone, in both.
        alike: whether the figure is of one kind in both runs.
        known: paired tokens with a value in both runs.
        of: all paired tokens, where a run was asked only at some; None where both were asked
            everywhere.
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
    alone_a: int
    alone_b: int
    infinite_a: int
    infinite_b: int
    infinite_both: int
    alike: bool
    known: int = 0
    of: int | None = None

    @property
    def infinite(self) -> int:
        """Tokens with an infinite value in a run."""
        return self.infinite_a + self.infinite_b + self.infinite_both

    @property
    def beyond_noise(self) -> bool:
        """Whether the 95 % interval leaves out 0 and nothing forbids to say so."""
        if self.infinite or not self.alike or self.mean is None or self.half is None:
            return False
        return abs(self.mean) > self.half


def difference(
    name: str, prompts: pa.Table, sums: pa.Table, heads: list[dict[str, Any]]
) -> Difference:
    """The run-level difference of a figure.

    Args:
        prompts: all rows of pair_figures.prompts_query for this figure.
        sums: pair_sums.sums_query.
        heads: run_pairs.heads_query.

    Raises:
        InputError: no such figure.
    """
    one = figure(name)
    moved = _floats(prompts["difference"])
    if one.mean:
        totals, counts = _floats(sums[f"sum_{name}"]), _floats(sums[f"n_{name}"])
    else:
        finite = np.isfinite(moved)
        totals, counts = np.where(finite, moved, 0), finite.astype(float)
    mean, se = clustered_error(totals, counts)
    clusters = int((counts > 0).sum())
    return Difference(
        figure=name,
        mean=mean,
        se=se,
        half=half_width(se, clusters),
        units=int(counts.sum()),
        prompts=clusters,
        up=int((moved > 0).sum()),
        down=int((moved < 0).sum()),
        level=int((moved == 0).sum()),
        unknown=int(np.isnan(moved).sum()),
        **{what: int(_floats(sums[f"{what}_{one.value}"]).sum()) for what in TOKENS_APART},
        alike=not (one.estimated and _other_scale(heads)),
        known=int(_floats(sums[f"known_{one.value}"]).sum()),
        of=int(_floats(sums["tokens"]).sum()) if any(h["not_asked"] for h in heads) else None,
    )


def verdict(found: Difference) -> str:
    """One sentence: which run diverges more, only where the 95 % interval leaves out 0."""
    one = figure(found.figure)
    if found.infinite:
        return _about_infinities(found)
    where = _where(found)
    if found.mean is None:
        return f"There is no {one.label} that both runs know, so nothing can be said."
    if found.half is None:
        return f"{_size(found)}{where}; one prompt alone cannot tell a difference from noise."
    prompts = found.up + found.down + found.level
    moved = f"{found.up:,} of {prompts:,} prompts up, {found.down:,} down"
    if not found.alike:
        return f"No verdict, for the two are not on one scale: {_size(found)}{where}, {moved}."
    if found.level == prompts and found.mean == 0:
        if where:
            return f"No difference{where}."
        return f"No difference: {one.label} is the same at all {prompts:,} prompts."
    if not found.beyond_noise:
        return f"No difference beyond noise{where}: {_size(found)}, {moved}."
    return f"{one.more if found.mean > 0 else one.less}{where}: {_size(found)}, {moved}."


def _where(found: Difference) -> str:
    """` at the 317 tokens both runs asked (6 % of the text)`; empty where all were asked."""
    if found.of is None:
        return ""
    tokens = "1 token" if found.known == 1 else f"{found.known:,} tokens"
    share = f" ({100 * found.known / found.of:.2g} % of the text)" if found.of else ""
    return f" at the {tokens} both runs asked{share}"


def _size(found: Difference) -> str:
    assert found.mean is not None
    one = figure(found.figure)
    over = "" if one.mean else " (mean over prompts)"
    size = f"{one.label}{over} {_nats(found.mean)}"
    if found.half is None:
        return f"{size} in B"
    return f"{size} ± {_nats(found.half, sign=False)} (95 %)"


def _about_infinities(found: Difference) -> str:
    """What is infinite where, and the difference of the others without a claim."""
    where = ((found.infinite_a, "A alone"), (found.infinite_b, "B alone"))
    counts = [f"{n:,} in {run}" for n, run in (*where, (found.infinite_both, "both")) if n]
    token = "1 token has" if found.infinite == 1 else f"{found.infinite:,} tokens have"
    said = f"No verdict: {token} an infinite value ({', '.join(counts)})"
    if found.mean is None:
        return f"{said}, and there is nothing else to compare."
    rest = "other tokens" if figure(found.figure).mean else "prompts with a finite figure"
    return f"{said}; over the {rest}{_where(found)}, {_size(found)}."


def left_out(found: Difference) -> str:
    """Words on paired tokens with a value in one run alone; empty where there are none."""
    where = ((found.alone_a, "A"), (found.alone_b, "B"))
    said = [f"{n:,} {'token' if n == 1 else 'tokens'} in {run}" for n, run in where if n]
    if not said:
        return ""
    label = figure(found.figure).label
    return f"Left out, for {label} is known in one run alone: {', '.join(said)}."


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
    parts = [
        f"{head['not_asked']:,} of {head['tokens']:,} tokens in {side}"
        for side, head in zip("AB", heads, strict=True)
        if head["not_asked"]
    ]
    if parts:
        said.append(
            f"A budget or a search left out {' and '.join(parts)}: what is compared here are the "
            "tokens that both runs asked. These are not an even sample, so figures and intervals "
            "are of these tokens, not of the whole text."
        )
    if lengths := _other_lengths(heads):
        said.append(
            f"Lists of other length make the floor estimate larger or smaller: {lengths}; compare "
            "the log-ratio instead, or the certified bound, which longer lists only raise."
        )
    return said


def _other_scale(heads: list[dict[str, Any]]) -> bool:
    """Whether `kl` of A and of B are estimates of other kinds."""
    return heads[0]["measure"] != heads[1]["measure"] or bool(_other_lengths(heads))


def _other_lengths(heads: list[dict[str, Any]]) -> str:
    """Both runs' mean lengths of lists where a floor estimate differs by them, else empty."""
    a, b = heads
    if a["measure"] != "floor" or b["measure"] != "floor":
        return ""
    said = [
        f"model {model} lists {a[column]:.3g} candidates a token in A, {b[column]:.3g} in B"
        for model, column in ((1, "listed1"), (2, "listed2"))
        if None not in (a[column], b[column]) and abs(a[column] - b[column]) > _LENGTHS_APART
    ]
    return " and ".join(said)


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
