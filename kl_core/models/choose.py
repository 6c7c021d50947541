"""The fastest way of computing that agrees with the model's own logits."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from kl_core.models.batching import Budget
from kl_core.models.body import Body, OneByOneBody, PaddedBody, PrefixCacheBody
from kl_core.models.head import Head, NoHead, candidate_heads
from kl_core.models.layout import Job, Limits

if TYPE_CHECKING:
    from kl_core.models.load import LoadedModel

log = logging.getLogger(__name__)

FLOAT32_TOLERANCE = 1e-3
HALF_TOLERANCE = 0.05
SAMPLE = (7, (6, 4, 1, 6))


@dataclass(frozen=True)
class Runner:
    """A body and the head that goes with its states."""

    body: Body
    head: Head
    limits: Limits


_chosen: weakref.WeakKeyDictionary[LoadedModel, Runner] = weakref.WeakKeyDictionary()


def choose_runner(loaded: LoadedModel) -> Runner:
    """Compare the fast ways with `model(input_ids).logits` once and take the first that holds.

    Tried in order: shared prompt cache, right-padded whole sequences, one sequence at
    a time. A way that raises or disagrees is logged and not used. The answer is kept
    as long as the model lives.

    Returns:
        The runner; its `body.kind` names the way taken.
    """
    if loaded not in _chosen:
        with torch.inference_mode():
            _chosen[loaded] = _first_that_agrees(loaded.model, str(loaded.identity["name"]))
        log.info("%s is scored by %s", loaded.identity["name"], _chosen[loaded].body.kind)
    return _chosen[loaded]


def _first_that_agrees(model: Any, name: str) -> Runner:
    ids = int(model.get_input_embeddings().weight.shape[0])
    jobs = sample_jobs(min(ids, int(model.config.get_text_config().vocab_size)))
    single = OneByOneBody(model)
    truth = {job.start: logits.float() for job, logits in single.states(jobs, Budget(1, 1))}
    width = next(iter(truth.values())).shape[1]
    limits = Limits(name, min(ids, width), _positions(model))
    heads = [head for head in _safely_heads(model) if head.vocabulary == width]
    tolerance = HALF_TOLERANCE if _coarse(model) else FLOAT32_TOLERANCE
    for kind in (PrefixCacheBody, PaddedBody):
        head, error = _best_head(kind, model, heads, jobs, truth)
        if head is not None and error <= tolerance:
            return Runner(kind(model), head, limits)
        if head is not None:
            log.warning("%s: %s is off its own logits by %.2g nats", name, kind.kind, error)
    return Runner(single, NoHead(width), limits)


def sample_jobs(vocabulary: int) -> list[Job]:
    """Fixed pseudo-random ids: a prompt with several responses, another with a single one."""
    prompt_length, lengths = SAMPLE
    random = np.random.default_rng(0)
    draw = [tuple(random.integers(vocabulary, size=n).tolist()) for n in (prompt_length, *lengths)]
    jobs = [Job(draw[0], response, start) for start, response in enumerate(draw[1:])]
    return [*jobs, Job(draw[0][:2], draw[1], len(jobs))]


def _safely_heads(model: Any) -> Sequence[Head]:
    try:
        return candidate_heads(model)
    except Exception as error:
        log.warning("the output embedding cannot be used on its own: %s", error)
        return []


def _best_head(
    kind: type[PaddedBody], model: Any, heads: Sequence[Head], jobs: list[Job],
    truth: dict[int, Tensor],
) -> tuple[Head | None, float]:  # fmt: skip
    best: Head | None = None
    least = float("inf")
    try:
        states = {job.start: found for job, found in kind(model).states(jobs, Budget(4096, 64))}
        for head in heads:
            error = max(
                _difference(head.logits(states[key]), truth[key], _coarse(model)) for key in truth
            )
            if error < least:
                best, least = head, error
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        log.warning("%s cannot run this model: %s", kind.kind, error)
        return None, float("inf")
    return best, least


def _difference(logits: Tensor, truth: Tensor, coarse: bool) -> float:
    """Largest difference of log-probabilities; the expected one where rounding is coarse.

    Half precision moves unlikely tokens far, so there the mean under the model's own
    distribution is taken, and the largest of all positions returned.
    """
    if logits.shape != truth.shape:
        return float("inf")
    expected = torch.log_softmax(truth.to(logits.device), 1)
    gap = (torch.log_softmax(logits, 1) - expected).abs()
    gap = gap.masked_fill(expected.isneginf() & logits.isneginf(), 0.0)
    if coarse:
        gap = (expected.exp() * gap).nan_to_num(nan=float("inf")).sum(1)
    return float(gap.nan_to_num(nan=float("inf")).max())


def _coarse(model: Any) -> bool:
    """Whether the model's own figures depend on how its input is batched."""
    quantised = getattr(model.config, "quantization_config", None) is not None
    return quantised or model.dtype not in (torch.float32, torch.float64)


def _positions(model: Any) -> int | None:
    config = model.config.get_text_config()
    value = getattr(config, "max_position_embeddings", None)
    return int(value) if value else None
