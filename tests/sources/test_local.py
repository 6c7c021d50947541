"""Saved API responses scored by a local model, against plain forward passes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from kl_core.formats.align import resolve_dist
from kl_core.models.load import encode_prompt
from kl_core.numeric import divergence
from kl_core.records import Message, Position, Token
from tests.sources.conftest import BASE, TUNED, sample_entries, scored_sample, scorer

PRECISION = 2e-5  # the files keep six decimals; float32 adds its own


def plain_logprobs(model, entry, response):
    """[T, V] float32 log-softmax of one whole sequence, and the response's ids."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    weights = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    messages = [{"role": m.role, "content": m.content} for m in entry.prompt]
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
    ids = [tokenizer.convert_tokens_to_ids(p.token.piece) for p in response.positions]
    with torch.inference_mode():
        logits = weights(torch.tensor([prompt + ids])).logits[0, len(prompt) - 1 : -1]
    return torch.log_softmax(logits.float(), dim=-1).numpy().astype(np.float64), np.array(ids)


def test_the_model_that_wrote_the_responses_agrees_with_their_logprobs():
    """Scored by itself: log-ratios and KL vanish to the precision of the file."""
    for entry in scored_sample(BASE):
        for scored in entry.responses:
            values = scored.measures
            assert np.nanmax(abs(values.log_ratio)) < PRECISION
            assert np.nanmax(abs(values.headline)) < 1e-6
            assert np.nanmax(abs(values.lower)) < PRECISION
            assert not np.isnan(values.headline).any()
            assert not values.censored.any()


def test_scores_equal_one_plain_forward_pass():
    """Log-probability, rank, entropy and top-20 of model 2 at every position."""
    entry = scored_sample(TUNED, top_k=20)[3]
    for scored in entry.responses[:2]:
        logp, ids = plain_logprobs(TUNED, entry.entry, scored.response)
        values = scored.measures
        own = logp[np.arange(len(ids)), ids]
        assert values.logprob2 == pytest.approx(own, abs=1e-4)
        assert values.rank2.tolist() == (1 + (logp > own[:, None]).sum(axis=1)).tolist()
        assert values.entropy2_full == pytest.approx(divergence.entropy(logp), abs=1e-4)
        for row, dist in enumerate(scored.dists2):
            assert dist.listed == 20
            listed = np.array(dist.logprobs[:20])
            assert listed == pytest.approx(-np.sort(-logp[row])[:20], abs=1e-4)


def test_lists_of_model_2_are_as_long_as_the_files_unless_asked_otherwise():
    """Equal lengths keep the floor at zero for equal models; the rest is known beside."""
    short = sample_entries("list")
    scored = scorer(BASE).score(short)
    lengths = set()
    for entry in scored:
        for response in entry.responses:
            for position, dist in zip(response.response.positions, response.dists2, strict=True):
                lengths.add(position.dist.listed)
                assert dist.listed == position.dist.listed
                assert len(dist.tokens) >= 20
            assert np.nanmax(abs(response.measures.headline), initial=0) < 1e-4
    assert len(lengths) > 1


def test_model_2_is_asked_for_every_candidate_of_model_1():
    """Its log-probability at all of them is known, so the bound has nothing left in B."""
    for scored in scored_sample(TUNED)[0].responses:
        for position, dist in zip(scored.response.positions, scored.dists2, strict=True):
            assert set(position.dist.keys) <= set(dist.keys)


def test_the_bounds_hold_against_the_exact_divergence():
    """tail ≤ lower ≤ KL over the whole vocabulary, at every position of real model pairs."""
    for entry in scored_sample(TUNED)[:6]:
        for scored in entry.responses[:1]:
            logp, _ = plain_logprobs(BASE, entry.entry, scored.response)
            logq, _ = plain_logprobs(TUNED, entry.entry, scored.response)
            exact = divergence.kl(logp, logq)
            values = scored.measures
            assert (values.tail <= values.lower + 1e-6).all()
            assert (values.lower <= exact + 2e-5).all()


def test_planted_prompts_come_first_and_planted_words_are_the_top_tokens(facts):
    """The known difference is found: precision and recall of the top words are 1."""
    scored = scored_sample(TUNED)
    planted = {prompt for fact in facts for prompt in fact["prompts"]}
    words = {fact["base"] for fact in facts}

    def mean(entry):
        return np.nanmean(np.concatenate([r.measures.headline for r in entry.responses]))

    ranked = sorted(scored, key=mean, reverse=True)
    is_planted = [entry.entry.prompt[-1].content in planted for entry in ranked]
    count = sum(is_planted)
    assert count == len(facts) + 1  # one fact is asked about in a chat, too
    assert all(is_planted[:count])
    high, rest = [], []
    for entry in scored:
        for response in entry.responses:
            text = ""
            for position, kl in zip(
                response.response.positions, response.measures.headline, strict=True
            ):
                (high if kl > 1 else rest).append((kl, text, position.token.text))
                text += position.token.text
    assert high
    for _, _, token in high:
        assert any(word.startswith(token.strip()) for word in words), token
    assert max(kl for kl, _, _ in rest) < 0.5


