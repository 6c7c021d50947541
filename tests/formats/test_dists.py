"""The rules by which one position's list is cleaned."""

import math

import pytest

from kl_core.formats.dists import logsumexp

from .make import entry, item, load_one, only_position, only_response, openai_response, sure


def _texts(dist):
    return [token.text for token in dist.tokens]


def test_a_list_is_sorted_by_falling_logprob(tmp_path):
    """A server that puts the sampled token first does not make it the most likely."""
    one = item("b", {"b": 0.2, "a": 0.6, "c": 0.1})
    position, rows = only_position(tmp_path, one)
    assert _texts(position.dist) == ["a", "b", "c"]
    assert position.dist.listed == 3
    assert position.logprob == pytest.approx(math.log(0.2))
    assert rows == []


def test_a_sampled_token_outside_its_list_is_known_besides_it(tmp_path):
    """Missing from its own top list: an extra with its log-probability, not listed."""
    one = {**item("d", {"a": 0.6, "b": 0.2}), "logprob": -4.0}
    position, _ = only_position(tmp_path, one)
    assert _texts(position.dist) == ["a", "b", "d"]
    assert position.dist.listed == 2
    assert position.dist.logprobs[2] == -4.0


def test_a_smallest_sampled_token_in_front_was_appended(tmp_path):
    """First, out of order and smallest: known mass, never the cap of the list."""
    position, _ = only_position(tmp_path, item("c", {"c": 0.01, "a": 0.6, "b": 0.2}))
    assert _texts(position.dist) == ["a", "b", "c"]
    assert position.dist.listed == 2


def test_a_sorted_list_that_ends_with_the_sampled_token_is_whole(tmp_path):
    """The smallest in its proper place belongs to the list."""
    position, _ = only_position(tmp_path, item("c", {"a": 0.6, "b": 0.2, "c": 0.1}))
    assert position.dist.listed == 3


def test_a_longer_list_that_ends_with_the_sampled_token_has_it_appended(tmp_path):
    """k + 1 entries where the others have k: the last is an extra."""
    usual = {"a": 0.6, "b": 0.2}
    content = [item("a", usual), item("a", usual), item("c", {**usual, "c": 0.1})]
    response, _ = only_response(tmp_path, content, "aac")
    assert [p.dist.listed for p in response.positions] == [2, 2, 2]
    assert len(response.positions[2].dist.tokens) == 3


def test_minus_9999_is_never_a_probability(tmp_path):
    """−9999 leaves the lists; a sampled −9999 is an unknown log-probability."""
    one = {
        "token": "x",
        "logprob": -9999.0,
        "top_logprobs": [{"token": "a", "logprob": -0.1}, {"token": "x", "logprob": -9999.0}],
    }
    position, rows = only_position(tmp_path, one)
    assert position.logprob is None
    assert position.reason is None
    assert _texts(position.dist) == ["a"]
    assert sorted(row.reason.split(" ")[0] for row in rows) == ["entries", "the"]
    assert all(row.where.endswith("logprobs.content[0]") for row in rows)


def test_exact_repeats_are_dropped_and_split_mass_is_added_up(tmp_path):
    """The same candidate twice: once if equal, by logsumexp if not; both are reported."""
    tops = [("a", -1.0), ("a", -1.0), ("b", -2.0), ("b", -3.0)]
    one = {
        "token": "a",
        "logprob": -1.0,
        "top_logprobs": [{"token": t, "logprob": v} for t, v in tops],
    }
    position, rows = only_position(tmp_path, one)
    assert position.dist.logprobs == (-1.0, logsumexp([-2.0, -3.0]))
    assert len(rows) == 2


def test_ids_keep_equal_texts_apart(tmp_path):
    """Two vocabulary entries of one text are two candidates when ids are given."""
    tops = [
        {"token": "a", "token_id": 5, "logprob": -1.0},
        {"token": "a", "token_id": 6, "logprob": -2.0},
    ]
    one = {"token": "a", "token_id": 6, "logprob": -2.0, "top_logprobs": tops}
    position, rows = only_position(tmp_path, one)
    assert [token.id for token in position.dist.tokens] == [5, 6]
    assert rows == []


def test_a_rounded_zero_is_zero(tmp_path):
    """A log-probability up to 1e-4 above 0 is a rounded 0."""
    one = {"token": "a", "logprob": 1e-5, "top_logprobs": [{"token": "a", "logprob": 1e-5}]}
    position, rows = only_position(tmp_path, one)
    assert (position.logprob, position.dist.logprobs, rows) == (0.0, (0.0,), [])


