"""Two local models on the same responses, over the whole vocabulary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from kl_core.models.batching import Budget
from kl_core.models.choose import Runner, choose_runner
from kl_core.models.engine import run_jobs
from kl_core.models.layout import Job, Layout, RowTable, lay_out
from kl_core.models.project import store_rows
from kl_core.models.rows import CPU_BLOCK_ROWS, row_stats
from kl_core.models.torch_divergence import js_rows, kl_rows
from kl_core.models.vocabulary import common_vocabulary
from kl_core.models.work import Floats, PairScores, Work

if TYPE_CHECKING:
    from kl_core.models.load import LoadedModel

Prompts = Sequence[tuple[int, ...]]


@dataclass(frozen=True)
class PairTable:
    """Flat results of N rows: three divergences and each model's own view."""

    kl: Floats
    kl_reverse: Floats
    js: Floats
    sides: tuple[RowTable, RowTable]


def score_pair(
    loaded1: LoadedModel,
    loaded2: LoadedModel,
    work: Sequence[Work],
    *,
    prompts2: Prompts | None = None,
    top_k: int = 20,
    batch_tokens: int = 8192,
    projection_rows: int = 128,
) -> list[list[PairScores]]:
    """KL in both directions, JS and both views of every token; P is model 1.

    Where the output layers are padded to different sizes over one tokenizer, both
    distributions are taken over the tokenizer's ids alone and renormalised.

    Args:
        loaded1: model P.
        loaded2: model Q.
        work: prompts and responses; `wanted` is not used here.
        prompts2: model 2's own prompt ids, one per work item, where its template
            differs; the work's own when None.
        top_k: length of each model's top list, capped at the vocabulary.
        batch_tokens: most tokens of one forward pass, as for the engine.
        projection_rows: rows of each vocabulary held at once.

    Returns:
        PairScores per work item and response; `error` set where one of the models
        cannot take the response.

    Raises:
        VocabularyMismatchError: the tokenizers differ.
        ModelError: one sequence alone does not fit into memory.
    """
    runners = (choose_runner(loaded1), choose_runner(loaded2))
    widths = (runners[0].head.vocabulary, runners[1].head.vocabulary)
    width = common_vocabulary(loaded1, loaded2, widths)
    top = min(top_k, width)
    plain = [Work(item.prompt_ids, item.responses) for item in work]
    first = [item.prompt_ids for item in work]
    second = list(prompts2) if prompts2 is not None else first
    limits = [replace(r.limits, vocabulary=min(width, r.limits.vocabulary)) for r in runners]
    layout = lay_out(plain, limits, [first, second])
    table = _empty(len(layout.targets), top)
    scorer = _Scorer(runners, layout, table, width, Budget(batch_tokens, projection_rows))
    with torch.inference_mode():
        for group in _groups(layout.jobs, batch_tokens):
            scorer.score(group, [replace(job, prompt_ids=second[job.item]) for job in group])
    return _cut(plain, layout, table)


