"""What the engine does with inputs and devices that do not fit."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
import torch

from kl_core.errors import ModelError, VocabularyMismatchError
from kl_core.models import body
from kl_core.models.batching import Budget
from kl_core.models.engine import PrefixCacheEngine, Work, run_jobs
from kl_core.models.layout import Job
from tests.models.tiny import CONFIGS, VOCAB, ids, reference_logprobs, some_work, stressed, wrapped

RANDOM = np.random.default_rng(0)
PROMPT, RESPONSE = ids(RANDOM, 8), ids(RANDOM, 5)


@pytest.fixture(scope="module")
def model():
    return stressed(CONFIGS["llama"]())


def test_first_token_of_an_empty_prompt_is_not_scored(model):
    """Nothing predicts it: NaN, rank -1, ids -1; the rest follows the model."""
    score = PrefixCacheEngine(wrapped(model), 3).score([Work((), (RESPONSE, RESPONSE[:1]))])[0]
    truth = reference_logprobs(model, (), RESPONSE)[np.arange(5), list(RESPONSE)]
    np.testing.assert_allclose(score[0].chosen, truth, atol=1e-5)
    assert np.isnan(score[0].chosen[0])
    assert score[0].rank[0] == -1
    assert (score[0].top_ids[0] == -1).all()
    assert np.isnan(score[1].chosen).all()
    assert score[1].error is None


def test_empty_response_gives_empty_arrays_in_its_slot(model):
    """Slots stay in order, whatever is in them."""
    row = PrefixCacheEngine(wrapped(model), 3).score([Work(PROMPT, ((), RESPONSE, ()))])[0]
    assert [len(score.chosen) for score in row] == [0, 5, 0]
    assert row[0].top_ids.shape == (0, 3)


def test_no_work_gives_no_scores(model):
    """Empty in, empty out."""
    engine = PrefixCacheEngine(wrapped(model), 3)
    assert engine.score([]) == []
    assert engine.score([Work(PROMPT, ())]) == [[]]


def test_too_long_response_is_marked_and_others_are_scored(model):
    """64 positions: a response of 57 after a prompt of 8 just fits, of 58 does not."""
    fits, long = ids(RANDOM, 57), ids(RANDOM, 58)
    row = PrefixCacheEngine(wrapped(model), 3).score([Work(PROMPT, (long, fits, RESPONSE))])[0]
    assert "65 positions" in row[0].error
    assert "64" in row[0].error
    assert np.isnan(row[0].chosen).all()
    assert len(row[0].chosen) == 58
    assert row[1].error is None
    assert np.isfinite(row[1].chosen).all()
    assert np.isfinite(row[2].chosen).all()


@pytest.mark.parametrize("bad", [-1, VOCAB])
def test_id_outside_the_vocabulary_is_marked(model, bad):
    """The sentence names the id and the size; nothing reaches the model."""
    row = PrefixCacheEngine(wrapped(model), 3).score([Work(PROMPT, ((3, bad), RESPONSE))])[0]
    assert str(bad) in row[0].error
    assert str(VOCAB) in row[0].error
    assert row[1].error is None


def test_wanted_id_outside_the_vocabulary_is_refused(model):
    """A candidate the model cannot know is the caller's mistake, said aloud."""
    work = [Work(PROMPT, ((3,),), (np.array([[VOCAB]]),))]
    with pytest.raises(VocabularyMismatchError, match=f"{VOCAB}.*{VOCAB} ids"):
        PrefixCacheEngine(wrapped(model), 3).score(work)


def test_top_k_is_capped_at_the_vocabulary(model):
    """Asking for more than there is gives all of it."""
    score = PrefixCacheEngine(wrapped(model), 10_000).score([Work(PROMPT, (RESPONSE,))])[0][0]
    assert score.top_ids.shape == (5, VOCAB)
    np.testing.assert_allclose(np.exp(score.top_logprobs).sum(1), 1.0, atol=1e-5)


def test_out_of_memory_halves_the_batches_and_changes_nothing(monkeypatch):
    """The work goes on with smaller batches from where it stood, with the same result."""
    model = stressed(CONFIGS["llama"]())
    work = some_work()
    before = PrefixCacheEngine(wrapped(model), 3).score(work)
    engine = PrefixCacheEngine(wrapped(model), 3, batch_tokens=400)
    monkeypatch.setattr(body, "CPU_BATCH_OVERHEAD", 1000)
    plain = model.base_model.forward
    sizes = []

    def small_device(input_ids, **options):
        sizes.append(input_ids.numel())
        if input_ids.numel() > 40:
            raise torch.OutOfMemoryError("too much")
        return plain(input_ids=input_ids, **options)

    monkeypatch.setattr(model.base_model, "forward", small_device)
    after = engine.score(work)
    assert max(sizes) > 40
    assert engine.budget.tokens < 400
    for one, two in zip(chain(*before), chain(*after), strict=True):
        np.testing.assert_allclose(one.chosen, two.chosen, atol=1e-5)


def test_out_of_memory_in_the_projection_halves_its_rows(monkeypatch):
    """The vocabulary side has a budget of its own."""
    model = stressed(CONFIGS["llama"]())
    work = some_work()
    before = PrefixCacheEngine(wrapped(model), 3).score(work)
    engine = PrefixCacheEngine(wrapped(model), 3, projection_rows=64)
    head = engine.runner.head
    plain = head.logits

    def small_device(hidden):
        if len(hidden) > 10:
            raise torch.OutOfMemoryError("too much")
        return plain(hidden)

    monkeypatch.setattr(head, "logits", small_device)
    after = engine.score(work)
    assert engine.budget.rows == 8
    for one, two in zip(chain(*before), chain(*after), strict=True):
        np.testing.assert_allclose(one.chosen, two.chosen, atol=1e-5)


def test_what_was_finished_before_memory_ran_out_is_not_done_again():
    """Each response's states are handed over exactly once."""

    class Forgetful:
        kind = "fake"
        failures = 1

        def states(self, jobs, budget):
            for place, job in enumerate(jobs):
                if place == 2 and self.failures:
                    self.failures -= 1
                    raise torch.OutOfMemoryError("too much")
                yield job, torch.zeros(len(job.response), 1)

    jobs = [Job((1,), (2, 3), start) for start in range(0, 10, 2)]
    taken = []
    run_jobs(Forgetful(), jobs, Budget(100, 10), lambda job, _: taken.append(job.start))
    assert taken == [0, 2, 4, 6, 8]


def test_a_sequence_that_never_fits_is_an_error(monkeypatch):
    """One sentence, no endless halving."""
    model = stressed(CONFIGS["llama"]())
    engine = PrefixCacheEngine(wrapped(model), 3)

    def full_device(**_):
        raise torch.OutOfMemoryError("too much")

    monkeypatch.setattr(model.base_model, "forward", full_device)
    with pytest.raises(ModelError, match="does not fit"):
        engine.score(some_work())


def test_bfloat16_follows_the_models_own_logits():
    """Half precision takes the fast way too and stays within its rounding."""
    model = stressed(CONFIGS["llama"]()).to(torch.bfloat16)
    engine = PrefixCacheEngine(wrapped(model), 3)
    assert engine.kind == "prefix-cache"
    work = some_work()
    for item, row in zip(work, engine.score(work), strict=True):
        for response, score in zip(item.responses, row, strict=True):
            if response:
                truth = reference_logprobs(model, item.prompt_ids, response)
                own = truth[np.arange(len(response)), list(response)]
                assert np.abs(score.chosen - own).mean() < 0.15
