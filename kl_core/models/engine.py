"""Scoring of responses under one local model, the prompt's cache shared."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kl_core.models.batching import Budget
from kl_core.models.body import Body
from kl_core.models.choose import choose_runner
from kl_core.models.layout import Job, Layout, RowTable, lay_out
from kl_core.models.project import Projector
from kl_core.models.work import Engine, PairScores, Scores, Work

if TYPE_CHECKING:
    from kl_core.models.load import LoadedModel

__all__ = ["Engine", "PairScores", "PrefixCacheEngine", "Scores", "Work", "run_jobs"]

log = logging.getLogger(__name__)


class PrefixCacheEngine:
    """Scores responses, each prompt run once where the model allows it.

    At start-up the fast way is compared with the model's own logits; models for which
    it does not hold are scored by whole sequences instead (see `kind`).

    Args:
        loaded: the model.
        top_k: length of the top lists, capped at the vocabulary.
        batch_tokens: most sequences times (prompt + padded response) of one pass.
        projection_rows: rows of the vocabulary held at once.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        top_k: int,
        batch_tokens: int = 8192,
        projection_rows: int = 256,
    ) -> None:
        self.runner = choose_runner(loaded)
        self.top_k = top_k
        self.budget = Budget(batch_tokens, projection_rows)

    @property
    def kind(self) -> str:
        """`prefix-cache`, `padded` or `one-by-one`."""
        return self.runner.body.kind

    def score(self, work: Sequence[Work]) -> list[list[Scores]]:
        """Scores per work item and response.

        A response that the model cannot take (too long, ids outside the vocabulary)
        comes back with `error` set and NaN throughout; the others are not affected.
        Log-probabilities are the float32 log-softmax of the model's logits.

        Raises:
            ModelError: one sequence alone does not fit into memory.
            VocabularyMismatchError: a wanted id lies outside the vocabulary.
        """
        layout = lay_out(work, [self.runner.limits])
        projector = Projector(self.runner.head, layout, self.top_k, self.budget)

        def take(job: Job, states: Tensor) -> None:
            projector.take(job, states)
            projector.flush()

        with torch.inference_mode():
            run_jobs(self.runner.body, layout.jobs, self.budget, take)
            projector.flush(everything=True)
        return cut_all(work, layout, projector.table)


def run_jobs(
    body: Body, jobs: Sequence[Job], budget: Budget, take: Callable[[Job, Tensor], None]
) -> None:
    """Hand the states of every job to `take`, in smaller batches when memory runs out.

    Raises:
        ModelError: one sequence alone does not fit.
    """
    left = {job.start: job for job in jobs}
    while left:
        try:
            for job, states in body.states(list(left.values()), budget):
                del left[job.start]
                take(job, states)
            return
        except torch.OutOfMemoryError:
            budget.halve_tokens()
            log.warning("out of memory: going on with batches of %d tokens", budget.tokens)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def cut_all(work: Sequence[Work], layout: Layout, table: RowTable) -> list[list[Scores]]:
    """Per-response pieces of a flat table."""
    answer: list[list[Scores]] = []
    for item, starts, errors in zip(work, layout.starts, layout.errors, strict=True):
        answer.append([])
        for index, response in enumerate(item.responses):
            asked = item.wanted_of(index)
            columns = 0 if asked is None else int(asked.shape[1])
            piece = table.cut(starts[index], len(response), columns, errors[index])
            answer[-1].append(piece)
    return answer
