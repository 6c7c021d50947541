"""Sampling from a tiny model, and its exact log-probabilities."""

from __future__ import annotations

import torch
from transformers import LlamaForCausalLM

MIN_P = 0.01


@torch.no_grad()
def sample(
    model: LlamaForCausalLM,
    prompts: list[list[int]],
    max_new: int,
    generator: torch.Generator,
) -> list[list[int]]:
    """One answer for each prompt, up to and with `<|eot|>`, or `max_new` tokens.

    Temperature 1 with a min-p of 1 %: a token less than a hundredth as likely as the
    likeliest is never drawn, because a model this small strays for good after one.
    Prompts of equal length run as one batch.
    """
    answers: list[list[int]] = [[] for _ in prompts]
    for length in sorted({len(prompt) for prompt in prompts}):
        rows = [row for row, prompt in enumerate(prompts) if len(prompt) == length]
        equal = [prompts[row] for row in rows]
        drawn = _sample_equal(model, equal, max_new, generator)
        for row, answer in zip(rows, drawn, strict=True):
            answers[row] = answer
    return answers


def _sample_equal(
    model: LlamaForCausalLM,
    prompts: list[list[int]],
    max_new: int,
    generator: torch.Generator,
) -> list[list[int]]:
    stop = int(model.config.eos_token_id)
    step = torch.tensor(prompts)
    past = None
    drawn = []
    ended = torch.zeros(len(prompts), dtype=torch.bool)
    while len(drawn) < max_new and not bool(ended.all()):
        out = model(input_ids=step, past_key_values=past, use_cache=True)
        past = out.past_key_values
        chances = torch.softmax(out.logits[:, -1], dim=-1)
        chances[chances < MIN_P * chances.amax(-1, keepdim=True)] = 0.0
        step = torch.multinomial(chances, 1, generator=generator)
        drawn.append(step)
        ended |= step[:, 0] == stop
    rows = torch.cat(drawn, dim=1).tolist()
    return [row[: row.index(stop) + 1] if stop in row else row for row in rows]


@torch.no_grad()
def answer_logprobs(model: LlamaForCausalLM, prompt: list[int], answer: list[int]) -> torch.Tensor:
    """log P of every vocabulary entry before each answer token: float64 [T, V], nats."""
    logits = model(input_ids=torch.tensor([prompt + answer])).logits[0]
    return torch.log_softmax(logits[len(prompt) - 1 : -1].double(), dim=-1)
