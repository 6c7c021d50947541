"""Tiny random models and tokenizers, made in the test and held against slow references."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForCausalLM,
    CohereConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    GraniteConfig,
    LlamaConfig,
    MambaConfig,
    MistralConfig,
    PhiConfig,
    PreTrainedTokenizerFast,
    Qwen3Config,
)

from kl_core.models.load import LoadedModel, ModelSpec
from kl_core.models.work import Work

VOCAB = 300
SHAPE: dict[str, Any] = {
    "vocab_size": VOCAB,
    "hidden_size": 48,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 12,
    "max_position_embeddings": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
GEMMA2 = {"final_logit_softcapping": 4.0, "attn_logit_softcapping": 3.0, "sliding_window": 6}
FULL_AND_SLIDING = ["sliding_attention", "full_attention"]

CONFIGS: dict[str, Callable[[], Any]] = {
    "llama": lambda: LlamaConfig(**SHAPE, tie_word_embeddings=False),
    "llama-tied": lambda: LlamaConfig(**SHAPE, tie_word_embeddings=True),
    "mistral-sliding": lambda: MistralConfig(**SHAPE, sliding_window=6),
    "qwen3-tied": lambda: Qwen3Config(**SHAPE, tie_word_embeddings=True),
    "gemma2-capped": lambda: Gemma2Config(**SHAPE, **GEMMA2, query_pre_attn_scalar=12),
    "gemma3": lambda: Gemma3TextConfig(**SHAPE, sliding_window=6, layer_types=FULL_AND_SLIDING),
    "gpt2": lambda: GPT2Config(
        vocab_size=VOCAB, n_embd=48, n_layer=2, n_head=4, n_positions=64,
        bos_token_id=1, eos_token_id=2,
    ),
    "phi-head-bias": lambda: PhiConfig(**{**SHAPE, "num_key_value_heads": 4}),
    "cohere-logit-scale": lambda: CohereConfig(**SHAPE, logit_scale=1.5),
    "granite-logits-scaling": lambda: GraniteConfig(**SHAPE, logits_scaling=3.0),
}  # fmt: skip


def mamba_config() -> Any:
    """A state-space model: it has no key/value cache to share."""
    return MambaConfig(
        vocab_size=VOCAB, hidden_size=48, num_hidden_layers=2, state_size=8,
        bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip


def stressed(config: Any, seed: int = 0) -> Any:
    """A random model with weights large enough that every mistake shows in the logits."""
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)
    for name, weight in model.named_parameters():
        if "mamba" in config.model_type and ("A_log" in name or "dt_proj" in name):
            continue
        if weight.dim() > 1:
            weight.normal_(0.0, 1.6 / weight.shape[-1] ** 0.5)
        else:
            weight.add_(0.3 * torch.randn_like(weight))
    head = model.get_output_embeddings().weight
    head.mul_(1.5)
    return model


def wrapped(model: Any, tokenizer: Any = None, **spec: Any) -> LoadedModel:
    """An in-memory model as `load_model` would hand it over."""
    identity = {"name": type(model).__name__, "vocab_size": VOCAB}
    return LoadedModel(model, tokenizer, identity, ModelSpec("memory", **spec))


def ids(random: np.random.Generator, length: int, vocab: int = VOCAB) -> tuple[int, ...]:
    """Random token ids."""
    return tuple(int(token) for token in random.integers(vocab, size=length))


def some_work(seed: int = 1) -> list[Work]:
    """Several prompts with several responses of different lengths, all the edge sizes."""
    random = np.random.default_rng(seed)
    sizes = [(20, (9, 1, 0, 13, 30)), (3, (4,)), (1, (8, 8, 2)), (11, (7, 3))]
    return [
        Work(ids(random, prompt), tuple(ids(random, length) for length in lengths))
        for prompt, lengths in sizes
    ]


def reference_logprobs(model: Any, prompt: tuple[int, ...], response: tuple[int, ...]) -> Any:
    """[T, V] float32 log-softmax of the model's public call, this one sequence alone.

    The first row is NaN for an empty prompt: nothing predicts that token.
    """
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([prompt + response])).logits[0].float()
    rows = torch.log_softmax(logits, -1).numpy()
    if not prompt:
        rows = np.concatenate([np.full_like(rows[:1], np.nan), rows])
        return rows[: len(response)]
    return rows[len(prompt) - 1 : len(prompt) + len(response) - 1]


TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}</s>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def make_tokenizer(template: str | None = TEMPLATE, *, adds_bos: bool = True) -> Any:
    """A byte-level BPE tokenizer with specials, a plain added token and 300 ids."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB - 2,
        special_tokens=["<pad>", "<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    text = ["the cat sat on the mat and the dog ran to the cat and the hat"] * 4
    core.train_from_iterator(
        [*text, "user assistant system another thing other thin ring"], trainer
    )
    if adds_bos:
        core.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", 1)]
        )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )
    tokenizer.add_tokens(["plainword"])
    tokenizer.chat_template = template
    return tokenizer


def save(folder: Path, name: str = "llama", seed: int = 0) -> Path:
    """Save a tiny model with its tokenizer, as a user's folder would be."""
    stressed(CONFIGS[name](), seed).save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return folder
