"""One question asked twice: the same model, or another one behind the same name?"""

from __future__ import annotations

import math

import pytest

from kl_core.sources.calls import Answer, Candidate
from kl_core.sources.same_model import NOISE, change
from kl_core.sources.scored_text import ScoredText, packed


def whole(*logprobs: float, model: str = "") -> Answer:
    tokens = tuple(Candidate("a", n, value) for n, value in enumerate(logprobs))
    scored = ScoredText(tokens, (1,) * len(tokens), ((),) * len(tokens))
    return Answer(model=model, body=packed(scored))


def single(*chances: float) -> Answer:
    top = tuple(Candidate(str(n), n, math.log(each)) for n, each in enumerate(chances))
    return Answer(top)


def test_noise_of_kernels_is_no_other_model():
    """A tenth of a nat, and positions that the server gives no value for."""
    assert change(whole(math.nan, -1.0, -2.0), whole(math.nan, -1.1, -1.95)) is None
    assert change(single(0.7, 0.2), single(0.66, 0.24)) is None


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        (whole(-1.0, -2.0), whole(-1.0, -2.5), "0.25 nats"),
        (single(0.7, 0.2), single(0.4, 0.5), "30 %"),
        (whole(-1.0, model="a-1"), whole(-1.0, model="a-2"), "a-2 answers where a-1 did"),
    ],
)
def test_what_speaks_for_another_model_is_said(before, now, words):
    """Values beyond noise, or another name."""
    assert words in (change(before, now) or "")


def test_an_answer_that_is_an_error_tells_nothing():
    """It has no values."""
    assert change(Answer(error="blocked"), single(0.5)) is None
    assert 0.1 < NOISE < 0.25
