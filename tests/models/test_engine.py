"""The engine against one-at-a-time passes of the public model call."""

from __future__ import annotations

import numpy as np
import pytest

from kl_core.models.engine import PrefixCacheEngine, Work
from tests.models.tiny import CONFIGS, VOCAB, ids, reference_logprobs, some_work, stressed, wrapped

FAMILIES = sorted(CONFIGS)


def gaps(model, work, scores):
    """|difference| of chosen, top-k and entropy to the reference, over every position."""
    found = {"chosen": [], "top": [], "entropy": []}
    for item, row in zip(work, scores, strict=True):
        for response, score in zip(item.responses, row, strict=True):
            assert score.error is None
            assert score.chosen.shape == (len(response),)
            if not response:
                continue
            truth = reference_logprobs(model, item.prompt_ids, response).astype(np.float64)
            own = truth[np.arange(len(response)), list(response)]
            found["chosen"].append(np.abs(score.chosen - own))
            listed = -np.sort(-truth, axis=1)[:, : score.top_ids.shape[1]]
            found["top"].append(np.abs(score.top_logprobs - listed).ravel())
            by_id = np.take_along_axis(truth, score.top_ids, 1)
            found["top"].append(np.abs(score.top_logprobs - by_id).ravel())
            found["entropy"].append(np.abs(score.entropy + (np.exp(truth) * truth).sum(1)))
    return {name: np.concatenate(values) for name, values in found.items()}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("batch_tokens", "rows"), [(8192, 256), (60, 5), (1, 1)])
def test_engine_equals_one_at_a_time_passes(family, batch_tokens, rows):
    """Any family, any budget: log-probabilities agree to 1e-4 at most, 1e-5 on average."""
    model = stressed(CONFIGS[family]())
    work = some_work()
    engine = PrefixCacheEngine(wrapped(model), 7, batch_tokens, rows)
    assert engine.kind == "prefix-cache"
    for name, gap in gaps(model, work, engine.score(work)).items():
        assert gap.max() <= 1e-4, name
        assert gap.mean() <= 1e-5, name


@pytest.mark.parametrize("family", FAMILIES)
def test_stressed_models_are_sharp_and_look_back(family):
    """The comparison means something: context decides, and distributions are not flat."""
    model = stressed(CONFIGS[family]())
    random = np.random.default_rng(0)
    tail = ids(random, 6)
    one = reference_logprobs(model, ids(random, 5), tail)
    other = reference_logprobs(model, ids(random, 5), tail)
    assert np.abs(one - other).max() > 0.3
    entropy = -(np.exp(one) * one).sum(1)
    assert entropy.max() < np.log(VOCAB) - 0.3


@pytest.mark.parametrize("family", ["mistral-sliding", "gemma2-capped", "gemma3"])
def test_sliding_windows_hold_across_prompt_and_response(family):
    """A prompt longer than the window still gives what the whole sequence gives."""
    model = stressed(CONFIGS[family]())
    random = np.random.default_rng(3)
    work = [Work(ids(random, n), tuple(ids(random, t) for t in (2, 9, 20))) for n in (5, 6, 7, 30)]
    gap = gaps(model, work, PrefixCacheEngine(wrapped(model), 3).score(work))["chosen"]
    assert gap.max() <= 1e-4


def test_rank_counts_the_strictly_larger_logits():
    """Rank 1 is the likeliest token; every position agrees with a sort of the reference."""
    model = stressed(CONFIGS["llama"]())
    work = some_work()
    for item, row in zip(work, PrefixCacheEngine(wrapped(model), 4).score(work), strict=True):
        for response, score in zip(item.responses, row, strict=True):
            for at, token in enumerate(response):
                truth = reference_logprobs(model, item.prompt_ids, response)[at]
                assert score.rank[at] == 1 + (truth > truth[token]).sum()


def test_wanted_ids_get_their_logprobs_and_minus_one_gets_nan():
    """Candidates asked for by id are answered in place, per response and width."""
    model = stressed(CONFIGS["gemma2-capped"]())
    random = np.random.default_rng(5)
    prompt, one, two = ids(random, 9), ids(random, 6), ids(random, 4)
    asked1 = random.integers(-1, VOCAB, size=(6, 5))
    asked1[0, 0] = -1
    asked2 = random.integers(0, VOCAB, size=(4, 2))
    work = [Work(prompt, (one, two, one), (asked1, asked2, None))]
    row = PrefixCacheEngine(wrapped(model), 3, projection_rows=4).score(work)[0]
    for response, asked, score in ((one, asked1, row[0]), (two, asked2, row[1])):
        truth = reference_logprobs(model, prompt, response)
        expected = np.where(asked < 0, np.nan, np.take_along_axis(truth, asked.clip(0), 1))
        assert score.wanted.shape == asked.shape
        np.testing.assert_allclose(score.wanted, expected, atol=1e-4)
    assert row[2].wanted.shape == (6, 0)
