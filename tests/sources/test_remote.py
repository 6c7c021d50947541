"""A remote model's answers beside the saved response."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from kl_core.records import NOT_ASKED, Position, Token, TokenDist
from kl_core.sources.calls import Answer, Candidate
from kl_core.sources.contexts import prepared
from kl_core.sources.probe import choose_point, literal_warning
from kl_core.sources.remote import Assembler
from tests.sources.test_contexts import entry, words


def listed(*pairs: tuple[str, float]) -> TokenDist:
    tokens = tuple(Token(text, text.encode(), None, text) for text, _ in pairs)
    return TokenDist(tokens, tuple(value for _, value in pairs), len(pairs))


def answer(*pairs: tuple[str, float]) -> Answer:
    top = tuple(Candidate(text, n, value) for n, (text, value) in enumerate(pairs))
    return Answer(top, top[0], "q-1", 10, 1)


TWO = (("A", math.log(0.7)), ("B", math.log(0.2)))


def an_entry(texts=("A", "B")):
    made = entry(words(*texts))
    positions = tuple(replace(p, dist=listed(*TWO)) for p in made.responses[0].positions)
    return replace(made, responses=(replace(made.responses[0], positions=positions),))


def scored(made, answers, failures=None, asked=(), match=True):
    ready = prepared(made)
    keys = [context.key for context in ready.responses[0].contexts]
    journal = dict(zip(keys, answers, strict=False))
    failed = {keys[n]: why for n, why in (failures or {}).items()}
    assembler = Assembler("q", match)
    result = assembler.assemble(ready, journal.get, failed, asked)
    return result, assembler.problems()


def test_equal_lists_have_a_divergence_of_zero_and_model_2_is_named():
    """The same list on both sides, position by position."""
    result, problems = scored(an_entry(), [answer(*TWO), answer(*TWO)])
    np.testing.assert_allclose(result.responses[0].measures.headline, [0, 0], atol=1e-12)
    assert result.model2 == "q"
    assert not problems


def test_model_1s_token_stays_whatever_model_2_would_have_said():
    """What model 2 drew is no part of the scored text."""
    result, _ = scored(an_entry(("B", "A")), [answer(*TWO), answer(*TWO)])
    assert [p.token.text for p in result.responses[0].response.positions] == ["B", "A"]
    np.testing.assert_allclose(
        result.responses[0].measures.logprob2, [math.log(0.2), math.log(0.7)]
    )


def test_a_longer_list_is_taken_no_longer_than_model_1s():
    """Lists of different length would make equal models differ; the rest is known besides."""
    longer = answer(*TWO, ("C", math.log(0.05)))
    matched, _ = scored(an_entry(("A",)), [longer])
    whole, _ = scored(an_entry(("A",)), [longer], match=False)
    assert matched.responses[0].dists2[0].listed == 2
    assert len(matched.responses[0].dists2[0].tokens) == 3
    assert whole.responses[0].dists2[0].listed == 3
    assert (
        matched.responses[0].measures.headline[0] < 1e-12 < whole.responses[0].measures.headline[0]
    )


def test_a_failed_position_keeps_its_reason_and_its_neighbours_their_values():
    """One row in the problems, with the place of the first."""
    result, problems = scored(an_entry(), [answer(*TWO)], {1: "the prompt was blocked (SAFETY)"})
    assert result.responses[0].reasons == (None, "the prompt was blocked (SAFETY)")
    assert not math.isnan(result.responses[0].measures.headline[0])
    assert [("token 1" in row.where, "blocked" in row.reason) for row in problems] == [(True, True)]


def test_an_answer_without_a_list_is_a_reason_too():
    """What the journal keeps of a position that has no value for good."""
    result, _ = scored(an_entry(("A",)), [Answer(error="the reply was empty")])
    assert result.responses[0].reasons == ("the reply was empty",)


def test_positions_outside_the_budget_are_not_problems():
    """They were not asked on purpose."""
    result, problems = scored(an_entry(), [answer(*TWO), answer(*TWO)], asked=(frozenset({0}),))
    assert result.responses[0].reasons == (None, NOT_ASKED)
    assert not problems


def test_a_sampled_token_outside_the_list_is_censored_and_listed():
    """Counted and named, never given a number."""
    result, problems = scored(an_entry(("Z",)), [answer(*TWO)])
    assert result.responses[0].measures.censored.tolist() == [True]
    assert math.isnan(result.responses[0].measures.logprob2[0])
    assert "not among model 2's top" in problems[0].reason


def test_a_list_of_more_probability_than_one_is_no_distribution():
    """Said at the position; no number is made of it."""
    result, _ = scored(an_entry(("A",)), [answer(("A", -0.1), ("B", -0.1))])
    assert "more than 1" in result.responses[0].reasons[0]
    assert np.isnan(result.responses[0].measures.headline).all()


def test_bytes_of_a_character_match_across_ways_of_writing_them():
    """`<0xE3>` of the server is the byte E3 of the file."""
    made = an_entry(("A",))
    byte = Token("<0xE3>", b"\xe3", None, "<0xE3>")
    dist = TokenDist((byte,), (math.log(0.6),), 1)
    position = Position(byte, math.log(0.6), dist)
    made = replace(
        made, responses=(replace(made.responses[0], positions=(position,), text="\ufffd"),)
    )
    result, _ = scored(made, [answer(("<0xE3>", math.log(0.6)), (" x", math.log(0.2)))])
    assert result.responses[0].measures.headline[0] < 1e-12


def test_the_probe_is_a_position_inside_a_word_that_model_1_was_sure_of():
    """There any model that continues literally has the rest of the word."""
    made = entry(words("The", " light", "house", " shines"))
    point = choose_point([prepared(made)])
    assert point.context.prefix == "The light"
    assert point.token.text == "house"


def test_a_continuation_that_is_not_in_the_list_is_warned_of_in_one_sentence():
    """And one that is, or begins alike, is not."""
    point = choose_point([prepared(entry(words("The", " light", "house")))])
    assert literal_warning(point, answer(("house", -0.1))) is None
    assert literal_warning(point, answer(("ho", -0.1))) is None
    warning = literal_warning(point, answer(("Sure", -0.1), ("Okay", -2.0)))
    assert "'house'" in warning
    assert "'Sure'" in warning


def test_nothing_to_ask_is_no_probe():
    """Responses without log-probabilities."""
    assert choose_point([prepared(entry([]))]) is None


def with_ids(*pairs):
    tokens = tuple(
        Token(text, None if "\ufffd" in text else text.encode(), number, text)
        for text, number, _ in pairs
    )
    return TokenDist(tokens, tuple(value for *_, value in pairs), len(pairs))


def test_ids_settle_what_a_broken_character_is_where_both_models_have_one_vocabulary():
    """Two candidates written as U+FFFD are the same token by their id; without it nobody knows."""
    words_ = [(f"w{n}", n, -2.0 - n) for n in range(20)]
    broken = ("\ufffd", 500, math.log(0.5))
    made = entry([Position(Token("w0", b"w0", 0, "w0"), -2.0, with_ids(broken, *words_))])

    def result(shift):
        top = tuple(
            Candidate(text, number + shift, value) for text, number, value in (broken, *words_)
        )
        return scored(made, [Answer(top, top[0])])[0].responses[0]

    assert result(0).measures.headline[0] < 1e-12
    assert "part of a character" in result(1).reasons[0]
