"""Two local models on saved responses: exact figures."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from transformers import AutoTokenizer

from kl_core.errors import VocabularyMismatchError
from kl_core.models.load import ModelSpec
from kl_core.numeric import divergence
from kl_core.records import Position, Token
from kl_core.sources.local_pair import LocalPair
from tests.sources.conftest import BASE, TUNED, pair, sample_entries
from tests.sources.test_local import plain_logprobs


def test_both_directions_are_exact_over_the_whole_vocabulary():
    """KL(P‖Q), KL(Q‖P), JS and entropies equal NumPy's on plain forward passes."""
    entry = sample_entries()[2]
    scored = pair().score([entry])[0].responses[0]
    logp, ids = plain_logprobs(BASE, entry, entry.responses[0])
    logq, _ = plain_logprobs(TUNED, entry, entry.responses[0])
    values = scored.measures
    assert scored.measure == "full"
    assert values.headline == pytest.approx(divergence.kl(logp, logq), abs=2e-5)
    assert values.reverse == pytest.approx(divergence.kl(logq, logp), abs=2e-5)
    assert values.js == pytest.approx(divergence.jensen_shannon(logp, logq), abs=2e-5)
    assert values.entropy1 == pytest.approx(divergence.entropy(logp), abs=1e-4)
    assert values.entropy2_full == pytest.approx(divergence.entropy(logq), abs=1e-4)
    assert values.logprob1 == pytest.approx(logp[np.arange(len(ids)), ids], abs=1e-4)
    assert (values.lower == values.headline).all()
    assert not values.censored.any()


def test_two_tokenizers_are_refused_at_once_with_both_named(tmp_path):
    """One token more in one of them: said before anything is scored."""
    other = tmp_path / "other"
    shutil.copytree(TUNED, other)
    tokenizer = AutoTokenizer.from_pretrained(other)
    tokenizer.add_tokens(["extra"])
    tokenizer.save_pretrained(other)
    specs = ModelSpec(BASE, device="cpu"), ModelSpec(str(other), device="cpu")
    with pytest.raises(VocabularyMismatchError, match=r"512 tokens.*513"):
        LocalPair.load(*specs, 20, 4096, include_reasoning=False)


def test_responses_without_logprobs_are_compared_by_their_text():
    """Only the text is needed: it is encoded with the shared tokenizer."""
    entry = sample_entries()[2]
    text_only = replace(entry.responses[0], positions=(), error="no log-probabilities came back")
    scored = pair().score([replace(entry, responses=(text_only,))])[0].responses[0]
    joined = b"".join(p.token.data for p in scored.response.positions).decode()
    assert joined == text_only.text
    assert np.isfinite(scored.measures.headline).all()
    assert scored.response.error is None


def test_each_side_knows_the_others_candidates():
    """Both lists reach over the union, so the panel has no unknown bars."""
    scored = pair().score([sample_entries()[2]])[0].responses[0]
    for position, dist2 in zip(scored.response.positions, scored.dists2, strict=True):
        listed1 = set(position.dist.keys[: position.dist.listed])
        listed2 = set(dist2.keys[: dist2.listed])
        assert listed1 <= set(dist2.keys)
        assert listed2 <= set(position.dist.keys)


def with_token(entry, at, token, drop):
    """The first response with `token` at a position, in place of `drop` tokens."""
    response = entry.responses[0]
    made = Position(token, -1.0, response.positions[at].dist)
    positions = (*response.positions[:at], made, *response.positions[at + drop :])
    return replace(entry, responses=(replace(response, positions=positions),))


def test_a_token_of_unknown_bytes_loses_nothing():
    """The text has it: every token is compared, as without the damage."""
    entry = sample_entries()[2]
    damaged = with_token(entry, 5, Token("\ufffd", None, None, "\ufffd"), 1)
    source = pair()
    source.problems()
    found, whole = (
        source.score([replace(one, responses=one.responses[:1])])[0].responses[0].measures.headline
        for one in (damaged, entry)
    )
    assert len(found) == len(whole)
    assert found == pytest.approx(whole, abs=1e-5)
    assert source.problems() == []


def test_tokens_that_cannot_be_settled_are_compared_by_the_text():
    """The tokens do not fit the text: then the whole text is encoded, with its end token."""
    entry = sample_entries()[2]
    damaged = with_token(entry, 1, Token("\ufffd", None, None, "\ufffd"), 2)
    lost = replace(damaged.responses[0].positions[0], token=Token("Zz", b"Zz", None, "Zz"))
    positions = (lost, *damaged.responses[0].positions[1:])
    odd = replace(damaged, responses=(replace(damaged.responses[0], positions=positions),))
    scored = pair().score([odd])[0].responses[0]
    joined = b"".join(p.token.data for p in scored.response.positions).decode()
    assert joined == entry.responses[0].text


def test_a_special_token_of_another_model_is_named_in_a_row():
    """It is in neither vocabulary nor text: left out, and said so."""
    entry = sample_entries()[2]
    foreign = with_token(entry, 5, Token("<|foo|>", b"", None, "<|foo|>", special=True), 0)
    source = pair()
    source.problems()
    scored = source.score([foreign])[0].responses[0]
    assert len(scored.response.positions) == len(entry.responses[0].positions)
    (row,) = source.problems()
    assert "1 of its" in row.reason
    assert "'<|foo|>'" in row.reason
