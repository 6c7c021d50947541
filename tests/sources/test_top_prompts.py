"""The search for the prompts that diverge most: what it asks, finds and says."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kl_core.errors import InputError
from kl_core.records import Position, Response, Token
from kl_core.sources.calls import Context
from kl_core.sources.top_prompts import (
    Stratum,
    TopPrompts,
    local_contexts,
    stratum,
    word_starts,
)
from tests.numeric.full_results import full_results


def positions(tokens):
    return tuple(Position(Token(text, None, None, text), None, None) for text in tokens)


def made(slot, tokens, wanted=None):
    """A stratum all of whose positions can be asked; contexts are the texts before."""
    every = tuple(range(len(tokens)))
    return Stratum(
        slot,
        every,
        tuple(tokens[:end] for end in every),
        tuple(local_contexts(positions(tokens))),
        tuple(word_starts(positions(tokens))),
        every if wanted is None else wanted,
    )


def searched(k, prompts, wanted=None):
    """Run a search over {name: [(tokens, kl)]}; returns it and what was asked of whom."""
    search, asked = TopPrompts(k), {name: [] for name in prompts}
    for name, responses in prompts.items():
        search.add(name, [made(n, tokens, wanted) for n, (tokens, _) in enumerate(responses)])
    while places := search.ask():
        for name, each in places.items():
            asked[name] += each
            found = {(slot, place): float(prompts[name][slot][1][place]) for slot, place in each}
            search.tell(name, found)
    return search, asked


def words(text):
    return tuple(" " + word for word in text.split())


def sample_prompts():
    return {
        index: [(each.tokens, each.kl) for each in prompt]
        for index, prompt in enumerate(full_results())
    }


@pytest.mark.parametrize(("k", "most"), [(1, 0.5), (3, 0.6), (5, 0.65)])
def test_the_top_prompts_of_the_sample_are_found_with_a_part_of_the_calls(k, most):
    """All of them, as full scoring ranks them; the winners' values end up complete."""
    prompts = sample_prompts()
    means = {n: np.concatenate([kl for _, kl in rs]).mean() for n, rs in prompts.items()}
    search, asked = searched(k, prompts)
    true = sorted(means, key=lambda name: -means[name])[:k]
    won = [each for each in search.ranking() if each.won]
    assert [each.prompt for each in won] == true
    assert [each.score for each in won] == pytest.approx([means[name] for name in true])
    unique = sum(len({t[:n] for t, _ in rs for n in range(len(t))}) for rs in prompts.values())
    assert sum(map(len, asked.values())) <= most * unique


def test_nothing_is_asked_twice():
    """Neither a position, nor a context that two responses share, in any round."""
    prompts = sample_prompts()
    _, asked = searched(4, prompts)
    for name, places in asked.items():
        contexts = [prompts[name][slot][0][:place] for slot, place in places]
        assert len(set(contexts)) == len(contexts)


def test_the_first_round_asks_a_repeated_phrase_once():
    """And no token that goes on with a word begun before."""
    search = TopPrompts(1)
    tokens = (" the", " lamp", " is", " gre", "en", ".", " so", " the", " lamp", " is", " red")
    search.add("p", [made(0, tokens), made(1, tokens[:3])])
    search.add("q", [made(0, tokens)])
    first = search.ask()
    assert (0, 4) not in first["p"]
    assert (0, 10) not in first["p"]
    assert all(slot == 0 for slot, _ in first["p"])
    assert (0, 3) in first["p"]


def test_a_prompt_far_behind_is_finished_early():
    """It can be written while the search goes on; the others cannot."""
    text = words("one two three four one two three four five six")
    level = {name: 2.0 if name < 2 else 0.0 for name in range(12)}
    search = TopPrompts(2)
    for name in level:
        search.add(name, [made(0, text)])
    assert search.finished() == set()
    for name, places in search.ask().items():
        search.tell(name, dict.fromkeys(places, level[name]))
    second = search.ask()
    assert search.finished() == set(level) - set(second)
    assert {0, 1} < set(second)
    assert len(second) == 3
    while asked := search.ask():
        for name in asked:
            search.tell(name, {})
    assert search.finished() == set(level)
    assert [each.prompt for each in search.ranking() if each.won] == [0, 1]


def test_calls_that_fail_are_not_repeated_and_do_not_count_as_zero():
    """The mean is over the positions that have a value."""
    text = words("alpha beta gamma delta")
    search = TopPrompts(1)
    search.add("p", [made(0, text)])
    rounds = 0
    while asked := search.ask():
        rounds += 1
        search.tell("p", {place: 3.0 for place in asked["p"] if place[1] != 2})
    assert rounds == 1
    assert search.ranking()[0].score == 3.0


def test_a_winner_is_asked_what_is_wanted_of_it_and_no_more():
    """With a budget the last round asks its draws, those known already excepted."""
    tokens = (" Mer", "row", " and", " Mer", "row", "land", "er")
    search, asked = searched(1, {"p": [(tokens, np.ones(7))]}, wanted=(1, 5))
    assert {place for _, place in asked["p"]} == {0, 2, 3, 1, 5}
    assert search.ranking()[0].won


def test_fewer_prompts_than_k_all_win():
    """And a prompt of which nothing can be asked takes part without a score."""
    search, _ = searched(5, {"a": [(words("x y"), np.ones(2))], "b": []})
    assert [(each.prompt, each.won) for each in search.ranking()] == [("a", True), ("b", True)]
    assert search.ranking()[1].score == 0
    assert TopPrompts(1).ask() == {}


def test_no_prompts_are_asked_for_is_refused():
    """The message names the value."""
    with pytest.raises(InputError, match="--top-prompts is 0"):
        TopPrompts(0)


def test_words_start_wherever_letters_do_not_go_on():
    """Digits, signs, Chinese and unknown text may start something; inner capitals do not."""
    tokens = ("Mer", "row", " is", " 1", "98", "7", ".", "It", "日", "本", "", "x")
    expected = [True, False, True, True, True, True, True, True, True, True, True, True]
    assert word_starts(positions(tokens)) == expected


def test_a_local_context_knows_the_beginning():
    """Three tokens back, and fewer only at the start of a response."""
    keys = local_contexts(positions("abcabc"))
    assert len(keys) == 6
    assert keys[0] != keys[3]
    assert keys[3] == ("a", "b", "c")
    assert local_contexts(positions("xabc" + "d"))[4] == keys[3]


def test_a_stratum_of_a_response_leaves_out_what_cannot_be_asked():
    """Keys and starts stay with their positions; `wanted` is everything unless told."""
    response = Response(2, "a b c", positions((" a", " b", "c")))
    contexts = (Context(b"0", (), b"", 0), None, Context(b"2", (), b" a b", 4))
    whole = stratum(response, contexts)
    assert (whole.slot, whole.positions, whole.wanted) == (2, (0, 2), (0, 2))
    assert whole.contexts == (b"0", b"2")
    assert whole.starts == (True, False)
    assert stratum(response, contexts, (2,)).wanted == (2,)


def test_scores_are_never_estimates_of_what_was_not_asked():
    """A position nobody asked and nobody resembles counts 0, and is not made NaN."""
    tokens = (" Mer", "row")
    search = TopPrompts(1)
    search.add("p", [made(0, tokens, wanted=())])
    while asked := search.ask():
        search.tell("p", dict.fromkeys(asked["p"], 4.0))
    assert search.ranking()[0].score == 2.0
    assert not math.isnan(search.ranking()[0].score)
