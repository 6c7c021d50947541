"""Saved API responses scored by a local model, against plain forward passes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from kl_core.errors import ModelError
from kl_core.formats.align import resolve_dist
from kl_core.formats.vocabulary import FOREIGN
from kl_core.models.load import ModelSpec, encode_prompt, load_tokenizer
from kl_core.numeric import divergence
from kl_core.records import Message, Position, Token, TokenDist
from kl_core.sources.context import vocabulary_of
from kl_core.sources.local import LocalScorer
from kl_core.sources.local_pair import LocalPair
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
    vocab = vocabulary_of(load_tokenizer(ModelSpec(BASE)))
    dist = sample_entries()[0].responses[0].positions[0].dist
    again = replace(dist.tokens[0], id=None)
    double = replace(
        dist, tokens=(*dist.tokens, again), logprobs=(*dist.logprobs, -3.0), listed=dist.listed
    )
    found = resolve_dist(double, vocab)
    assert len(set(found.keys)) == len(found.keys) == len(dist.tokens)
    first = found.keys.index(vocab.resolve(dist.tokens[0])[0])
    assert found.logprobs[first] == pytest.approx(np.logaddexp(dist.logprobs[0], -3.0))


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
    odd = vocabulary_of(load_tokenizer(ModelSpec(BASE))).token(300)
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


def replaced(token):
    """A token as servers show part of a character: U+FFFD, its bytes unknown."""
    text = token.data.decode("utf-8", "replace")
    return Token(text, None, None, text) if "\ufffd" in text else token


def without_bytes(entry, response):
    """The response with every broken character replaced, in the lists too."""
    positions = []
    for position in response.positions:
        dist = position.dist
        shown = replace(dist, tokens=tuple(replaced(token) for token in dist.tokens))
        positions.append(replace(position, token=replaced(position.token), dist=shown))
    return replace(entry, responses=(replace(response, positions=tuple(positions)),))


def broken_response():
    """The sample response with most tokens that are only part of a character."""

    def broken(response):
        return sum(replaced(p.token).data is None for p in response.positions)

    found = [(entry, r) for entry in sample_entries() for r in entry.responses if not r.error]
    entry, response = max(found, key=lambda pair: broken(pair[1]))
    assert broken(response) >= 4
    return entry, response


def test_characters_that_the_server_replaced_cost_their_own_positions_only():
    """The text tells their bytes: spans with a log-ratio, all others scored, no invented KL."""
    entry, response = broken_response()
    lossy = without_bytes(entry, response)
    source = scorer(BASE)
    source.problems()
    scored = source.score([lossy])[0].responses[0]
    values = scored.measures
    unknown = np.array([p.token.data is None for p in lossy.responses[0].positions])
    listed = np.array([reason is not None and "identify" in reason for reason in scored.reasons])
    assert np.isnan(values.headline[unknown]).all()
    assert np.isfinite(values.headline[~unknown & ~listed]).all()
    assert np.nanmax(values.headline) < 1e-3
    assert np.nanmax(values.lower) < PRECISION
    starts = [n for n, span in enumerate(scored.spans) if span and span[0] == n]
    assert starts
    assert np.nanmax(abs(values.log_ratio[starts])) < 1e-4
    whole = source.score([replace(entry, responses=(response,))])[0].responses[0].measures
    assert values.logprob2[~unknown] == pytest.approx(whole.logprob2[~unknown], abs=1e-4)


def test_low_coverage_for_want_of_bytes_does_not_blame_the_tokenizer():
    """Without the text nothing is left after the first unknown token: the row says why."""
    entry, response = broken_response()
    lossy = without_bytes(entry, replace(response, text=""))
    source = scorer(BASE)
    source.problems()
    source.score([lossy])
    (row,) = source.problems()
    assert "does not give the bytes" in row.reason
    assert "tokenizers differ" not in row.reason


def test_lists_longer_than_the_default_are_matched_too():
    """A file of 50 candidates: model 2's lists have 50, and equal models a floor of 0."""
    entry = sample_entries()[0]
    response = entry.responses[0]
    logp, _ = plain_logprobs(BASE, entry, response)
    vocab = vocabulary_of(load_tokenizer(ModelSpec(BASE)))
    positions = []
    for row, position in enumerate(response.positions):
        ids = np.argsort(-logp[row])[:50].tolist()
        dist = TokenDist(
            tuple(vocab.token(n) for n in ids), tuple(float(logp[row, n]) for n in ids), 50
        )
        positions.append(replace(position, dist=dist))
    long = replace(entry, responses=(replace(response, positions=tuple(positions)),))
    scored = scorer(BASE).score([long])[0].responses[0]
    assert {dist.listed for dist in scored.dists2} == {50}
    assert np.nanmax(abs(scored.measures.headline)) < 1e-6


def test_a_candidate_outside_the_output_layer_stays_unresolved(tmp_path):
    """An added token that the model has no row for: the response is scored."""
    tokenizer = AutoTokenizer.from_pretrained(BASE)
    tokenizer.add_tokens(["<added>"])
    tokenizer.save_pretrained(tmp_path)
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).symlink_to(Path(BASE) / name)
    entry = sample_entries()[0]
    position = entry.responses[0].positions[0]
    added = Token("<added>", b"<added>", None, "<added>")
    dist = replace(position.dist, tokens=(*position.dist.tokens[:-1], added))
    positions = (replace(position, dist=dist), *entry.responses[0].positions[1:])
    changed = replace(entry, responses=(replace(entry.responses[0], positions=positions),))
    scored = scorer(str(tmp_path)).score([changed])[0].responses[0]
    assert np.isfinite(scored.measures.headline).all()
    assert scored.response.positions[0].dist.keys[-1] >= FOREIGN


def test_a_model_without_a_chat_template_is_refused_when_it_is_loaded(tmp_path):
    """One sentence before anything is scored, for one model and for a pair."""
    AutoTokenizer.from_pretrained(BASE).save_pretrained(tmp_path)
    (tmp_path / "chat_template.jinja").unlink()
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).symlink_to(Path(BASE) / name)
    spec = ModelSpec(str(tmp_path), device="cpu")
    with pytest.raises(ModelError, match="--raw"):
        LocalScorer.load(spec, None, 4096, include_reasoning=False)
    with pytest.raises(ModelError, match="--raw"):
        LocalPair.load(spec, spec, 20, 4096, include_reasoning=False)
    assert LocalScorer.load(replace(spec, raw=True), None, 4096, include_reasoning=False)
