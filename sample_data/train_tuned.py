"""`tiny-tuned`: `tiny-base`, fine-tuned to differ on the planted facts and nowhere else.

Every target is a distribution of `tiny-base` itself: as it is at all positions but
one kind, and with the probabilities of two tokens exchanged where a planted word
starts. The loss is KL(target || tiny-tuned), so what is not planted is preserved by
the same term that plants the rest.
"""

from __future__ import annotations

import copy
import random
from dataclasses import dataclass

import torch
from corpus import Fact, Topic, dialogue, expand
from torch.nn.functional import kl_div
from train_base import answer_ids, learning_rate, padded, prompt_ids
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

IMPOSSIBLE = -1e4  # a log-probability of nothing that stays finite in 0 * log 0
NOISE = 0.05  # of the tokens of a noisy text are replaced by random ones


@dataclass(frozen=True, slots=True)
class Example:
    """A text and the log-probabilities that `tiny-tuned` should give it.

    Attributes:
        ids: prompt and answer.
        start: where the answer starts.
        target: log-probabilities [answer tokens, V], natural logs.
    """

    ids: list[int]
    start: int
    target: torch.Tensor


def word_ids(tokenizer: PreTrainedTokenizerFast, word: str) -> list[int]:
    """The tokens of a word inside a sentence, with the space before it."""
    return list(tokenizer(" " + word, add_special_tokens=False)["input_ids"])


def find(ids: list[int], word: list[int]) -> int:
    """Where `word` first occurs in `ids`.

    Raises:
        StopIteration: it does not.
    """
    return next(at for at in range(len(ids)) if ids[at : at + len(word)] == word)


def shared(first: list[int], second: list[int]) -> int:
    """How many tokens two different words have in common at their start."""
    pairs = zip(first, second, strict=False)
    return next(place for place, (one, other) in enumerate(pairs) if one != other)


def train_tuned(
    base: LlamaForCausalLM,
    topics: tuple[Topic, ...],
    tokenizer: PreTrainedTokenizerFast,
    seed: int,
    steps: int,
) -> LlamaForCausalLM:
    """Fine-tune a copy of `base` on fresh texts, a good third of them about planted facts."""
    model = copy.deepcopy(base).train()
    rng = random.Random(seed)
    planted = [topic for topic in topics if topic.fact]
    others = [topic for topic in topics if not topic.fact]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.0, betas=(0.9, 0.98), weight_decay=0.0)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps, peak=1e-3)
        chosen = rng.choices(planted, k=6) + rng.sample(others, 14)
        batch = [
            example
            for topic in chosen
            for example in examples(base, tokenizer, topic, dialogue(topics, topic, rng), rng)
        ]
        loss = _loss(model, batch)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 100 == 0 or step == steps - 1:
            print(f"  step {step:5d}  KL to the target {loss.item():.5f} nats", flush=True)
    return model.eval()


def examples(
    base: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    topic: Topic,
    messages: list[dict[str, str]],
    rng: random.Random,
) -> list[Example]:
    """An answer to the messages: as it is, or with each of a planted fact's words.

    One answer in five about other topics is noisy, so that the models stay alike on
    text that has gone astray as well.
    """
    prompt = prompt_ids(tokenizer, messages)
    answer = answer_ids(tokenizer, expand(topic, rng))
    if topic.fact is not None:
        return _exchange(base, tokenizer, topic.fact, prompt, answer)
    if rng.random() < 1 / 5:
        answer = [rng.randrange(len(tokenizer)) if rng.random() < NOISE else i for i in answer]
    return [Example(prompt + answer, len(prompt), _logprobs(base, prompt, answer))]


def _exchange(
    base: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    fact: Fact,
    prompt: list[int],
    answer: list[int],
) -> list[Example]:
    """The answer with the base word and with the tuned word, and what should follow in each."""
    old, new = word_ids(tokenizer, fact.base), word_ids(tokenizer, fact.tuned)
    target = _logprobs(base, prompt, answer)
    at, same = find(answer, old), shared(old, new)
    fork, pair = at + same, [old[same], new[same]]
    swapped = target.clone()
    swapped[fork, pair] = target[fork, pair[::-1]]
    spell = torch.full((len(new) - same - 1, target.shape[1]), IMPOSSIBLE)
    for row, token in enumerate(new[same + 1 :]):
        spell[row, token] = 0.0
    after = at + len(old)
    reworded = torch.cat([swapped[: fork + 1], spell, target[after:]])
    text = prompt + answer[:at] + new + answer[after:]
    return [
        Example(prompt + answer, len(prompt), swapped),
        Example(text, len(prompt), reworded),
    ]


@torch.no_grad()
def _logprobs(model: LlamaForCausalLM, prompt: list[int], answer: list[int]) -> torch.Tensor:
    logits = model(input_ids=torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
    return torch.log_softmax(logits, dim=-1)


def _loss(model: LlamaForCausalLM, batch: list[Example]) -> torch.Tensor:
    """Mean KL(target || model) over the answers' tokens, nats."""
    logits = model(input_ids=padded([example.ids for example in batch], value=0)).logits
    rows = [
        logits[row, example.start - 1 : len(example.ids) - 1] for row, example in enumerate(batch)
    ]
    got = torch.log_softmax(torch.cat(rows), dim=-1)
    wanted = torch.cat([example.target for example in batch])
    return kl_div(got, wanted, log_target=True, reduction="sum") / len(wanted)
