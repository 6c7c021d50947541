"""Sampling: right distribution, right records, right ends."""

from __future__ import annotations

import numpy as np
import pytest

from kl_core.errors import ModelError
from kl_core.models.engine import PrefixCacheEngine, Work
from kl_core.models.sample import end_ids, sample
from tests.models.tiny import (
    CONFIGS,
    ids,
    make_tokenizer,
    mamba_config,
    reference_logprobs,
    stressed,
    wrapped,
)

PROMPT = ids(np.random.default_rng(4), 9)


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer()


@pytest.mark.parametrize("family", ["llama", "gemma3", "gemma2-capped", "gpt2", "mamba"])
def test_recorded_scores_are_those_of_the_engine(family, tokenizer):
    """What sampling wrote down is what scoring the same tokens gives, untempered."""
    config = mamba_config() if family == "mamba" else CONFIGS[family]()
    loaded = wrapped(stressed(config), tokenizer)
    drawn = sample(loaded, PROMPT, 4, 12, 2.0, 5, seed=3)
    assert len({one.ids for one in drawn}) > 1
    work = [Work(PROMPT, tuple(one.ids for one in drawn))]
    for one, score in zip(drawn, PrefixCacheEngine(loaded, 5).score(work)[0], strict=True):
        np.testing.assert_allclose(one.scores.chosen, score.chosen, atol=1e-4)
        np.testing.assert_allclose(one.scores.top_logprobs, score.top_logprobs, atol=1e-4)
        np.testing.assert_allclose(one.scores.entropy, score.entropy, atol=1e-4)
        np.testing.assert_array_equal(one.scores.rank, score.rank)


def test_same_seed_same_responses(tokenizer):
    """Repeatable, and another seed gives others."""
    loaded = wrapped(stressed(CONFIGS["llama"]()), tokenizer)
    first, again, other = (
        [one.ids for one in sample(loaded, PROMPT, 3, 8, 1.0, 2, seed=seed)] for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_temperature_zero_takes_the_likeliest_token(tokenizer):
    """Greedy: every token has rank 1."""
    loaded = wrapped(stressed(CONFIGS["llama"]()), tokenizer)
    for one in sample(loaded, PROMPT, 2, 10, 0.0, 2, seed=0):
        assert (one.scores.rank == 1).all()


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_first_tokens_follow_the_tempered_distribution(temperature, tokenizer):
    """Counts of 4,000 draws lie within five standard errors of the probabilities."""
    model = stressed(CONFIGS["llama"]())
    drawn = sample(wrapped(model, tokenizer), PROMPT, 4000, 1, temperature, 1, seed=5)
    truth = reference_logprobs(model, PROMPT, (0,))[0].astype(np.float64) / temperature
    p = np.exp(truth - truth.max())
    p /= p.sum()
    share = np.bincount([one.ids[0] for one in drawn], minlength=len(p)) / 4000
    assert np.abs(share - p).max() < 5 * np.sqrt(p.max() * (1 - p.max()) / 4000)


def test_response_ends_with_the_end_token_and_says_so(tokenizer):
    """The end token is kept as the last id; what did not end says it did not."""
    model = stressed(CONFIGS["llama"]())
    model.get_output_embeddings().weight[2].mul_(3.0)
    loaded = wrapped(model, tokenizer)
    assert end_ids(loaded) == {2}
    drawn = sample(loaded, PROMPT, 40, 6, 1.0, 2, seed=0)
    assert {one.stopped for one in drawn} == {True, False}
    for one in drawn:
        assert (one.ids[-1] == 2) == one.stopped
        assert 2 not in one.ids[:-1]
        assert len(one.scores.chosen) == len(one.ids)
        assert np.isfinite(one.scores.chosen).all()


def test_sampling_stops_at_the_end_of_the_context(tokenizer):
    """64 positions and a prompt of 60: at most 5 tokens, the last one from position 64."""
    loaded = wrapped(stressed(CONFIGS["llama"]()), tokenizer)
    prompt = ids(np.random.default_rng(1), 60)
    assert max(len(one.ids) for one in sample(loaded, prompt, 3, 50, 1.0, 2, seed=0)) == 5
    with pytest.raises(ModelError, match="65 positions"):
        sample(loaded, ids(np.random.default_rng(1), 65), 1, 5, 1.0, 2, seed=0)


def test_empty_prompt_is_refused(tokenizer):
    """Nothing to condition on."""
    loaded = wrapped(stressed(CONFIGS["llama"]()), tokenizer)
    with pytest.raises(ModelError, match="empty prompt"):
        sample(loaded, (), 1, 5, 1.0, 2, seed=0)
