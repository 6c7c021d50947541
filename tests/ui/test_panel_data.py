"""What the token panel is given, and the sentences beside it."""

import json
import math

import pytest

from kl_core.ui import explain, explain_kinds, panel_data, panel_facts, token_panel


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
        "entropy2": 0.7,
        "entropy1_full": None,
        "entropy2_full": 0.9,
        "js": 0.4,
        "normalized": 3.3,
        "kl_tail": 3.1,
        "kl_rank": -0.2,
        "span_start": None,
        "span_end": None,
        "data": b" Lyon",
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
    short = [candidate(" Lyon", 0.3, 1), candidate(" Paris", 0.06, 2)]
    wide = panel_data.build(row(top1=short), "base", "tuned")["rows"][2]["side1"]
    assert wide["text"] == "≤ 0.060"


def test_a_list_that_rounds_to_all_of_the_mass_bounds_by_its_smallest_entry() -> None:
    """A remaining mass of zero is rounding, not a proof that nothing else can happen."""
    for first in (0.94, 0.94 - 1e-8, 0.94 + 1e-8):
        whole = [candidate(" Lyon", first, 1), candidate(" Paris", 0.06, 2)]
        side = panel_data.build(row(top1=whole), "base", "tuned")["rows"][2]["side1"]
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
    assert rows[2]["delta"] == "≤ +0.694"


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


def said(token, measure, neighbours=()) -> str:
    sentences = explain.sentences(token, measure, neighbours)
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


def test_every_number_is_there_as_probability_logarithm_and_rank() -> None:
    """The switch of the panel has a text for each: bounded, listed and known besides."""
    rows = panel_data.build(row(rank2=67), "base", "tuned")["rows"]
    paris, lyon, only2 = rows
    assert (paris["side2"]["text"], paris["side2"]["log"], paris["side2"]["rank"]) == (
        "0.940",
        "−0.0619",
        "1",
    )
    assert (only2["side1"]["log"], only2["side1"]["rank"]) == ("≤ −3.21", "> 2")
    assert lyon["side2"]["rank"] == "67", "the sampled token's rank among all tokens"


def test_a_row_says_all_of_its_figures_in_one_line() -> None:
    """What hovering or an arrow key shows: both sides, the difference, the contribution."""
    rows = panel_data.build(row(), "base", "tuned", "floor")["rows"]
    assert "0.060 (ln −2.81), 2nd of 2 for model 1" in rows[0]["says"]
    assert "0.940 (ln −0.0619), 1st of 2 for model 2" in rows[0]["says"]
    assert "ln P − ln Q −2.75" in rows[0]["says"] and "to KL ≈ 4.02" in rows[0]["says"]
    assert "outside the 2 listed" in rows[2]["says"]
    assert "lies in" in rows[2]["says"], "a contribution that is only bounded is an interval"


def test_the_panel_says_what_its_contributions_add_up_to() -> None:
    """The estimate for lists, with stand-ins hatched; the whole KL for whole vocabularies."""
    made = panel_data.build(row(), "base", "tuned", "floor")
    assert made["adds"] == "adds to ≈ KL" and "estimate, ≈ 4.02" in made["sum"]["says"]
    assert [r["term"]["assumed"] for r in made["rows"]] == [False, True, True]
    exact = panel_data.build(row(), "base", "tuned", "full")
    assert "of all other tokens add up to the KL, 4.02" in exact["sum"]["says"]
    assert not any(r["term"] and r["term"]["assumed"] for r in exact["rows"])


def test_without_a_kl_there_are_no_contributions() -> None:
    """Raw and unscored positions draw no bars and no sum."""
    for token, measure in ((row(kl=None), "floor"), (row(top2=None, kl=None), None)):
        made = panel_data.build(token, "base", "tuned", measure)
        assert made["sum"] is None and all(r["term"] is None for r in made["rows"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<|eot_id|>", "it ends a turn"),
        ("<|endoftext|>", "it ends the text"),
        ("<s>", "it begins the text"),
        ("<|start_header_id|>", "who speaks"),
        ("<|reserved_7|>", "a control token"),
    ],
)
def test_special_tokens_are_explained_by_their_name(text: str, words: str) -> None:
    """The sentence says what the name suggests, and that it is no text."""
    said_ = said(row(token=text, special=True, data=b""), "floor")
    assert words in said_ and "adds no text" in said_


