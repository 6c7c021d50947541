"""Records in, scored records out."""

import numpy as np
import pytest

from kl_core import measures
from kl_core.numeric import divergence
from kl_core.records import Position, Response, Token, TokenDist
from tests import factories


def dist_of(probabilities, listed=None):
    tokens = tuple(Token(t, t.encode(), None, t) for t in probabilities)
    logprobs = tuple(float(x) for x in np.log(list(probabilities.values())))
    return TokenDist(tokens, logprobs, len(tokens) if listed is None else listed)


def one_position(p, sampled, reason=None):
    token = Token(sampled, sampled.encode(), None, sampled)
    places = {t.text: lp for t, lp in zip(p.tokens, p.logprobs, strict=True)}
    return Response(0, sampled, (Position(token, places.get(sampled), p, reason),))


def test_the_golden_pair_gives_its_golden_bounds_through_records():
    """The documented lists, as a file would bring them."""
    scored = measures.score(
        one_position(dist_of({"a": 0.5, "b": 0.2}), "a"), [dist_of({"a": 0.4, "c": 0.3})], [None]
    )
    assert scored.measures.lower[0] == pytest.approx(0.0304788, abs=5e-8)
    assert scored.measures.tail[0] == pytest.approx(0.0204110, abs=5e-8)
    assert scored.measures.headline[0] == pytest.approx(0.0491224, abs=5e-7)
    assert scored.measures.log_ratio[0] == pytest.approx(np.log(0.5 / 0.4))
    p, q = np.array([0.5, 0.2, 0.2]) / 0.9, np.array([0.4, 0.3, 0.3])
    assert scored.measures.reverse[0] == pytest.approx((q * np.log(q / p)).sum())
    mean = (p + q) / 2
    both = (p * np.log(p / mean)).sum() + (q * np.log(q / mean)).sum()
    assert scored.measures.js[0] == pytest.approx(both / 2)


def test_a_sampled_token_outside_model_2s_list_is_censored_and_has_no_number():
    """Never a made-up log-probability: unknown stays unknown and is counted."""
    scored = measures.score(
        one_position(dist_of({"a": 0.5, "b": 0.2}), "b"), [dist_of({"a": 0.4, "c": 0.3})], [None]
    )
    assert scored.measures.censored[0]
    assert np.isnan(scored.measures.logprob2[0])
    assert np.isnan(scored.measures.log_ratio[0])
    assert scored.measures.rank2[0] == -1
    assert scored.measures.rank1[0] == 2


def test_a_position_with_a_reason_never_gets_a_number():
    """Both lists may be there: a reason wins."""
    scored = measures.score(
        one_position(dist_of({"a": 0.5}), "a", "bad"), [dist_of({"a": 0.4})], ["bad"]
    )
    assert np.isnan(scored.measures.headline[0])
    assert np.isnan(scored.measures.lower[0])


def test_a_response_without_a_second_model_has_surprisal_and_entropy_only():
    """Raw responses are worth showing before they are scored."""
    scored = measures.unscored(one_position(dist_of({"a": 0.5, "b": 0.5}), "a"))
    assert scored.measure is None
    assert scored.measures.logprob1[0] == pytest.approx(np.log(0.5))
    assert scored.measures.entropy1[0] == pytest.approx(np.log(2))
    assert np.isnan(scored.measures.headline[0])


def test_candidates_with_the_same_bytes_are_the_same_token_and_specials_are_not():
    """A special token never matches ordinary text of the same spelling."""
    plain = Token("<eos>", b"<eos>", None, "<eos>")
    special = Token("<eos>", b"", None, "<eos>", special=True)
    piece = Token(" the", b" the", 5, "Ġthe")
    text = Token(" the", b" the", None, " the")
    assert measures.identity(plain) != measures.identity(special)
    assert measures.identity(piece) == measures.identity(text)


def test_settled_keys_win_over_bytes():
    """An aligner's ids decide where they are given."""
    p = TokenDist(dist_of({"a": 0.5, "b": 0.2}).tokens, (np.log(0.5), np.log(0.2)), 2, (7, 8))
    q = TokenDist(dist_of({"x": 0.5, "y": 0.2}).tokens, (np.log(0.5), np.log(0.2)), 2, (7, 8))
    scored = measures.score(one_position(p, "a"), [q], [None])
    assert scored.measures.headline[0] == pytest.approx(0, abs=1e-12)


def test_exact_figures_replace_the_truncated_headline():
    """With whole vocabularies kl_divergence and the bound are the exact value."""
    rng = np.random.default_rng(0)
    logp, logq = factories.distributions(rng, 1.0)
    raw = factories.response(0, 1, rng).response
    value = np.array([divergence.kl(logp, logq)])
    zeros, ranks = np.zeros(1), np.ones(1, dtype=np.int64)
    exact = measures.WholeVocabulary(
        value, value * 2, value / 2, zeros + 1, zeros + 2, zeros - 1, zeros - 3, ranks, ranks
    )
    scored = measures.score(raw, [factories.dist(logq, 5)], [None], "full", exact=exact)
    assert scored.measures.headline[0] == scored.measures.lower[0] == value[0]
    assert scored.measures.reverse[0] == value[0] * 2
    assert scored.measures.log_ratio[0] == pytest.approx(2.0)


