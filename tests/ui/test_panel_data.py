"""What the token panel is given, and the sentences beside it."""

import math

import pytest

from kl_core.ui import explain, panel_data


def candidate(token: str, p: float, key: int, listed: bool = True, special: bool = False):
    return {
        "token": token,
        "token_id": None,
        "key": key,
        "logprob": math.log(p),
        "listed": listed,
        "special": special,
    }


def row(**changes):
    base = {
        "position": 5,
        "token": " Lyon",
        "token_id": None,
        "special": False,
        "reason": None,
        "kl": 4.02,
        "kl_lower": 3.88,
        "kl_reverse": 3.0,
        "log_ratio": 4.4,
        "logprob1": math.log(0.9),
        "logprob2": math.log(0.01),
        "rank1": 1,
        "rank2": 3,
        "censored": False,
        "rest1": 0.04,
        "rest2": 0.03,
        "entropy1": 0.5,
        "top1": [candidate(" Lyon", 0.9, 1), candidate(" Paris", 0.06, 2)],
        "top2": [
            candidate(" Paris", 0.94, 2),
            candidate(" a", 0.02, 3),
            candidate(" Lyon", 0.01, 1, listed=False),
        ],
    }
    return base | changes


def test_lists_are_aligned_on_their_union_by_key() -> None:
    """Equal keys are one row with both probabilities, likeliest first."""
    rows = panel_data.build(row(), "base", "tuned")["rows"]
    assert [r["token"] for r in rows] == ["␣Paris", "␣Lyon", "␣a"]
    paris = rows[0]
    assert (paris["side1"]["text"], paris["side2"]["text"]) == ("0.060", "0.940")
    assert paris["delta"] == "−2.75"


def test_a_token_outside_a_list_is_bounded_by_its_smallest_entry_and_the_rest() -> None:
    """The bound is min(k-th probability, unseen mass), drawn as bounded, never as a value."""
    side = panel_data.build(row(), "base", "tuned")["rows"][2]["side1"]
    assert side["bounded"] and side["text"] == "≤ 0.040"
    wide = panel_data.build(row(rest1=0.5), "base", "tuned")["rows"][2]["side1"]
    assert wide["text"] == "≤ 0.060"


def test_a_list_that_rounds_to_all_of_the_mass_bounds_by_its_smallest_entry() -> None:
    """A remaining mass of zero is rounding, not a proof that nothing else can happen."""
    side = panel_data.build(row(rest1=0.0), "base", "tuned")["rows"][2]["side1"]
    assert side["text"] == "≤ 0.060"


def test_a_token_known_besides_the_list_is_no_bound_for_others() -> None:
    """A server's appended token is known mass, not the list's k-th entry."""
    rows = panel_data.build(
        row(top1=[candidate(" Lyon", 0.9, 1), candidate(" Rome", 0.03, 9)], rest2=None),
        "base",
        "tuned",
    )["rows"]
    rome = next(r for r in rows if r["token"] == "␣Rome")
    assert rome["side2"]["text"] == "≤ 0.020"
    lyon = next(r for r in rows if r["token"] == "␣Lyon")
    assert lyon["side2"]["beside"] and lyon["sampled"]


def test_the_difference_is_one_sided_where_one_side_is_only_bounded() -> None:
    """Outside model 1's list the log-ratio has an upper bound, outside model 2's a lower one."""
    rows = panel_data.build(row(), "base", "tuned")["rows"]
    assert rows[2]["delta"] == "≤ +0.693"


def test_equal_texts_with_different_keys_stay_two_rows() -> None:
    """Only the key decides what is the same token."""
    made = panel_data.build(
        row(top1=[candidate("x", 0.5, 1)], top2=[candidate("x", 0.4, 2)]), "a", "b"
    )
    assert len(made["rows"]) == 2


def test_raw_positions_have_one_side() -> None:
    """Without a second list the panel names no second model."""
    made = panel_data.build(row(top2=None, rest2=None), "base", None)
    assert made["model2"] is None
    assert all(r["side2"]["text"] == "" for r in made["rows"])


def said(token, measure) -> str:
    sentences = explain.sentences(token, measure)
    return " ".join("".join(text for text, _ in sentence) for sentence in sentences)


def test_the_certified_bound_stands_beside_the_estimate() -> None:
    """A truncated position gives both figures with their signs and what they mean."""
    text = said(row(), "floor")
    assert "≥ 3.88" in text and "≈ 4.02" in text
    assert "certified" in text and "3rd under model 2" in text


def test_an_estimate_below_the_certified_bound_is_pointed_out() -> None:
    """The floor can lie below what is certain; the reader is told which to trust."""
    assert "trust the bound" in said(row(kl=3.5), "floor")
    assert "trust the bound" not in said(row(), "floor")


def test_an_estimate_that_a_short_list_blew_up_is_doubted() -> None:
    """A list of two gives every missing token its second entry, and the floor runs away."""
    assert "far too high" in said(row(kl=7.0, kl_lower=0.004), "floor")
    assert "far too high" not in said(row(), "floor")


def test_whole_vocabularies_are_called_exact() -> None:
    """Nothing is called an estimate under `full`."""
    text = said(row(), "full")
    assert "exactly 4.02" in text and "≈" not in text and "≥" not in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"censored": True, "rank2": -1}, "outside model 2's"),
        ({"kl": None, "kl_lower": None, "reason": "no list in the file"}, "no list in the file"),
    ],
)
def test_censored_and_unscored_positions_say_so(changes, words: str) -> None:
    """The reader learns why a figure is missing or bounded."""
    assert words in said(row(**changes), "floor")


def test_an_unscored_token_of_a_scored_run_says_why_and_not_to_score() -> None:
    """Model 2 is still named, and the reader is not told to do what was done."""
    token = row(top2=None, rest2=None, kl=None, kl_lower=None, reason="no list", logprob2=None)
    text = said(token | {"rank2": -1, "log_ratio": None}, "floor")
    assert "No KL at this position: no list" in text
    assert "Score these" not in text and "surprisal" not in text and "–" not in text
    assert panel_data.build(token, "base", "tuned", "floor")["model2"] == "tuned"


def test_an_estimate_that_prints_like_the_bound_is_not_called_lower() -> None:
    """Rounding is no contradiction."""
    assert "trust the bound" not in said(row(kl=3.8799, kl_lower=3.88), "floor")


def test_whole_vocabularies_leave_nothing_unseen() -> None:
    """Under `full` a token outside the list shown is known, and a rank is not a list's."""
    made = panel_data.build(row(), "base", "tuned", "full")
    assert made["besides"] == "" and "unseen" not in made["outside"]
    assert "3rd under model 2" in said(row(), "full")


def test_a_token_of_spaces_is_explained() -> None:
    """The dot drawn in its place is not taken for a dot."""
    assert "a single space" in said(row(token=" "), "floor")
    assert "3 spaces" in said(row(token="   "), None)
    assert "space" not in said(row(), "floor")


def test_raw_positions_explain_surprisal() -> None:
    """A raw run speaks of surprisal and of scoring."""
    assert "surprisal" in said(row(top2=None), None)
