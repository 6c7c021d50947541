"""Bytes that the tokens do not give, from the response text."""

import pytest

from kl_core.formats.gaps import Gap, find_gaps
from kl_core.records import Token

LOST = "\ufffd"


def tokens(*pieces):
    """Text tokens; pieces with U+FFFD have unknown bytes, `<|…|>` are special."""
    made = []
    for piece in pieces:
        special = piece.startswith("<|")
        data = None if LOST in piece else b"" if special else piece.encode()
        made.append(Token(piece, data, None, piece, special))
    return made


@pytest.mark.parametrize(
    ("pieces", "text", "found"),
    [
        (["caf", LOST, LOST, " on"], "café on", [(1, 3, "é")]),
        (["Zo", LOST, LOST, ", at ", LOST, LOST, "a"], "Zoë, at éa", [(1, 3, "ë"), (4, 6, "é")]),
        ([" Hi", f" {LOST}", LOST], "Hi 😊", [(1, 3, " 😊")]),
        ([f" {LOST}", LOST, " x\n"], "é x", [(0, 2, " é")]),
        (["a", LOST, LOST, "é", "b"], "aééb", [(1, 3, "é")]),
        (["a", LOST, LOST, "<|end|>"], "aé", [(1, 3, "é")]),
        (["a", "<|im|>", LOST, LOST, "b"], "a<|im|>éb", [(2, 4, "é")]),
    ],
)
def test_the_text_between_known_parts_is_the_gap(pieces, text, found):
    """Outer white space and special names may be in the text or not."""
    assert find_gaps(tokens(*pieces), text) == [Gap(a, b, t.encode()) for a, b, t in found]


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (["caf", LOST, " on"], "the on"),
        (["caf", LOST, " on"], "caf on"),
        (["caf", LOST], f"caf{LOST}"),
        ([LOST, "<|im|>", LOST], "éé"),
        (["caf", LOST], ""),
        (["caf", "e"], "cafe"),
    ],
)
def test_a_text_that_does_not_settle_it_gives_nothing(pieces, text):
    """Other words, nothing between, a character broken in the text, two gaps side by side."""
    assert find_gaps(tokens(*pieces), text) == []


def test_what_stands_before_the_first_doubt_is_kept():
    """The second gap does not fit; the first is settled all the same."""
    found = find_gaps(tokens("a", LOST, "b", LOST, "nothing like it"), "aéb and more")
    assert found == [Gap(1, 2, "é".encode())]


def test_a_whole_word_shown_as_one_replacement_is_found_between_long_known_parts():
    """Some servers write a token that cannot be decoded as one U+FFFD, letters included."""
    found = find_gaps(tokens("I ", LOST, " by the old pier"), "I sit by the old pier")
    assert found == [Gap(1, 2, b"sit")]


def test_many_gaps_in_a_long_text_take_no_time():
    """Only one gap is searched at a time: no backtracking over all of them."""
    parts = ["日本"] + [LOST, LOST, "日"] * 2000
    text = "日本" + "本日" * 1999 + "本"
    assert len(find_gaps(tokens(*parts), text)) == 1999
