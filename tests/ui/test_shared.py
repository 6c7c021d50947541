"""What the pages say of a free comparison."""

from __future__ import annotations

from kl_core.records import NO_RESPONSES, NOT_ASKED, NOT_REACHED
from kl_core.ui import explain, response_header, shared

REQUEST = {"against": "/q"}
ROW = {
    "tokens": 40,
    "scored_tokens": 9,
    "coverage": 0.225,
    "mean_kl": 0.1,
    "mean_lower": 0.1,
    "max_kl": 1.0,
    "median_kl": 0.0,
    "censored": 0,
}


def test_the_caption_says_how_much_is_shared_and_what_the_means_are_of():
    """Nothing for other runs; a sentence of its own where nothing is shared."""
    summary = {"tokens": 1440, "scored_tokens": 867}
    said = shared.caption(summary, REQUEST, 513)
    assert "867 of 1,440 positions are shared (513 distinct contexts), no call" in said
    assert "over the shared positions alone" in said
    assert "share no position" in shared.caption({"tokens": 4, "scored_tokens": 0}, REQUEST, 0)
    assert not shared.caption(summary, {}, None)


def test_a_responses_head_tells_its_shared_positions():
    """In place of the share that is scored."""
    figures = {label: value for value, label, _ in response_header.stats(ROW, "floor", free=True)}
    assert figures["tokens shared, 22.5 %"] == "9 of 40"
    assert "tokens, 22.5 % scored" in [s[1] for s in response_header.stats(ROW, "floor")]


def test_positions_that_were_not_reached_have_a_sentence_and_a_word_of_their_own():
    """Not "no KL", and not "not asked"."""
    token = {"kl": None, "kl_lower": None, "span_start": None, "reason": NOT_REACHED}
    headline = "".join(text for text, _ in explain._headline(token, "floor", (), ""))
    assert headline.startswith("Model 2 never came to this text: none of its responses")
    other = explain._headline(token | {"reason": NO_RESPONSES}, "floor", (), "")
    assert "nothing to compare with" in other[1][0]
    assert shared.words([None, NOT_REACHED])[0] == "not reached by model 2"
    assert shared.words([None, NOT_ASKED])[0] == "not asked"
