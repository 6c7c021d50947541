"""Files as providers really sent them, read where KL_REAL_DATA names their folder."""

import math
import os
from collections import Counter
from pathlib import Path

import pytest

from kl_core.records import Entry

from .make import load

FOLDER = os.environ.get("KL_REAL_DATA")
pytestmark = pytest.mark.skipif(not FOLDER, reason="KL_REAL_DATA names no folder")


@pytest.fixture(scope="module")
def found():
    return load(Path(FOLDER or "."))


def _scored(entries):
    return [r for e in entries if isinstance(e, Entry) for r in e.responses if r.positions]


def test_every_prompt_and_response_is_there(found):
    """Seven prompts, 35 responses, 12 of them with 1,106 tokens of log-probabilities."""
    entries, _ = found
    responses = [r for e in entries for r in e.responses]
    assert Counter(e.file for e in entries) == {
        "openrouter_gemma-2-9b-it.json": 1,
        "openrouter_llama-3.1-8b-instruct.json": 6,
    }
    assert len(responses) == 35
    assert len(_scored(entries)) == 12
    assert sum(len(r.positions) for r in _scored(entries)) == 1106


def test_missing_logprobs_are_one_row_with_the_providers(found):
    """No row for anything but the 23 responses that came without log-probabilities."""
    _, rows = found
    assert len(rows) == 1
    assert "23 of 30" in rows[0].reason
    assert "DeepInfra 14" in rows[0].reason


def test_tokens_join_to_the_text(found):
    """Byte-level, SentencePiece and plain files all give back the response text."""
    for response in _scored(found[0]):
        joined = b"".join([p.token.data for p in response.positions]).decode()
        assert joined.strip() == response.text.strip()


def test_every_position_is_usable(found):
    """Lists fall, hold the sampled token, and have no more than probability 1."""
    for response in _scored(found[0]):
        for position in response.positions:
            dist = position.dist
            assert position.reason is None
            assert dist.listed in (4, 5)
            listed = dist.logprobs[: dist.listed]
            assert list(listed) == sorted(listed, reverse=True)
            assert position.token in dist.tokens
            assert sum(map(math.exp, dist.logprobs)) < 1.01
