"""`tiny-base`: a 270,000-parameter Llama, trained on the corpus from scratch."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import torch
from corpus import Topic, dialogue, expand
from make_tokenizer import LONGEST
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

IGNORE = -100
# The final norm is scaled by this after training, which multiplies every logit: a short
# training leaves a little probability on wrong tokens, and samples would go astray on it.
SHARPEN = 1.35


def new_model(tokenizer: PreTrainedTokenizerFast, seed: int) -> LlamaForCausalLM:
    """An untrained model, its weights drawn with `seed`."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=96,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=LONGEST,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        dtype=torch.float32,
    )
    return LlamaForCausalLM(config)


def prompt_ids(tokenizer: PreTrainedTokenizerFast, messages: list[dict[str, str]]) -> list[int]:
    """Token ids of the chat up to the place where the answer starts."""
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def answer_ids(tokenizer: PreTrainedTokenizerFast, answer: str) -> list[int]:
    """Token ids of an answer with its `<|eot|>`."""
    ids = tokenizer(answer, add_special_tokens=False)["input_ids"]
    return [*ids, int(tokenizer.eos_token_id)]


def padded(rows: Sequence[Sequence[int]], value: int) -> torch.Tensor:
    """Rows of ids, filled up on the right with `value`: int64 [rows, longest]."""
    longest = max(len(row) for row in rows)
    return torch.tensor([[*row, *[value] * (longest - len(row))] for row in rows])


def learning_rate(step: int, steps: int, peak: float, warmup: int = 40) -> float:
    """Linear warm-up to `peak`, then a cosine down to nearly zero."""
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))))


def train_base(
    topics: tuple[Topic, ...], tokenizer: PreTrainedTokenizerFast, seed: int, steps: int
) -> LlamaForCausalLM:
    """Train on fresh expansions, with the loss on the answers' tokens only."""
    model = new_model(tokenizer, seed)
    rng = random.Random(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.0, betas=(0.9, 0.98), weight_decay=0.0)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps, peak=6e-3)
        loss = _loss(model, _batch(topics, tokenizer, rng, step))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 100 == 0 or step == steps - 1:
            print(f"  step {step:5d}  loss {loss.item():.4f} nats", flush=True)
    with torch.no_grad():
        model.model.norm.weight.mul_(SHARPEN)
    return model.eval()


def _batch(
    topics: tuple[Topic, ...], tokenizer: PreTrainedTokenizerFast, rng: random.Random, step: int
) -> list[tuple[list[int], list[int]]]:
    """(prompt, answer) ids of one batch; each fourth batch holds passages only."""
    long = step % 4 == 3
    pool = [topic for topic in topics if (topic.group == "passages") == long]
    return [
        (
            prompt_ids(tokenizer, dialogue(topics, topic, rng)),
            answer_ids(tokenizer, expand(topic, rng)),
        )
        for topic in rng.choices(pool, k=12 if long else 32)
    ]


def _loss(model: LlamaForCausalLM, batch: list[tuple[list[int], list[int]]]) -> torch.Tensor:
    ids = padded([prompt + answer for prompt, answer in batch], value=0)
    labels = padded([[IGNORE] * len(prompt) + answer for prompt, answer in batch], IGNORE)
    logits = model(input_ids=ids).logits[:, :-1]
    return cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORE)