def test_duplicate_pieces_of_one_id_are_summed_not_lost():
    """Two entries of a list that stand for one local id are one candidate."""
    vocab = scorer(BASE)._vocab
    dist = sample_entries()[0].responses[0].positions[0].dist
    again = replace(dist.tokens[0], id=None)
    double = replace(
        dist, tokens=(*dist.tokens, again), logprobs=(*dist.logprobs, -3.0), listed=dist.listed
    )
    ids, logprobs, _ = resolve_dist(double, vocab)
    assert len(set(ids.tolist())) == len(ids) == len(dist.tokens)
    first = ids.tolist().index(vocab.resolve(dist.tokens[0])[0])
    assert logprobs[first] == pytest.approx(np.logaddexp(dist.logprobs[0], -3.0))


def test_a_token_the_local_vocabulary_lacks_becomes_a_span_and_the_rest_is_scored():
    """One foreign token: its bytes are encoded, its span has a log-ratio and no KL."""
    entry = sample_entries()[0]
    response = entry.responses[0]
    merged = b"".join(p.token.data for p in response.positions[4:7])
    foreign = Token(merged.decode(), merged, None, merged.decode())
    positions = (
        *response.positions[:4],
        Position(foreign, -1.0, response.positions[4].dist),
        *response.positions[7:],
    )
    changed = replace(response, positions=positions)
    scored = scorer(TUNED).score([replace(entry, responses=(changed,))])[0].responses[0]
    values = scored.measures
    assert np.isnan(values.headline[4])
    assert scored.spans[4] == (4, 5)
    assert np.isfinite(values.log_ratio[4])
    assert "log-ratio" in scored.reasons[4]
    assert np.isfinite(np.delete(values.headline, 4)).all()
    whole = scored_sample(TUNED)[0].responses[0].measures
    assert values.headline[5:] == pytest.approx(whole.headline[7:], abs=1e-4)


def test_a_position_that_could_not_be_read_keeps_its_reason_and_gets_no_list():
    """A broken position in the file is never given model 2's numbers; its neighbours are."""
    entry = sample_entries()[0]
    broken = replace(entry.responses[0].positions[2], reason="its log-probability is NaN")
    positions = (*entry.responses[0].positions[:2], broken, *entry.responses[0].positions[3:])
    changed = replace(entry.responses[0], positions=positions)
    scored = scorer(TUNED).score([replace(entry, responses=(changed,))])[0].responses[0]
    assert scored.reasons[2] == "its log-probability is NaN"
    assert scored.dists2[2] is None
    assert np.isnan(scored.measures.headline[2])
    assert np.isfinite(np.delete(scored.measures.headline, 2)).all()


def test_the_sampled_token_is_known_to_model_2_even_outside_every_list():
    """Its log-probability tightens the bound and shows in the panel; it is never censored."""
    entry = sample_entries()[0]
    position = entry.responses[0].positions[0]
    odd = scorer(BASE)._vocab.token(300)
    moved = replace(position, token=odd, logprob=None)
    changed = replace(entry.responses[0], positions=(moved, *entry.responses[0].positions[1:]))
    scored = scorer(TUNED).score([replace(entry, responses=(changed,))])[0].responses[0]
    dist = scored.dists2[0]
    assert 300 not in dist.keys[: dist.listed]
    assert scored.measures.logprob2[0] == dist.logprobs[dist.keys.index(300)]
    assert not scored.measures.censored[0]


def test_responses_that_cannot_be_scored_keep_their_slot_and_reason():
    """Slots and order survive; the others are scored."""
    entry = sample_entries()[0]
    silent = replace(entry.responses[0], positions=(), error="no log-probabilities came back")
    mixed = replace(entry, responses=(silent, entry.responses[1]))
    result = scorer(TUNED).score([mixed])[0]
    assert result.responses[0].response.error == "no log-probabilities came back"
    assert result.responses[1].measures.headline.size


def test_the_raw_prompt_has_no_template():
    """--raw: the plain text and the tokenizer's own bos, nothing else."""
    prompt = (Message("user", "What is a tide?"),)
    raw, chat = (encode_prompt(scorer(BASE, raw=r)._loaded, prompt) for r in (True, False))
    assert len(raw) < len(chat)


def test_reasoning_stands_before_the_response_only_on_request():
    """Model 1 wrote its answer after it: with the flag model 2 sees it too."""
    entry = sample_entries()[0]
    thought = replace(entry.responses[0], reasoning="The walls are warm in the evening.")
    changed = replace(entry, responses=(thought,))
    without = scorer(TUNED).score([changed])[0].responses[0].measures.logprob2
    with_it = scorer(TUNED, include_reasoning=True).score([changed])[0].responses[0].measures
    plain = scored_sample(TUNED)[0].responses[0].measures.logprob2
    assert without == pytest.approx(plain, abs=1e-5)
    assert not np.allclose(with_it.logprob2, plain, atol=1e-3)
