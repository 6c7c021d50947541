"""Two local models over the whole vocabulary against the NumPy formulas."""

from __future__ import annotations

import numpy as np
import pytest

from kl_core.errors import VocabularyMismatchError
from kl_core.models.engine import Work
from kl_core.models.pair import score_pair
from kl_core.numeric import divergence
from tests.models.tiny import (
    CONFIGS,
    SHAPE,
    VOCAB,
    ids,
    make_tokenizer,
    mamba_config,
    reference_logprobs,
    some_work,
    stressed,
    wrapped,
)

PAIRS = [("llama", "gpt2"), ("gemma2-capped", "mistral-sliding")]


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer()


def check(models, work, found, width=VOCAB, prompts2=None):
    """Every figure of every response against float64 NumPy on the models' own logits."""
    for place, (item, row) in enumerate(zip(work, found, strict=True)):
        for response, pair in zip(item.responses, row, strict=True):
            if not response:
                assert pair.kl.shape == (0,)
                continue
            prompt2 = item.prompt_ids if prompts2 is None else prompts2[place]
            lp, lq = (
                renormalised(reference_logprobs(model, prompt, response)[:, :width])
                for model, prompt in zip(models, (item.prompt_ids, prompt2), strict=True)
            )
            close(pair.kl, divergence.kl(lp, lq))
            close(pair.kl_reverse, divergence.kl(lq, lp))
            close(pair.js, divergence.jensen_shannon(lp, lq))
            at = np.arange(len(response)), list(response)
            for side, own, other in ((pair.scores1, lp, lq), (pair.scores2, lq, lp)):
                close(side.chosen, own[at])
                close(side.entropy, divergence.entropy(own))
                np.testing.assert_array_equal(side.rank, 1 + (own > own[at][:, None]).sum(1))
                close(side.top_logprobs, np.take_along_axis(own, side.top_ids, 1))
                crossed = pair.scores2 if side is pair.scores1 else pair.scores1
                close(crossed.wanted, np.take_along_axis(other, side.top_ids, 1), swapped=True)


def close(found, truth, swapped=False):
    np.testing.assert_allclose(found, truth, atol=1e-4, rtol=1e-5)


def renormalised(logp):
    logp = logp.astype(np.float64)
    return logp - np.log(np.exp(logp).sum(1, keepdims=True))


@pytest.mark.parametrize("names", PAIRS)
@pytest.mark.parametrize(("batch_tokens", "rows"), [(8192, 128), (50, 3)])
def test_pair_equals_numpy_on_both_models_logits(names, batch_tokens, rows, tokenizer):
    """KL both ways, JS, entropies, ranks, lists and each side's view of the other's list."""
    models = [stressed(CONFIGS[name](), seed) for seed, name in enumerate(names)]
    loaded = [wrapped(model, tokenizer) for model in models]
    work = some_work()
    found = score_pair(*loaded, work, top_k=6, batch_tokens=batch_tokens, projection_rows=rows)
    check(models, work, found)


def test_pair_with_a_state_space_model_agrees_too(tokenizer):
    """The two models may run by different ways."""
    models = [stressed(mamba_config()), stressed(CONFIGS["llama"]())]
    work = some_work()
    check(models, work, score_pair(*(wrapped(m, tokenizer) for m in models), work, top_k=4))


def test_a_model_against_itself_has_zero_kl(tokenizer):
    """Exactly zero, not rounding noise."""
    loaded = wrapped(stressed(CONFIGS["llama"]()), tokenizer)
    for row in score_pair(loaded, loaded, some_work()):
        for pair in row:
            assert (pair.kl == 0).all()
            assert (pair.kl_reverse == 0).all()


def test_second_model_may_have_its_own_prompt(tokenizer):
    """Templates differ: model 2 reads its own prompt ids, of another length or none."""
    models = [stressed(CONFIGS["llama"]()), stressed(CONFIGS["llama"]())]
    loaded = [wrapped(model, tokenizer) for model in models]
    random = np.random.default_rng(8)
    work = some_work()
    prompts2 = [ids(random, 5 + place) for place in range(len(work))]
    check(models, work, score_pair(*loaded, work, prompts2=prompts2, top_k=3), prompts2=prompts2)
    check(models[:1] * 2, work, score_pair(loaded[0], loaded[0], work, prompts2=prompts2, top_k=3),
          prompts2=prompts2)  # fmt: skip
    bare = score_pair(*loaded, work[:1], prompts2=[()], top_k=3)[0]
    assert np.isnan(bare[0].kl[0])
    assert np.isfinite(bare[0].kl[1:]).all()
    assert np.isnan(bare[1].kl).all()


def test_padded_output_layers_are_compared_on_the_tokenizers_ids(tokenizer):
    """310 rows against 300: both renormalised over the ids the tokenizer has."""
    wide = CONFIGS["llama"]()
    wide.vocab_size = VOCAB + 10
    models = [stressed(CONFIGS["llama"]()), stressed(wide, 1)]
    work = some_work()
    found = score_pair(*(wrapped(m, tokenizer) for m in models), work, top_k=5)
    width = len(tokenizer)
    assert max(pair.scores2.top_ids.max(initial=0) for row in found for pair in row) < width
    work = [
        Work(w.prompt_ids, tuple(r for r in w.responses if max(r, default=0) < width)) for w in work
    ]
    check(models, work, score_pair(*(wrapped(m, tokenizer) for m in models), work, top_k=5), width)


def test_different_tokenizers_are_refused_with_both_sizes(tokenizer):
    """Ids of one vocabulary mean nothing in another."""
    other = make_tokenizer()
    other.add_tokens(["extra"])
    one, two = (wrapped(stressed(CONFIGS["llama"]()), t) for t in (tokenizer, other))
    with pytest.raises(VocabularyMismatchError, match=f"{len(tokenizer)}.*{len(other)}"):
        score_pair(one, two, some_work())


def test_response_too_long_for_one_model_is_marked(tokenizer):
    """The shorter context decides; the other responses are scored."""
    short = CONFIGS["llama"]()
    short.max_position_embeddings = SHAPE["max_position_embeddings"] // 2
    models = [stressed(CONFIGS["llama"]()), stressed(short)]
    random = np.random.default_rng(2)
    work = [Work(ids(random, 4), (ids(random, 40), ids(random, 6)))]
    row = score_pair(*(wrapped(m, tokenizer) for m in models), work)[0]
    assert "43 positions" in row[0].error
    assert np.isnan(row[0].kl).all()
    assert row[1].error is None
    assert np.isfinite(row[1].kl).all()