def test_an_alignment_span_has_a_log_ratio_and_no_divergence():
    """Two tokens against one of the other model: the sum of theirs minus its own."""
    raw = factories.response(0, 3, np.random.default_rng(1)).response
    spans = [None, (1, 3), (1, 3)]
    known = measures.KnownOfModel2(
        np.array([-1.0, np.nan, np.nan]), np.array([1, -1, -1]), np.full(3, np.nan)
    )
    dists2 = [
        factories.dist(factories.distributions(np.random.default_rng(2), 1)[1], 5),
        None,
        None,
    ]
    scored = measures.score(
        raw,
        dists2,
        [None, "span", "span"],
        known2=known,
        spans=spans,
        span_logprob2=np.array([np.nan, -2.5, np.nan]),
    )
    together = raw.positions[1].logprob + raw.positions[2].logprob
    assert scored.measures.log_ratio[1] == pytest.approx(together + 2.5)
    assert np.isnan(scored.measures.log_ratio[2])
    assert np.isnan(scored.measures.headline[1:]).all()


def test_a_long_response_is_compared_in_chunks_with_the_same_result(monkeypatch):
    """Memory for pairwise comparison is bounded; the figures do not depend on the chunks."""
    whole = factories.response(0, 50, np.random.default_rng(4))
    monkeypatch.setattr(measures, "MAX_CHUNK", 25 * 7)
    chunked = measures.score(whole.response, whole.dists2, whole.reasons)
    assert chunked.measures.headline == pytest.approx(whole.measures.headline)
    assert chunked.measures.lower == pytest.approx(whole.measures.lower)


LOST = Token("\ufffd", None, None, "\ufffd")


def with_lost(shares, others):
    """A list of unidentified candidates and of named ones, in falling order."""
    pairs = [(LOST, p) for p in shares]
    pairs += [(Token(t, t.encode(), None, t), p) for t, p in others.items()]
    pairs.sort(key=lambda pair: -pair[1])
    return TokenDist(
        tuple(token for token, _ in pairs), tuple(float(np.log(p)) for _, p in pairs), len(pairs)
    )


def test_lists_that_are_not_identified_are_not_compared():
    """Three parts of characters with 41 %: no KL and a reason; the bounds claim nothing."""
    p = with_lost([0.3, 0.1, 0.01], {"a": 0.5})
    scored = measures.score(one_position(p, "a"), [dist_of({"a": 0.5, "é": 0.3})], [None])
    for name in ("headline", "reverse", "js"):
        assert np.isnan(getattr(scored.measures, name)[0])
    assert scored.measures.lower[0] == pytest.approx(0, abs=1e-9)
    assert np.isfinite(scored.measures.tail[0])
    assert scored.reasons[0] == (
        "3 candidates with 41 % of model 1's probability are parts of characters that the file "
        "does not identify"
    )
    other = measures.score(one_position(dist_of({"a": 0.5}), "a"), [p], [None])
    assert "model 2" in other.reasons[0]


def test_a_little_unidentified_probability_is_left_out():
    """Below 1 % the rest of the lists is compared."""
    p, q = with_lost([0.004], {"a": 0.5, "b": 0.3}), with_lost([0.004], {"a": 0.5, "b": 0.3})
    scored = measures.score(one_position(p, "a"), [q], [None])
    assert scored.measures.headline[0] == pytest.approx(0, abs=1e-12)
    assert scored.reasons[0] is None


def test_unidentified_candidates_have_keys_of_their_own_on_both_sides():
    """They look the same and are never matched."""
    p, q = with_lost([0.3, 0.1], {"a": 0.5}), with_lost([0.2], {"a": 0.5})
    scored = measures.score(one_position(p, "a"), [q], [None])
    ((keys1, keys2),) = measures.position_keys(scored)
    unknown = [key for key in (*keys1, *keys2) if key <= -2]
    assert len(unknown) == len(set(unknown)) == 3
    assert len(set(keys1) & set(keys2)) == 1


def test_a_sampled_token_of_unknown_identity_is_not_found_in_the_other_list():
    """Its rank in its own list shows in its log-probability; model 2's value is not known."""
    p, q = with_lost([0.3, 0.1], {"a": 0.5}), with_lost([0.2], {"a": 0.5})
    raw = Response(0, "x", (Position(LOST, float(np.log(0.1)), p),))
    scored = measures.score(raw, [q], [None])
    assert scored.measures.rank1[0] == 3
    assert np.isnan(scored.measures.logprob2[0])
    assert not scored.measures.censored[0]
