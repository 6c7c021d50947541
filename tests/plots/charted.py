"""A run to draw: responses of several lengths, providers with hostile names, ∞ and gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from kl_core import measures
from kl_core.records import ScoredEntry, ScoredResponse
from kl_core.store import parts, queries, runs
from kl_core.store.build import build_database
from kl_core.store.query import Cursor
from tests import factories

HOSTILE = '<a href="http://127.0.0.1:9/x">click</a> <b>bold</b> $x^2$ %{y} &lt;'
PROVIDERS = ("Alpha", HOSTILE, None)
LENGTHS = (3, 12, 26, 40)


def entries(prompts: int = 8, infinite: bool = True, raw: bool = False) -> list[ScoredEntry]:
    """Prompts of two responses; one token of the run is infinite, some have no value."""
    made = []
    for number in range(prompts):
        rng = np.random.default_rng([3, number])
        scored = [
            _varied(factories.response(slot, LENGTHS[(number + slot) % 4], rng, 0.3 + number / 5))
            for slot in range(2)
        ]
        if number == 2 and infinite and not raw:
            scored[1].measures.headline[1] = np.inf
        base = factories.entry(number)
        plain = replace(base.entry, responses=tuple(one.response for one in scored))
        if raw:
            scored = [measures.unscored(one.response) for one in scored]
        made.append(ScoredEntry(plain, "model-a", None if raw else "model-b", tuple(scored)))
    return made


def _varied(scored: ScoredResponse) -> ScoredResponse:
    length = len(scored.response.positions)
    headline = scored.measures.headline.copy()
    headline[5::11] = np.nan  # positions without a value
    provider = PROVIDERS[length % 3]
    response = replace(
        scored.response,
        provider=provider,
        model=("model-a", "model-c")[length % 2],
        finish_reason=("stop", "length")[length > 20],
    )
    return replace(scored, response=response, measures=replace(scored.measures, headline=headline))


def write(root: Path, made: Sequence[ScoredEntry], build: bool = True) -> Path:
    """A finished run of entries; without `build` as a live one leaves it."""
    run_dir = runs.create_run(root, "score", {"request": {}})
    with parts.PartWriter(run_dir) as writer:
        number = 0
        for prompt_id, one in enumerate(made):
            writer.add(prompt_id, number, one)
            number += len(one.responses)
    if build:
        build_database(run_dir)
    runs.write_status(run_dir, runs.Status(state="done", updated=0.0))
    return run_dir


def cursor(run_dir: Path) -> Cursor:
    """A cursor of its own on a run."""
    return queries.open_run(run_dir).cursor()


class Tokens:
    """Every token of some entries as plain arrays [N], in the order of the store.

    Attributes:
        prompt, slot, position, length: where a token stands.
        value: KL in nats, NaN where missing.
        top: the highest probability in model 1's list.
        response: running number of the response.
    """

    def __init__(self, made: Sequence[ScoredEntry], raw: bool = False) -> None:
        rows = []
        number = 0
        for prompt, entry in enumerate(made):
            for scored in entry.responses:
                positions = scored.response.positions
                for place, here in enumerate(positions):
                    value = -here.logprob if raw else scored.measures.headline[place]
                    top = np.exp(max(here.dist.logprobs))
                    rows.append(
                        (prompt, scored.response.index, place, len(positions), value, top, number)
                    )
                number += 1
        columns = [np.array(column) for column in zip(*rows, strict=True)]
        self.prompt, self.slot, self.position, self.length = columns[:4]
        self.value, self.top, self.response = columns[4:]


def mean_and_error(value: np.ndarray, prompt: np.ndarray) -> tuple[float, float | None]:
    """Mean of the finite values and its standard error with prompts as clusters, in plain loops.

    sqrt(C/(C−1) · Σ_c (Σ_i (s_i − mean))²) / n.
    """
    keep = np.isfinite(value)
    value, prompt = value[keep], prompt[keep]
    mean = value.mean()
    clusters = sorted(set(prompt.tolist()))
    if len(clusters) < 2:
        return mean, None
    squares = 0.0
    for cluster in clusters:
        squares += sum(v - mean for v, p in zip(value, prompt, strict=True) if p == cluster) ** 2
    return mean, (len(clusters) / (len(clusters) - 1) * squares) ** 0.5 / len(value)