class _Scorer:
    """Runs both bodies over a group of responses, then both heads chunk by chunk."""

    def __init__(
        self, runners: tuple[Runner, Runner], layout: Layout, table: PairTable, width: int,
        budget: Budget,
    ) -> None:  # fmt: skip
        self.runners = runners
        self.layout = layout
        self.table = table
        self.width = width
        self.budget = budget

    def score(self, jobs1: list[Job], jobs2: list[Job]) -> None:
        """Fill the rows of some responses, the same ones for both models."""
        states1 = _states(self.runners[0], jobs1, self.budget)
        states2 = _states(self.runners[1], jobs2, self.budget)
        hidden1, hidden2, rows = [], [], []
        for one, two in zip(jobs1, jobs2, strict=True):
            if one.start not in states1 or one.start not in states2:
                continue  # a single token after an empty prompt: nothing predicts it
            skip = max(one.skip, two.skip)
            hidden1.append(states1[one.start][skip - one.skip :])
            hidden2.append(states2[one.start][skip - two.skip :])
            rows.append(np.arange(one.start + skip, one.start + len(one.response)))
        if rows:
            self._project((torch.cat(hidden1), torch.cat(hidden2)), np.concatenate(rows))

    def _project(self, hidden: tuple[Tensor, Tensor], rows: np.ndarray) -> None:
        done = 0
        while done < len(rows):
            part = slice(done, done + self.budget.rows)
            try:
                self._chunk(hidden[0][part], hidden[1][part], rows[part])
            except torch.OutOfMemoryError:
                self.budget.halve_rows()
                continue
            done += len(rows[part])

    def _chunk(self, hidden1: Tensor, hidden2: Tensor, rows: np.ndarray) -> None:
        one = self.runners[0].head.logits(hidden1)[:, : self.width]
        if self.runners[0].head is self.runners[1].head:
            one = one.clone()
        two = self.runners[1].head.logits(hidden2)[:, : self.width].to(one.device)
        targets = torch.from_numpy(self.layout.targets[rows]).to(one.device)
        step = CPU_BLOCK_ROWS if one.device.type == "cpu" else len(rows)
        for at in range(0, len(rows), step):
            cut = slice(at, at + step)
            self._block(one[cut], two[cut], targets[cut], rows[cut])

    def _block(self, one: Tensor, two: Tensor, targets: Tensor, rows: np.ndarray) -> None:
        top_k = self.table.sides[0].top_ids.shape[1]
        none = targets.new_empty(len(targets), 0)
        stats = (row_stats(one, targets, none, top_k), row_stats(two, targets, none, top_k))
        logp, logq = torch.log_softmax(one, 1), torch.log_softmax(two, 1)
        crossed = (logp.gather(1, stats[1].top_ids), logq.gather(1, stats[0].top_ids))
        for table, side, cross in zip(self.table.sides, stats, crossed, strict=True):
            store_rows(table, rows, replace(side, wanted=cross))
        self.table.kl[rows] = kl_rows(logp, logq).cpu().numpy()
        self.table.kl_reverse[rows] = kl_rows(logq, logp).cpu().numpy()
        self.table.js[rows] = js_rows(logp, logq).cpu().numpy()


def _states(runner: Runner, jobs: list[Job], budget: Budget) -> dict[int, Tensor]:
    found: dict[int, Tensor] = {}

    def take(job: Job, states: Tensor) -> None:
        found[job.start] = states.clone()

    run_jobs(runner.body, jobs, budget, take)
    return found


def _groups(jobs: list[Job], tokens: int) -> Iterator[list[Job]]:
    """Consecutive responses of about `tokens` tokens, prompts kept together."""
    group: list[Job] = []
    size = 0
    for job in jobs:
        if group and size >= tokens and job.prompt_ids != group[-1].prompt_ids:
            yield group
            group, size = [], 0
        group.append(job)
        size += len(job.response)
    if group:
        yield group


def _empty(rows: int, top_k: int) -> PairTable:
    sides = RowTable.empty(rows, top_k, top_k), RowTable.empty(rows, top_k, top_k)
    return PairTable(*_blank(rows), sides)


def _blank(rows: int) -> tuple[Floats, Floats, Floats]:
    return np.full(rows, np.nan), np.full(rows, np.nan), np.full(rows, np.nan)


def _cut(work: Sequence[Work], layout: Layout, table: PairTable) -> list[list[PairScores]]:
    answer: list[list[PairScores]] = []
    for item, starts, errors in zip(work, layout.starts, layout.errors, strict=True):
        answer.append([])
        for response, start, error in zip(item.responses, starts, errors, strict=True):
            rows = slice(start, start + len(response))
            width = table.sides[0].wanted.shape[1]
            one, two = (side.cut(start, len(response), width, error) for side in table.sides)
            kl, reverse, js = table.kl[rows], table.kl_reverse[rows], table.js[rows]
            answer[-1].append(PairScores(kl, reverse, js, one, two, error))
    return answer
