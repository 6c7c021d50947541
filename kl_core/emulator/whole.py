"""Every token of a text under a local model, in one forward pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from kl_core.emulator.following import Following, Ids, Whole
from kl_core.models.batching import Budget
from kl_core.models.layout import Job

if TYPE_CHECKING:
    from kl_core.models.choose import Runner

ROWS = 256


def whole_of(runner: Runner, ids: Ids, top: int) -> Whole:
    """Log-probabilities are the float32 log-softmax of the model's logits.

    Args:
        runner: the model's way of computing.
        ids: the text, at least one token.
        top: length k of the lists, capped at the vocabulary.
    """
    top = min(top, runner.head.vocabulary)
    with torch.inference_mode():
        states = _states(runner, ids)
        following = torch.tensor(ids[1:], device=states.device)
        parts = [
            _part(runner, states[at : at + ROWS], following[at : at + ROWS], top)
            for at in range(0, len(ids) - 1, ROWS)
        ]
        last = torch.log_softmax(runner.head.logits(states[-1:]), 1)[0].cpu().numpy()
    order = np.argsort(-last, kind="stable")
    chosen, ranks, top_ids, values = _joined(parts, top)
    after = Following(order.astype(np.int32), last[order])
    return Whole(ids, chosen, ranks, top_ids, values, after)


def _states(runner: Runner, ids: Ids) -> Tensor:
    """[n, D]: what follows each of the n tokens."""
    job = Job((), (*ids, 0), 0)  # the last token of a job is predicted and never read
    for _, states in runner.body.states([job], Budget(len(ids), ROWS)):
        return states
    raise AssertionError("a body yields the states of every job")


def _part(runner: Runner, states: Tensor, following: Tensor, top: int) -> tuple[Any, ...]:
    logits = runner.head.logits(states[: len(following)])
    values = torch.log_softmax(logits, 1)
    own = values.gather(1, following[:, None])
    ranks = 1 + (values > own).sum(1)
    likeliest, places = values.topk(top, 1)
    return tuple(each.cpu().numpy() for each in (own[:, 0], ranks, places, likeliest))


def _joined(parts: list[tuple[Any, ...]], top: int) -> tuple[Any, ...]:
    if not parts:
        none = np.zeros((0, top))
        empty = np.zeros(0)
        return (
            empty.astype(np.float32),
            empty.astype(np.int64),
            none.astype(np.int64),
            none.astype(np.float32),
        )
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))
