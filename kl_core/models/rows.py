"""Statistics of rows of logits: the torch side of what `Scores` holds."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

CPU_BLOCK_ROWS = 32
TOP_BLOCK_WIDTH = 64


@dataclass(frozen=True)
class RowStats:
    """Per row of logits; natural logs.

    chosen [r], rank [r] from 1, top_ids [r, k], top_logprobs [r, k] falling,
    entropy [r] in nats, wanted [r, m] with NaN where the id is -1.
    """

    chosen: Tensor
    rank: Tensor
    top_ids: Tensor
    top_logprobs: Tensor
    entropy: Tensor
    wanted: Tensor


def row_stats(logits: Tensor, targets: Tensor, wanted: Tensor, top_k: int) -> RowStats:
    """Score rows of logits over the whole vocabulary.

    Args:
        logits: [r, V] float32; -inf allowed (probability zero).
        targets: [r] ids of the tokens that came next.
        wanted: [r, m] further ids, -1 for none.
        top_k: how many of the likeliest ids to return, capped at V.

    Returns:
        RowStats; log-probabilities are float32 log-softmax values.
    """
    step = CPU_BLOCK_ROWS if logits.device.type == "cpu" else max(len(logits), 1)
    scratch = torch.empty_like(logits[:step])
    parts = [
        _block(logits[at : at + step], targets[at : at + step], wanted[at : at + step], top_k,
               scratch)
        for at in range(0, len(logits), step)
    ]  # fmt: skip
    return RowStats(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _block(
    logits: Tensor, targets: Tensor, wanted: Tensor, top_k: int, scratch: Tensor
) -> tuple[Tensor, ...]:
    own = logits.gather(1, targets[:, None])
    larger = torch.gt(logits, own, out=scratch[: len(logits)]).sum(1)
    rank = 1 + larger.long()  # float32 counts are exact to 2**24, and 7x faster than booleans
    top_ids = top_indices(logits, min(top_k, logits.shape[1]))
    logp = torch.log_softmax(logits, 1, out=scratch[: len(logits)])
    asked = logp.gather(1, wanted.clamp(min=0)).masked_fill_(wanted < 0, torch.nan)
    chosen = logp.gather(1, targets[:, None])[:, 0]
    return chosen, rank, top_ids, logp.gather(1, top_ids), entropy(logp), asked


def entropy(logp: Tensor) -> Tensor:
    """Entropy in nats of each row of log-probabilities [r, V] -> [r]; 0 log 0 = 0."""
    total: Tensor = -torch.linalg.vecdot(logp.exp(), logp)
    if bool(total.isnan().any()):
        finite = logp.clamp(min=torch.finfo(logp.dtype).min)
        total = -torch.linalg.vecdot(logp.exp(), finite)
    return total


def top_indices(logits: Tensor, k: int) -> Tensor:
    """Indices of the k largest values of each row [r, V] -> [r, k], falling; exact.

    On a CPU the k blocks with the largest maxima are searched instead of the row:
    no value of the top k can lie elsewhere.
    """
    rows, width = logits.shape
    blocks = width // TOP_BLOCK_WIDTH
    if k == 0 or logits.device.type != "cpu" or blocks < 4 * k:
        return torch.topk(logits, k, dim=1).indices
    whole = blocks * TOP_BLOCK_WIDTH
    maxima = logits[:, :whole].view(rows, blocks, TOP_BLOCK_WIDTH).amax(2)
    best = torch.topk(maxima, k, dim=1, sorted=False).indices
    inside = torch.arange(TOP_BLOCK_WIDTH)
    found = (best[:, :, None] * TOP_BLOCK_WIDTH + inside).flatten(1)
    tail = torch.arange(whole, width).expand(rows, -1)
    candidates = torch.cat([found, tail], 1)
    place = torch.topk(logits.gather(1, candidates), k, dim=1).indices
    return candidates.gather(1, place)
