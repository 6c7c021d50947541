"""A model's view of the ids of a saved response, beside the file's tokens."""

from __future__ import annotations

import math

import numpy as np

from kl_core.formats.vocabulary import Vocabulary
from kl_core.models.work import Scores
from kl_core.records import Position, Token, TokenDist
from kl_core.sources.by_ids import NO_CONTEXT, NO_LIST, ByIds, Told
from kl_core.sources.by_text import NO_VALUE
from tests.sources.test_contexts import entry

VOCAB = Vocabulary([*"abcdefgh", "<|end|>"], frozenset({8}))
LISTED = TokenDist((VOCAB.token(1), VOCAB.token(2)), (-0.5, -1.5), 2, keys=(1, 2))


def position(text: str) -> Position:
    made = [Token(each, each.encode(), None, each) for each in (text, "b", "c")]
    return Position(made[0], -0.4, TokenDist(tuple(made[:1]), (-0.4,), 1))


def source(match: bool = True) -> ByIds:
    return ByIds(VOCAB, lambda text: tuple("abcdefgh".index(each) for each in text), "q", match)


def told(*chosen: float, **more) -> Told:
    count = len(chosen)
    given = {
        "rank": np.full(count, -1, dtype=np.int64),
        "entropy": np.full(count, np.nan),
        "dists": (LISTED,) * count,
        "refused": (None,) * count,
        "unlisted": (None,) * count,
    }
    return Told(np.array(chosen), **given | more)


def scored(texts: str, what: Told, words: tuple[str, ...] = ()):
    made = entry([position(each) for each in words or texts])
    by_ids = source()
    result = by_ids.told(made, by_ids.prepare(made.responses[0]), what)
    return result, by_ids.problems()


def test_a_value_that_is_not_known_is_censored_where_the_list_has_not_the_token():
    """`a` stands outside the list, `b` in it: only the first is known to lie outside."""
    result, problems = scored("ab", told(math.nan, math.nan))
    assert result.reasons == (None, None)
    assert np.isfinite(result.measures.headline).all()
    assert result.measures.censored.tolist() == [True, False]
    assert np.isnan(result.measures.log_ratio).all()
    assert not problems


def test_a_known_value_is_never_censored():
    """The log-ratio is known although the list has not the token."""
    result, _ = scored("a", told(-0.9))
    assert not result.measures.censored.any()
    np.testing.assert_allclose(result.measures.log_ratio, [0.5])


def test_no_list_leaves_the_log_ratio_and_a_refusal_leaves_nothing():
    """Each place has the reason it was given, or that none was."""
    result, _ = scored(
        "abc",
        told(
            -0.9,
            -0.9,
            -0.9,
            dists=(None, None, LISTED),
            unlisted=(None, "a bad list", None),
            refused=(None, None, "another token"),
        ),
    )
    assert result.reasons == (NO_LIST, "a bad list", "another token")
    np.testing.assert_allclose(result.measures.log_ratio, [0.5, 0.5, np.nan])
    assert np.isnan(result.measures.headline).all()


def test_a_stretch_with_a_refused_token_has_no_log_ratio():
    """`ab` is two tokens here; both must be told, and be those that were asked."""
    whole, _ = scored("", told(-1.0, -1.0), ("ab",))
    assert whole.spans == ((0, 1),)
    np.testing.assert_allclose(whole.measures.log_ratio, [1.6])
    for what, reason in (
        (told(-1.0, -1.0, refused=(None, "another token")), "another token"),
        (told(-1.0, math.nan), NO_VALUE),
    ):
        lost, _ = scored("", what, ("ab",))
        assert lost.spans == (None,)
        assert lost.reasons == (reason,)
        assert np.isnan(lost.measures.log_ratio).all()


def test_preparing_notes_nothing_and_scoring_notes_low_coverage_once():
    """A response may be prepared for a plan and again for its request."""
    made = entry([position("ab"), position("cd")])
    by_ids = source()
    for _ in range(3):
        prepared = by_ids.prepare(made.responses[0])
    assert not by_ids.problems()
    by_ids.told(made, prepared, told(*[-1.0] * 4))
    [row] = by_ids.problems()
    assert "could be matched with tokens of q" in row.reason


def test_an_engine_without_a_value_had_nothing_before_the_token():
    """The first token of an empty prompt; the others are scored."""
    made = entry([position("a"), position("b")])
    by_ids = source()
    prepared = by_ids.prepare(made.responses[0])
    scores = Scores(
        chosen=np.array([np.nan, -1.0]),
        rank=np.array([-1, 1]),
        top_ids=np.array([[-1, -1], [1, 2]]),
        top_logprobs=np.array([[np.nan, np.nan], [-1.0, -2.0]]),
        entropy=np.array([np.nan, 1.0]),
        wanted=np.full(prepared.wanted.shape, np.nan),
    )
    result = by_ids.scored(made, prepared, scores)
    assert result.reasons == (NO_CONTEXT, None)
    assert result.measures.rank2.tolist() == [-1, 1]
