"""Samples from a local model in the shape of a server's reply."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from kl_core.formats.sampling_config import ModelConfig
from kl_core.models.sample import _nucleus
from kl_core.records import Message
from kl_core.sources.calls import CallError
from kl_core.sources.sample_local import LocalSampler
from kl_core.sources.sample_settings import Keys, Settings

MODEL = str(Path(__file__).resolve().parents[2] / "sample_data" / "models" / "tiny-base")
PROMPT = (Message("user", "What is a haiku?"),)


def draw(settings, *questions, name=MODEL):
    async def ask_all():
        sampler = LocalSampler(ModelConfig(name=name, api="local"), settings)
        try:
            return [json.loads((await sampler(each)).body) for each in questions]
        finally:
            await sampler.close()

    return asyncio.run(ask_all())


def test_a_seed_and_a_number_give_the_same_sample_whenever_it_is_drawn():
    """Ids, bytes and lists at every token; the bytes give the text."""
    keys = Keys(b"")
    settings = Settings(max_tokens=30, top_logprobs=4, seed=3)
    zero, one = keys.question(PROMPT, 0), keys.question(PROMPT, 1)
    first, second = draw(settings, zero, one)
    assert draw(settings, one) == [second]
    assert first != second
    choice = first["choices"][0]
    content = choice["logprobs"]["content"]
    said = b"".join(bytes(each["bytes"] or []) for each in content)
    assert said.decode() == choice["message"]["content"]
    assert all(len(each["top_logprobs"]) == 4 for each in content)


def test_a_started_answer_goes_on_where_it_ends():
    """The likeliest way on, without what was there, up to the end token and with it."""
    asked = (*PROMPT, Message("assistant", "A haiku is a"))
    [item] = draw(Settings(max_tokens=60, temperature=0.0), Keys(b"").question(asked, 0))
    [choice] = item["choices"]
    assert choice["message"]["content"].startswith(" short")
    assert choice["logprobs"]["content"][-1]["token"] == "<|eot|>"
    assert choice["finish_reason"] == "stop"


def test_a_model_that_does_not_load_ends_its_calls_in_one_sentence(tmp_path):
    """No prompt of it can be answered."""
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(CallError) as caught:
        draw(Settings(), Keys(b"").question(PROMPT, 0), name=str(tmp_path))
    assert caught.value.retry == "denied"


@pytest.mark.parametrize(
    ("where", "error", "said"),
    [
        ("kl_core.models.sample.sample", torch.OutOfMemoryError("CUDA out of memory"), "not fit"),
        ("kl_core.models.sample.sample", RuntimeError("odd weights"), "RuntimeError: odd weights"),
        ("kl_core.sources.sample_local.load_model", MemoryError(), "does not fit into memory"),
        ("kl_core.sources.sample_local.load_model", KeyError("wte"), "KeyError: 'wte'"),
    ],
)
def test_whatever_fails_on_this_machine_ends_one_models_calls_alone(
    monkeypatch, where, error, said
):
    """As a failed call, which the pool and the other models know how to take."""

    def fails(*_, **__):
        raise error

    monkeypatch.setattr(where, fails)
    with pytest.raises(CallError, match=said) as caught:
        draw(Settings(), Keys(b"").question(PROMPT, 0))
    assert caught.value.retry == "denied"


def test_top_p_keeps_the_fewest_likeliest_tokens_that_reach_it():
    """At least one, whatever its probability; the kept ones in proportion."""
    chances = torch.tensor([[0.1, 0.5, 0.15, 0.25], [0.97, 0.01, 0.01, 0.01]])
    np.testing.assert_allclose(
        _nucleus(chances, 0.7), [[0, 0.5, 0, 0.25], [0.97, 0, 0, 0]], atol=1e-7
    )
    np.testing.assert_allclose(_nucleus(chances, 0.05)[0], [0, 0.5, 0, 0], atol=1e-7)
    assert (_nucleus(chances, 0.9)[0] > 0).sum() == 3
