"""Sampling from a local model, with the log-probabilities it sampled from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from kl_core.errors import ModelError
from kl_core.models.body import padded
from kl_core.models.choose import Runner, choose_runner
from kl_core.models.layout import RowTable
from kl_core.models.project import store_rows
from kl_core.models.rows import row_stats
from kl_core.models.work import Scores

if TYPE_CHECKING:
    from kl_core.models.load import LoadedModel

Step = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Sampled:
    """One sampled response.

    Attributes:
        ids: its T token ids, the end token included when it was reached.
        scores: under the untruncated distribution at temperature 1, whatever
            temperature it was sampled at; natural logs.
        stopped: True when it ended by itself, False at the length limit.
    """

    ids: tuple[int, ...]
    scores: Scores
    stopped: bool


def sample(
    loaded: LoadedModel,
    prompt_ids: tuple[int, ...],
    n: int,
    max_tokens: int,
    temperature: float,
    top_k_logprobs: int,
    seed: int,
    top_p: float = 1.0,
) -> list[Sampled]:
    """Sample n responses to one prompt, together.

    Args:
        loaded: the model.
        prompt_ids: ids of the templated prompt, at least one.
        n: how many responses.
        max_tokens: most tokens of a response; the model's context may allow fewer.
        temperature: divides the logits for the draw only; 0 takes the likeliest token.
        top_k_logprobs: length of the top lists that are recorded.
        seed: the same seed, n and model give the same responses.
        top_p: draw from the likeliest tokens that together have at least this probability at
            the temperature; 1 draws from all.

    Raises:
        ModelError: an empty prompt, or one that fills the model's context.
    """
    runner = choose_runner(loaded)
    room = _room(runner, prompt_ids)
    steps = min(max_tokens, room)
    generator = torch.Generator(device="cpu").manual_seed(seed)
    table = RowTable.empty(n * steps, min(top_k_logprobs, runner.head.vocabulary), 0)
    ids = np.zeros((n, steps), np.int64)
    length = np.zeros(n, np.int64)
    stops = np.array(sorted(end_ids(loaded)), np.int64)
    live = np.ones(n, np.bool_)
    with torch.inference_mode():
        step = _stepper(runner, loaded.model, prompt_ids, n)
        drawn = torch.empty(0, dtype=torch.int64)
        for at in range(steps):
            logits = runner.head.logits(step(drawn))
            drawn = _draw(logits, temperature, generator, top_p)
            none = drawn.new_empty(n, 0)
            stats = row_stats(logits, drawn, none, table.top_ids.shape[1])
            store_rows(table, np.arange(n) * steps + at, stats)
            ids[:, at] = drawn.cpu().numpy()
            length[live] = at + 1
            live &= ~np.isin(ids[:, at], stops)
            if not live.any():
                break
    return [
        Sampled(
            tuple(ids[row, : length[row]].tolist()),
            table.cut(row * steps, int(length[row]), 0, None),
            not bool(live[row]),
        )
        for row in range(n)
    ]


def end_ids(loaded: LoadedModel) -> frozenset[int]:
    """Ids that end a response: the generation settings' and the tokenizer's."""
    config = getattr(loaded.model, "generation_config", None)
    found = getattr(config, "eos_token_id", None)
    ids = set(found) if isinstance(found, list | tuple) else {found}
    ids.add(loaded.tokenizer.eos_token_id if loaded.tokenizer is not None else None)
    return frozenset(int(token) for token in ids if token is not None)


def _room(runner: Runner, prompt_ids: tuple[int, ...]) -> int:
    if not prompt_ids:
        raise ModelError("An empty prompt gives nothing to sample from; start with a token.")
    problem = runner.limits.refuse(prompt_ids, (prompt_ids[-1],))
    if problem:
        raise ModelError(problem)
    positions = runner.limits.positions
    return 2**31 if positions is None else positions - len(prompt_ids) + 1


def _draw(
    logits: Tensor, temperature: float, generator: torch.Generator, top_p: float = 1.0
) -> Tensor:
    if temperature == 0:
        return logits.argmax(1)
    probabilities = torch.softmax(logits.double().cpu() / temperature, 1)
    if top_p < 1.0:
        probabilities = _nucleus(probabilities, top_p)
    return torch.multinomial(probabilities, 1, generator=generator)[:, 0].to(logits.device)


def _nucleus(probabilities: Tensor, top_p: float) -> Tensor:
    """[n, V] with 0 outside the fewest likeliest tokens that reach top_p; one always stays.

    Source: Holtzman et al. (2020), The curious case of neural text degeneration.
    """
    ordered, ids = probabilities.sort(1, descending=True)
    before = ordered.cumsum(1) - ordered
    ordered[before >= top_p] = 0.0
    return torch.zeros_like(probabilities).scatter_(1, ids, ordered)


def _stepper(runner: Runner, model: Any, prompt_ids: tuple[int, ...], n: int) -> Step:
    """A function that takes the last drawn ids [n] (none at first) and gives states [n, D]."""
    prompt = padded([prompt_ids], model.device)
    if runner.body.kind == "prefix-cache":
        return _cached_stepper(model, prompt, n)
    rows = prompt.expand(n, -1)

    def step(drawn: Tensor) -> Tensor:
        nonlocal rows
        if drawn.numel():
            rows = torch.cat([rows, drawn[:, None].to(rows.device)], 1)
        return runner.body.last_states(rows)

    return step


def _cached_stepper(model: Any, prompt: Tensor, n: int) -> Step:
    cache: Any = None

    def step(drawn: Tensor) -> Tensor:
        nonlocal cache
        if cache is None:
            out = model.base_model(input_ids=prompt, use_cache=True)
            cache = out.past_key_values
            cache.batch_repeat_interleave(n)
            last: Tensor = out.last_hidden_state[:, -1]
            return last.expand(n, -1)
        ids = drawn[:, None].to(prompt.device)
        out = model.base_model(input_ids=ids, past_key_values=cache, use_cache=True)
        states: Tensor = out.last_hidden_state[:, -1]
        return states

    return step