def around(*tokens, start=20):
    return [
        {"position": start + n, "token": text, "data": data, "special": False, "log_ratio": ratio}
        for n, (text, data, ratio) in enumerate(tokens)
    ]


SNOWMAN = around(
    (" a", b" a", 0.1),
    ("<0xE2>", b"\xe2", 0.2),
    ("<0x98>", b"\x98", 0.3),
    ("<0x83>", b"\x83", 0.4),
)


@pytest.mark.parametrize("place", [21, 22, 23])
def test_a_byte_names_the_character_its_neighbours_make(place: int) -> None:
    """Any of the three bytes of a snowman tells the snowman and where it stands."""
    one = next(token for token in SNOWMAN if token["position"] == place)
    token = row(position=place, token=one["token"], data=one["data"])
    assert explain_kinds.needs_around(token) is not None
    text = explain_kinds.sentence(token, SNOWMAN)
    assert "“☃” at positions 21–23" in text
    assert "no text at all" in explain_kinds.sentence(token, ())


def test_a_span_says_what_it_covers_and_why_there_is_no_kl() -> None:
    """Positions, joined text and the whole span's log-ratio, at each of its positions."""
    for place in (21, 22):
        token = row(
            position=place, kl=None, kl_lower=None, log_ratio=None, span_start=21, span_end=23
        )
        inside = around((" x", b" x", 1.0), (" Zür", b" Z", 0.25), ("ich", b"i", None))
        text = said(token, "floor", inside)
        assert "Positions 21–22 “␣Zürich” are one span of 2 tokens" in text
        assert "whole span is +0.250" in text and "tokenizer" in text
        assert explain_kinds.needs_around(token) == (21, 22)


def test_plain_tokens_need_no_neighbours() -> None:
    """The usual click asks the run for one row."""
    assert explain_kinds.needs_around(row()) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\n\n", "2 line breaks"),
        ("\t", "1 tab"),
        ("\u200bzero", "U+200B zero width space"),
        ("\u202eabc", "U+202E right-to-left override"),
    ],
)
def test_what_cannot_be_seen_is_named(text: str, words: str) -> None:
    """Blanks are counted, invisible characters called by their names."""
    assert words in said(row(token=text), "floor")


def test_the_details_have_both_entropies_and_the_unseen_mass() -> None:
    """Each model's figure of each fact, with a line on what it means."""
    facts = {fact["label"]: fact for fact in panel_facts.build(row(), "floor")["facts"]}
    assert (facts["entropy of the list"]["one"], facts["entropy of the list"]["two"]) == (
        "0.500",
        "0.700",
    )
    assert (facts["entropy, all tokens"]["one"], facts["entropy, all tokens"]["two"]) == (
        "–",
        "0.900",
    )
    assert (facts["unseen"]["one"], facts["unseen"]["two"]) == ("0.0400", "0.0300")
    assert all(fact["help"] for fact in facts.values())


def test_whole_vocabularies_have_no_unseen_mass_in_the_details() -> None:
    """Under `full` nothing is unknown, so no bound and nothing to tighten."""
    made = panel_facts.build(row(), "full")
    words = " ".join([*(fact["label"] for fact in made["facts"]), *made["notes"]])
    assert "unseen" not in words and "tighten" not in words and "≥" not in words


def test_raw_data_says_nothing_of_a_second_model() -> None:
    """No log Q, no bound, and a row for what is known."""
    token = row(top2=None, rest2=None, kl=None, kl_lower=None, logprob2=None, rank2=None)
    made = panel_facts.build(token | {"entropy2": None, "entropy2_full": None}, None)
    assert made["notes"] == [] and all(fact["two"] == "–" for fact in made["facts"])


