"""A server's tokens beside a saved response."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from kl_core.formats.align_bytes import WITH_PROMPT
from kl_core.records import Position, Response, Token, TokenDist
from kl_core.sources.by_text import NO_VALUE, ByText
from kl_core.sources.calls import Candidate
from kl_core.sources.scored_text import ScoredText
from tests.sources.test_contexts import entry

LISTS = {"A": 0.6, "B": 0.3, "C": 0.05}


def position(text: str, probabilities: dict[str, float] | None = None) -> Position:
    shown = LISTS if probabilities is None else probabilities
    made = [Token(each, each.encode(), None, each) for each in shown]
    dist = TokenDist(tuple(made), tuple(math.log(p) for p in shown.values()), len(made))
    special = text.startswith("<|")
    token = Token(text, b"" if special else text.encode(), None, text, special)
    return Position(token, math.log(shown.get(text, 0.01)), dist)


def candidate(text: str, p: float) -> Candidate:
    return Candidate(text, None, math.log(p))


def server(*texts: str, lists: dict[str, float] | None = None, **more) -> ScoredText:
    shown = LISTS if lists is None else lists
    return ScoredText(
        tuple(candidate(text, shown.get(text, 0.01)) for text in texts),
        (-1,) * len(texts),
        tuple(tuple(candidate(*pair) for pair in shown.items()) for _ in texts),
        **more,
    )


def scored(positions: list[Position], text: ScoredText, match: bool = True):
    made = entry(positions)
    source = ByText("q", match)
    return source.scored(made, made.responses[0], text), source.problems()


def test_equal_lists_have_a_divergence_of_zero_and_known_ranks():
    """The plain case: the same tokens, the same lists."""
    result, problems = scored([position("A"), position("B")], server("A", "B"))
    np.testing.assert_allclose(result.measures.headline, [0, 0], atol=1e-12)
    np.testing.assert_allclose(result.measures.log_ratio, [0, 0], atol=1e-12)
    assert result.measures.rank2.tolist() == [1, 2]
    assert result.measure == "floor"
    assert not problems


def test_other_lists_have_the_divergence_that_the_measure_gives():
    """By hand: equal lists but for two probabilities, no rest in either."""
    p, q = {"A": 0.75, "B": 0.25}, {"A": 0.5, "B": 0.5}
    result, _ = scored([position("A", p)], server("A", lists=q))
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    np.testing.assert_allclose(result.measures.headline, [expected], atol=1e-9)
    np.testing.assert_allclose(result.measures.logprob2, [math.log(0.5)])


def test_a_stretch_cut_differently_has_a_log_ratio_and_no_divergence():
    """`AB|C` beside `A|BC`: one span over both, its log Q the sum."""
    result, problems = scored([position("AB"), position("C")], server("A", "BC"))
    assert result.spans == ((0, 2), (0, 2))
    assert np.isnan(result.measures.headline).all()
    expected = math.log(0.01) + math.log(0.05) - (math.log(0.6) + math.log(0.01))
    np.testing.assert_allclose(result.measures.log_ratio, [expected, np.nan])
    assert "span of 2 tokens" in (result.reasons[0] or "")
    [row] = problems
    assert "only 0 % of its tokens could be matched with tokens of q" in row.reason
    assert "tokenizers differ" in row.reason


def test_another_text_is_never_agreement():
    """The server changed the text: scored up to there, and said so."""
    result, problems = scored([position(t) for t in "ABC"], server("A", "C", "C"))
    assert [reason is None for reason in result.reasons] == [True, False, False]
    assert np.isnan(result.measures.headline[1:]).all()
    assert np.isnan(result.measures.log_ratio[1:]).all()
    [row] = problems
    assert "33 %" in row.reason
    assert row.where == "$[0].responses[0], token 1"


def test_a_token_that_straddles_the_prompt_is_not_scored():
    """Its probability belongs partly to the prompt."""
    result, _ = scored([position("AB"), position("C")], server("B", "C", skipped=1))
    assert result.reasons == (WITH_PROMPT, None)
    assert np.isnan(result.measures.log_ratio[0])


def test_an_end_token_that_no_text_shows_is_unmatched_and_no_problem():
    """Text servers leave it out; one token of two would otherwise be half the coverage."""
    result, problems = scored([position("A"), position("<|end|>")], server("A"))
    assert "no special token '<|end|>'" in (result.reasons[1] or "")
    assert not problems


def test_a_longer_list_is_taken_no_longer_than_model_1s():
    """What else the server told stays beside the list."""
    short = {"A": 0.6, "B": 0.3}
    matched, _ = scored([position("A", short)], server("A"))
    whole, _ = scored([position("A", short)], server("A"), match=False)
    assert (matched.dists2[0].listed, len(matched.dists2[0].tokens)) == (2, 3)
    assert whole.dists2[0].listed == 3


def test_a_token_appended_to_the_list_is_no_part_of_it():
    """`echo` servers list the token itself where it is not among the k."""
    appended = (*server("A").tops[0], candidate("Z", 0.01))
    plain = server("A", "B", "Z")
    text = replace_tops(plain, 2, appended)
    result, _ = scored([position("A"), position("B"), position("Z")], text, match=False)
    assert result.dists2[2].listed == 3
    assert result.measures.rank2.tolist() == [1, 2, -1]
    np.testing.assert_allclose(result.measures.headline, 0, atol=1e-12)


def test_a_missing_list_is_a_reason_and_a_problem_and_keeps_the_probability():
    """A server that gave a value and no list; and one that gave neither."""
    text = replace_tops(server("A", "B"), 0, ())
    result, problems = scored([position("A"), position("B")], text)
    assert "no top log-probabilities" in (result.reasons[0] or "")
    np.testing.assert_allclose(result.measures.log_ratio, [0, 0], atol=1e-12)
    assert "one position got no value" in problems[0].reason
    nothing = ScoredText((Candidate("A", None, math.nan), *text.tokens[1:]), text.ranks, text.tops)
    result, _ = scored([position("A"), position("B")], nothing)
    assert result.reasons == (NO_VALUE, None)
    assert np.isnan(result.measures.log_ratio[0])


def test_pieces_of_a_vocabulary_are_read_as_text():
    """A server that writes `Ġthe` for ` the`."""
    lists = {"A": 0.6, "ĠB": 0.3}
    text = server("A", "ĠB", lists=lists)
    plain = {"A": 0.6, " B": 0.3}
    result, problems = scored([position("A", plain), position(" B", plain)], text)
    np.testing.assert_allclose(result.measures.headline, [0, 0], atol=1e-12)
    assert not problems


def test_candidates_of_unknown_bytes_meet_by_id_where_the_vocabulary_is_one():
    """Parts of characters are `�` on both sides; enough known tokens share their ids."""
    names = [f"t{n}" for n in range(25)] + ["�"]

    def shown(n: int) -> Token:
        known = names[n].encode() if n < 25 else None
        return Token(names[n], known, n, names[n])

    logprobs = tuple(math.log(0.038) for _ in names)
    dist = TokenDist(tuple(shown(n) for n in range(26)), logprobs, 26)
    first = Position(shown(0), logprobs[0], dist)
    top = tuple(Candidate(name, n, logprobs[n]) for n, name in enumerate(names))
    result, _ = scored([first], ScoredText((top[0],), (1,), (top,)))
    np.testing.assert_allclose(result.measures.headline, [0], atol=1e-12)


def test_a_response_without_log_probabilities_stays_as_it_is():
    """It keeps its slot and its reason."""
    made = entry([])
    bare = Response(0, "A", error="no log-probabilities came back")
    made = replace(made, responses=(bare,))
    result = ByText("q", True).scored(made, bare, server("A"))
    assert result.response.error == "no log-probabilities came back"
    assert result.measure is None


def replace_tops(text: ScoredText, at: int, top: tuple[Candidate, ...]) -> ScoredText:
    tops = (*text.tops[:at], top, *text.tops[at + 1 :])
    return ScoredText(text.tokens, text.ranks, tops, text.skipped)


def test_a_token_without_a_value_is_censored_outside_the_list():
    """Its list is scored; that log Q lies below the list is all that is known."""
    text = server("A", "Z")
    tokens = tuple(Candidate(each.token, None, math.nan) for each in text.tokens)
    result, _ = scored([position("A"), position("Z")], ScoredText(tokens, text.ranks, text.tops))
    assert result.reasons == (None, None)
    assert result.measures.censored.tolist() == [False, True]
    np.testing.assert_allclose(result.measures.log_ratio, [0, np.nan], atol=1e-12)


def test_a_rank_that_cannot_be_is_told_by_the_list():
    """A server's number beyond any vocabulary raises nothing."""
    text = server("A", "B")
    result, _ = scored(
        [position("A"), position("B")], ScoredText(text.tokens, (2**63, 2**40), text.tops)
    )
    assert result.measures.rank2.tolist() == [1, 2]