@pytest.mark.parametrize("bad", [0.5, None, "x", float("nan"), True, [], 10**400])
@pytest.mark.parametrize("place", ["chosen", "candidate"])
def test_a_bad_logprob_costs_its_position_only(tmp_path, bad, place):
    """Positive, null, text, NaN: this position has a reason, the next one is read."""
    one = item("a", {"a": 0.5, "b": 0.2})
    if place == "chosen":
        one["logprob"] = bad
    else:
        one["top_logprobs"][1]["logprob"] = bad
    response, rows = only_response(tmp_path, [one, item("a", {"a": 0.5})], "aa")
    assert response.positions[0].dist is None
    assert "log-probability" in response.positions[0].reason
    assert response.positions[1].dist is not None
    assert response.positions[1].reason is None
    assert len(rows) == 1
    assert rows[0].where == "$.responses[0].choices[0].logprobs.content[0]"


def test_more_probability_than_one_is_refused(tmp_path):
    """A list with a mass of 1.2 is no distribution."""
    position, rows = only_position(tmp_path, item("a", {"a": 0.7, "b": 0.5}))
    assert position.dist is None
    assert "1.2" in position.reason
    assert len(rows) == 1


def test_like_problems_of_a_response_share_a_row(tmp_path):
    """Fifty bad positions are one row with the first place and the count."""
    bad = {**item("a", {"a": 0.5}), "logprob": None}
    _, rows = only_response(tmp_path, [item("a", {"a": 0.5}), *[bad] * 50], "a" * 51)
    assert len(rows) == 1
    assert rows[0].where.endswith("content[1]")
    assert "50 places" in rows[0].reason


def test_a_position_without_candidates_has_a_reason(tmp_path):
    """Log-probability of the sampled token alone: kept, not scorable by lists."""
    position, rows = only_position(tmp_path, {"token": "a", "logprob": -0.5})
    assert (position.logprob, position.dist) == (-0.5, None)
    assert "no top log-probabilities" in position.reason
    assert len(rows) == 1


def test_tokens_that_do_not_give_the_text_are_a_row(tmp_path):
    """A real disagreement of tokens and text is shown, and the response kept."""
    found, rows = load_one(tmp_path, entry(openai_response([sure("Hi")], "Bye")))
    assert found.responses[0].error is None
    assert "do not give the response text" in rows[0].reason


def test_candidates_that_the_file_does_not_identify_are_never_one(tmp_path):
    """Two parts of characters, both written as U+FFFD: two candidates, not a repeat."""
    tops = [("\ufffd", -1.0), ("\ufffd", -1.0), ("\ufffd", -2.0), ("b", -3.0)]
    one = {
        "token": "\ufffd",
        "logprob": -2.0,
        "top_logprobs": [{"token": t, "logprob": v} for t, v in tops],
    }
    position, rows = only_position(tmp_path, one)
    assert position.dist.logprobs == (-1.0, -1.0, -2.0, -3.0)
    assert position.dist.listed == 4
    assert rows == []


def test_two_halves_of_surrogate_pairs_stay_apart(tmp_path):
    r"""`\ud83d` and `\udc00` both become U+FFFD; they are different candidates."""
    tops = [{"token": t, "logprob": v} for t, v in (("\ud83d", -1.0), ("\udc00", -1.5))]
    one = {"token": "\ud83d", "logprob": -1.0, "top_logprobs": tops}
    position, _ = only_position(tmp_path, one)
    assert position.dist.logprobs == (-1.0, -1.5)


def test_a_sampled_token_is_only_the_unidentified_candidate_with_its_logprob(tmp_path):
    """Another U+FFFD in the list is not the sampled one: it stands besides the list."""
    one = {
        "token": "\ufffd",
        "logprob": -5.0,
        "top_logprobs": [{"token": "\ufffd", "logprob": -1.0}, {"token": "b", "logprob": -2.0}],
    }
    position, rows = only_position(tmp_path, one)
    assert position.dist.listed == 2
    assert position.dist.logprobs == (-1.0, -2.0, -5.0)
    assert rows == []


def test_a_logprob_that_is_no_number_is_not_called_positive(tmp_path):
    """NaN is not above 0."""
    one = item("a", {"a": 0.5})
    one["logprob"] = float("nan")
    position, _ = only_position(tmp_path, one)
    assert "not a number" in position.reason
    assert "above" not in position.reason


def test_a_token_appended_last_is_noticed_where_most_lists_have_one(tmp_path):
    """Longer lists are the rule here, but each ends with the sampled token."""
    usual = {"a": 0.6, "b": 0.2}
    inside, beside = item("a", usual), item("z", {**usual, "z": 0.001})
    response, _ = only_response(tmp_path, [inside, beside, beside, inside, beside], "azzaz")
    assert [p.dist.listed for p in response.positions] == [2] * 5
    assert [len(p.dist.tokens) for p in response.positions] == [2, 3, 3, 2, 3]


def test_one_short_list_does_not_make_the_others_look_appended(tmp_path):
    """Lists of three whose sampled token stands anywhere are whole."""
    whole = {"a": 0.6, "b": 0.2, "z": 0.001}
    content = [item("a", whole), item("z", whole), item("a", {"a": 0.6, "b": 0.2})]
    response, _ = only_response(tmp_path, content, "aza")
    assert [p.dist.listed for p in response.positions] == [3, 3, 2]