def unnamed_row():
    """Model 2's list holds � with .009, which may be the c that model 1 lists."""
    return row(
        top1=[candidate("a", 0.95, 1), candidate("c", 0.03, 3)],
        top2=[
            candidate("a", 0.95, 1),
            candidate("b", 0.03, 2),
            candidate("\ufffd", 0.009, -2),
            candidate("d", 0.0005, 4),
        ],
        token="a",
    )


def test_a_missing_token_may_be_a_candidate_that_the_file_does_not_identify() -> None:
    """Its cap is that candidate's probability, its rank may be that one's."""
    rows = {r["token"]: r for r in panel_data.build(unnamed_row(), "a", "b", "floor")["rows"]}
    assert rows["c"]["side2"]["text"] == "≤ 0.009"
    assert rows["c"]["side2"]["rank"] == "≥ 3"
    assert rows["c"]["delta"] == "≥ +1.20"
    assert "not identified among the 4 listed" in rows["c"]["says"]
    assert rows["b"]["side1"]["rank"] == "> 2", "model 1's list has no such candidate"


def test_of_a_candidate_of_unknown_identity_nothing_is_said_on_the_other_side() -> None:
    """No cap, no difference, no interval, no rank: it may be the other's first candidate."""
    rows = panel_data.build(unnamed_row(), "a", "b", "floor")["rows"]
    odd = next(r for r in rows if r["token"] == "\ufffd")
    assert odd["side1"] == {"p": None, "bounded": False, "beside": False} | dict.fromkeys(
        ("text", "log", "rank"), ""
    )
    assert odd["delta"] == "" and odd["term"] is None
    assert "it may be any token for model 1" in odd["says"] and "p·ln" not in odd["says"]


def test_the_sampled_token_is_not_called_absent_where_a_candidate_may_be_it() -> None:
    """A list with a candidate of unknown identity does not prove a token outside it."""
    text = said(unnamed_row() | {"token": "c", "censored": True, "rank2": -1}, "floor")
    assert "not identified in model 2's" in text and "outside" not in text
    assert "not identified in model 2's" not in said(row(censored=True, rank2=-1), "floor")


def test_certified_figures_are_rounded_down_and_limits_up() -> None:
    """2.3759 is at least 2.37, not 2.38; what may be .04044 is at most .041."""
    token = row(kl_lower=2.3759, kl_tail=2.3759)
    assert "≥ 2.37" in said(token, "floor")
    assert "tail bucket ≥ 2.37" in " ".join(panel_facts.build(token, "floor")["notes"])
    assert "≥ 2.37 nats" in said(token | {"kl": None}, "floor")
    top1 = [candidate(" Lyon", 0.9, 1), candidate(" Paris", 0.05956, 2)]
    made = token_panel.data(token | {"top1": top1}, "a", "b", "floor")
    only2 = next(r for r in made["rows"] if r["token"] == "␣a")
    assert only2["side1"]["text"] == "≤ 0.041" and only2["side1"]["log"] == "≤ −3.20"
    facts = {fact["label"]: fact for fact in made["facts"]}
    assert facts["most of one unseen"]["one"] == "0.0405"


def test_what_prints_below_the_bound_as_printed_runs_low() -> None:
    """Both are compared as they stand on the page: ≈ 2.38 is not below ≥ 2.37."""
    assert not explain.runs_low(2.3755, 2.3759)
    assert explain.runs_low(2.364, 2.3759)
    assert not explain.runs_low(None, 1.0)


def test_everything_the_browser_gets_is_plain_json() -> None:
    """No NaN, no infinity: the browser side cannot read them."""
    zero = candidate(" never", 0.5, 7) | {"logprob": -math.inf}
    token = row(kl=math.inf, log_ratio=math.inf, top2=[*row()["top2"], zero])
    json.dumps(token_panel.data(token, "a", "b", "full"), allow_nan=False)
    json.dumps(token_panel.data(token | {"top1": [zero]}, "a", "b", "floor"), allow_nan=False)
