"""The start-up check takes the fast way only where it holds."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from kl_core.models import body, choose, head
from kl_core.models.engine import PrefixCacheEngine
from tests.models.test_engine import gaps
from tests.models.tiny import CONFIGS, mamba_config, some_work, stressed, wrapped


def test_state_space_model_runs_padded_and_exact():
    """Mamba has no key/value cache to share; whole sequences give its own figures."""
    model = stressed(mamba_config())
    engine = PrefixCacheEngine(wrapped(model), 5, batch_tokens=100)
    assert engine.kind == "padded"
    work = some_work()
    gap = gaps(model, work, engine.score(work))["chosen"]
    assert gap.max() <= 1e-4
    assert gap.mean() <= 1e-5


def test_wrong_shared_cache_is_found_and_not_used(monkeypatch, caplog):
    """A cache that shifts keys by one is seen at start-up; the figures stay right."""
    plain = body.PromptCache.shared

    def shifted(self, batch):
        cache = plain(self, batch)
        for layer in cache.layers:
            layer.keys = layer.keys.roll(1, dims=2)
        return cache

    monkeypatch.setattr(body.PromptCache, "shared", shifted)
    model = stressed(CONFIGS["llama"]())
    with caplog.at_level(logging.WARNING):
        engine = PrefixCacheEngine(wrapped(model), 5)
    assert engine.kind == "padded"
    assert "off its own logits" in caplog.text
    work = some_work()
    assert gaps(model, work, engine.score(work))["chosen"].max() <= 1e-4


@pytest.mark.parametrize("family", ["gemma2-capped", "cohere-logit-scale", "phi-head-bias"])
def test_unknown_output_layer_falls_back_to_the_models_own_call(family, monkeypatch):
    """Where head and scale cannot be reproduced, one sequence at a time still is exact."""
    monkeypatch.setattr(choose, "candidate_heads", lambda model: [])
    model = stressed(CONFIGS[family]())
    engine = PrefixCacheEngine(wrapped(model), 5, projection_rows=3)
    assert engine.kind == "one-by-one"
    work = some_work()
    assert gaps(model, work, engine.score(work))["chosen"].max() <= 1e-5


@pytest.mark.parametrize(
    ("family", "scale"), [("cohere-logit-scale", 1.5), ("granite-logits-scaling", 1 / 3)]
)
def test_logit_scale_is_recognised_as_factor_or_divisor(family, scale):
    """Cohere multiplies, Granite divides; the check picks the one that fits."""
    runner = choose.choose_runner(wrapped(stressed(CONFIGS[family]())))
    assert runner.head.scale == pytest.approx(scale)


def test_the_check_is_done_once_a_model(monkeypatch):
    """A second engine on the same model does not compare again."""
    loaded = wrapped(stressed(CONFIGS["llama"]()))
    first = choose.choose_runner(loaded)
    monkeypatch.setattr(choose, "_first_that_agrees", lambda *_: pytest.fail("again"))
    assert choose.choose_runner(loaded) is first


def test_head_leaves_no_trace_of_its_buffer():
    """A smaller call after a larger one gives that call's logits only."""
    model = stressed(CONFIGS["phi-head-bias"]())
    layer = head.LinearHead(model.get_output_embeddings())
    hidden = torch.randn(6, 48)
    with torch.inference_mode():
        layer.logits(hidden)
        found = layer.logits(hidden[4:]).numpy().copy()
        truth = model.get_output_embeddings()(hidden[4:]).numpy()
    np.testing.assert_allclose(found, truth, atol=1e-5)
