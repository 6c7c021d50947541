"""Hidden states that predict the tokens of responses, by three ways of computing.

`prefix-cache` runs each prompt once and shares its key/value cache between its
responses; `padded` runs whole right-padded sequences; `one-by-one` asks the model's
public call for its logits and is the reference the others are held against.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from kl_core.models.batching import Budget, plan_batches
from kl_core.models.layout import Job
from kl_core.models.prefix import PromptCache

CPU_BATCH_OVERHEAD = 32
GPU_BATCH_OVERHEAD = 1024


class Body(Protocol):
    """Yields, for each job, the states [n, D] that predict its n scorable tokens."""

    kind: str

    def states(self, jobs: Sequence[Job], budget: Budget) -> Iterator[tuple[Job, Tensor]]:
        """States of every job, in an order of the body's choosing."""

    def last_states(self, ids: Tensor) -> Tensor:
        """State after the last token of each equally long sequence [n, L] -> [n, D]."""


class OneByOneBody:
    """The model's own forward pass, one sequence at a time; states are logits."""

    kind = "one-by-one"

    def __init__(self, model: Any) -> None:
        self.model = model

    def states(self, jobs: Sequence[Job], budget: Budget) -> Iterator[tuple[Job, Tensor]]:
        """Logits [n, V] of every job."""
        for job in jobs:
            if job.inputs:
                ids = torch.tensor([job.inputs], device=self.model.device)
                logits = self.model(input_ids=ids, use_cache=False).logits[0]
                yield job, logits[max(len(job.prompt_ids) - 1, 0) :]

    def last_states(self, ids: Tensor) -> Tensor:
        """Logits [n, V] after the last token."""
        rows = [self.model(input_ids=row[None], use_cache=False).logits[0, -1] for row in ids]
        return torch.stack(rows)


class PaddedBody:
    """Whole sequences, sorted by length and padded on the right, without a mask.

    Causal attention and recurrences never look to the right, so the padding cannot
    reach a real token.
    """

    kind = "padded"

    def __init__(self, model: Any) -> None:
        self.model = model
        self.base = model.base_model

    def states(self, jobs: Sequence[Job], budget: Budget) -> Iterator[tuple[Job, Tensor]]:
        """Hidden states of every job."""
        todo = [job for job in jobs if job.inputs]
        lengths = [len(job.inputs) for job in todo]
        for batch in plan_batches(lengths, 0, budget.tokens, overhead(self.model)):
            ids = padded([todo[index].inputs for index in batch], self.model.device)
            hidden = self.base(input_ids=ids, use_cache=False).last_hidden_state
            for row, index in enumerate(batch):
                job = todo[index]
                yield job, hidden[row, max(len(job.prompt_ids) - 1, 0) : len(job.inputs)]

    def last_states(self, ids: Tensor) -> Tensor:
        """Hidden states [n, D] after the last token."""
        states: Tensor = self.base(input_ids=ids, use_cache=False).last_hidden_state[:, -1]
        return states


class PrefixCacheBody(PaddedBody):
    """Each prompt once; its cache is shared by its responses."""

    kind = "prefix-cache"

    def states(self, jobs: Sequence[Job], budget: Budget) -> Iterator[tuple[Job, Tensor]]:
        """Hidden states of every job; a prompt with one response runs whole, padded."""
        groups: dict[tuple[int, ...], list[Job]] = {}
        for job in jobs:
            groups.setdefault(job.prompt_ids, []).append(job)
        shared = [group for prompt, group in groups.items() if prompt and len(group) > 1]
        for group in shared:
            yield from self._group(group, budget)
        alone = [group for prompt, group in groups.items() if not prompt or len(group) == 1]
        yield from super().states(list(itertools.chain.from_iterable(alone)), budget)

    def _group(self, group: list[Job], budget: Budget) -> Iterator[tuple[Job, Tensor]]:
        prompt = group[0].prompt_ids
        cache, last = PromptCache.run(self.base, padded([prompt], self.model.device))
        tails = [job.response[:-1] for job in group]
        for index, job in enumerate(group):
            if not tails[index]:
                yield job, last
        order = [index for index, tail in enumerate(tails) if tail]
        lengths = [len(tails[index]) for index in order]
        plan = plan_batches(lengths, len(prompt), budget.tokens, overhead(self.model))
        for batch in plan:
            members = [order[index] for index in batch]
            ids = padded([tails[index] for index in members], self.model.device)
            hidden = self.base(
                input_ids=ids, past_key_values=cache.shared(len(members)), use_cache=True
            ).last_hidden_state
            for row, index in enumerate(members):
                yield group[index], torch.cat([last, hidden[row, : len(tails[index])]])


def overhead(model: Any) -> int:
    """What starting a batch costs on the model's device, in token steps."""
    return CPU_BATCH_OVERHEAD if model.device.type == "cpu" else GPU_BATCH_OVERHEAD


def padded(sequences: Sequence[Sequence[int]], device: torch.device) -> Tensor:
    """Right-pad with id 0 to one tensor [n, L]."""
    width = max(len(sequence) for sequence in sequences)
    rows = [[*sequence, *[0] * (width - len(sequence))] for sequence in sequences]
    return torch.tensor(rows, device=device)
