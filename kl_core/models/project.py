"""Vocabulary projection in chunks of rows, into flat tables."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from kl_core.models.batching import Budget
from kl_core.models.head import Head
from kl_core.models.layout import Job, Layout, RowTable
from kl_core.models.rows import RowStats, row_stats


class Projector:
    """Collects states of any responses and scores them `budget.rows` rows at a time.

    So at most that many rows of the vocabulary exist at once, however the responses
    were batched.
    """

    def __init__(self, head: Head, layout: Layout, top_k: int, budget: Budget) -> None:
        self.head = head
        self.layout = layout
        self.top_k = min(top_k, head.vocabulary)
        self.budget = budget
        self.table = RowTable.empty(len(layout.targets), self.top_k, int(layout.wanted.shape[1]))
        self.pending: list[Tensor] = []
        self.rows: list[np.ndarray] = []

    def take(self, job: Job, states: Tensor) -> None:
        """Queue the states [n, D] of one response."""
        self.pending.append(states)
        self.rows.append(np.arange(job.first_row, job.first_row + len(states)))

    def flush(self, everything: bool = False) -> None:
        """Score the queued rows; without `everything`, full chunks only."""
        waiting = sum(len(states) for states in self.pending)
        if not waiting or (waiting < self.budget.rows and not everything):
            return
        hidden = torch.cat(self.pending) if len(self.pending) > 1 else self.pending[0]
        rows = np.concatenate(self.rows)
        done = 0
        while waiting - done >= self.budget.rows or (everything and done < waiting):
            end = min(done + self.budget.rows, waiting)
            try:
                self._score(hidden[done:end], rows[done:end])
            except torch.OutOfMemoryError:
                self.budget.halve_rows()
                continue
            done = end
        self.pending, self.rows = [hidden[done:].clone()], [rows[done:]]

    def _score(self, hidden: Tensor, rows: np.ndarray) -> None:
        logits = self.head.logits(hidden)
        targets = torch.from_numpy(self.layout.targets[rows]).to(logits.device)
        wanted = torch.from_numpy(self.layout.wanted[rows]).to(logits.device)
        self._store(rows, row_stats(logits, targets, wanted, self.top_k))

    def _store(self, rows: np.ndarray, stats: RowStats) -> None:
        store_rows(self.table, rows, stats)


def store_rows(table: RowTable, rows: np.ndarray, stats: RowStats) -> None:
    """Write the statistics of some rows into a table, as float64 and int64."""
    table.chosen[rows] = stats.chosen.double().cpu().numpy()
    table.rank[rows] = stats.rank.cpu().numpy()
    table.top_ids[rows] = stats.top_ids.cpu().numpy()
    table.top_logprobs[rows] = stats.top_logprobs.double().cpu().numpy()
    table.entropy[rows] = stats.entropy.double().cpu().numpy()
    table.wanted[rows] = stats.wanted.double().cpu().numpy()
