"""API tokens against a local vocabulary: by bytes, with spans and reasons."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kl_core.formats.align import Segment, Vocabulary, align, resolve_dist
from kl_core.formats.pieces import Style
from kl_core.formats.vocabulary import FOREIGN
from kl_core.records import Token, TokenDist

LLAMA = Vocabulary(
    [
        "<|eot_id|>",
        "H",
        "i",
        "Hi",
        "Ġ",
        "Ġt",
        "here",
        "Ġthere",
        "t",
        "â",
        "Ģ",
        "Ļ",
        None,
        "Ċ",
        "âĢĻ",
    ],
    frozenset({0}),
)
GEMMA = Vocabulary(["<eos>", "<0x0A>", "\n", "▁a", "a", "▁", "<0xE2>"], frozenset({0}))


def token(text: str, number: int | None = None, piece: str | None = None) -> Token:
    return Token(text, text.encode(), number, text if piece is None else piece)


def special(name: str) -> Token:
    return Token(name, b"", None, name, special=True)


def by_characters(text: str) -> list[int]:
    """An encoder that knows the one- and two-byte pieces of LLAMA only."""
    known = {"H": 1, "i": 2, " ": 4, "t": 8}
    ids: list[int] = []
    for char in text:
        ids += [known[char]] if char in known else [14] if char == "\u2019" else []
    return ids


def refuse(text: str) -> list[int]:
    raise AssertionError(text)


def test_the_style_is_of_the_vocabulary():
    """Bytes follow from the pieces; specials have none; gaps are unknown."""
    assert LLAMA.style is Style.BYTE_LEVEL
    assert GEMMA.style is Style.SENTENCE_PIECE
    assert LLAMA.data[7] == b" there"
    assert LLAMA.data[9] == b"\xe2"
    assert GEMMA.data[6] == b"\xe2"
    assert LLAMA.data[12] is None
    assert LLAMA.data[0] == b""


def test_a_local_id_is_one_token_object():
    """Tokens are interned, show text, and a part of a character shows as hex."""
    assert LLAMA.token(7) is LLAMA.token(7)
    assert LLAMA.token(7) == Token(" there", b" there", 7, "Ġthere")
    assert LLAMA.token(9).text == "<0xE2>"
    assert LLAMA.token(0).special
    assert LLAMA.token(99).text == "<id 99>"


def test_an_id_counts_only_when_its_string_agrees():
    """Ids of another vocabulary are noticed and the bytes are used."""
    assert LLAMA.resolve(token("Hi", 3)) == (3,)
    assert LLAMA.resolve(token("Hi", 7)) == (3,)
    assert LLAMA.resolve(token("Hi", 10**9)) == (3,)


def test_specials_are_matched_by_exact_name():
    """A special never stands for text, and text never for a special."""
    assert LLAMA.resolve(special("<|eot_id|>")) == (0,)
    assert LLAMA.resolve(special("<|im_end|>")) == ()
    assert LLAMA.resolve(token("<|eot_id|>")) == ()
    assert LLAMA.resolve(Token("<|im_end|>", b"", 0, "<|im_end|>", special=True)) == ()


def test_colliding_bytes_give_all_ids_the_real_piece_first():
    """Newline is a piece and a byte piece in SentencePiece: both are known."""
    assert GEMMA.resolve(Token("\n", b"\n", None, "\\n")) == (2, 1)
    assert GEMMA.resolve(Token("\n", b"\n", None, "<0x0A>")) == (1,)
    assert GEMMA.resolve(token("\n")) == (2,)


def test_a_plain_letter_is_not_a_mark():
    """The letter `Ġ` in plain text is not the piece that means a space."""
    assert LLAMA.resolve(token("Ġ")) == ()
    assert LLAMA.resolve(token(" ")) == (4,)


def test_tokens_that_resolve_are_never_encoded_again():
    """The sampled cut into tokens is kept, whatever the tokenizer would prefer."""
    found = align([token("H"), token("i"), token(" there"), special("<|eot_id|>")], LLAMA, refuse)
    assert found.ids == (1, 2, 7, 0)
    assert found.coverage == 1.0
    assert found.reasons == (None,) * 4


def test_other_cuts_become_spans():
    """`Hit` and ` t` are unknown here: equal boundaries are one to one, the rest spans."""
    found = align([token("H"), token("it"), token(" "), token("t")], LLAMA, by_characters)
    assert found.ids == (1, 2, 8, 4, 8)
    assert found.segments == (
        Segment(0, 1, 0, 1),
        Segment(1, 2, 1, 3),
        Segment(2, 3, 3, 4),
        Segment(3, 4, 4, 5),
    )
    assert found.coverage == 0.75


def test_a_character_cut_in_two_is_one_span():
    """Two file tokens share a character that is one token here."""
    halves = [Token("a", b"\xe2\x80", None, "a"), Token("b", b"\x99", None, "b")]
    found = align([token("H"), *halves], LLAMA, by_characters)
    assert found.ids == (1, 14)
    assert found.segments[1:] == (Segment(1, 3, 1, 2),)


def test_an_unknown_special_costs_its_position_only():
    """The reason names the piece; the tokens around it are matched."""
    found = align([token("Hi"), special("<|im_end|>"), token("\n")], LLAMA, refuse)
    assert found.ids == (3, 13)
    assert found.reasons[0] is None
    assert "<|im_end|>" in found.reasons[1]
    assert found.reasons[2] is None
    assert found.coverage == 2 / 3


def test_text_that_does_not_come_back_is_lost_from_there_on():
    """The tokenizer drops a letter: the positions before it are scored, later ones not."""
    found = align([token("Hi"), token("xy"), token("t")], LLAMA, by_characters)
    assert found.reasons[0] is None
    assert "does not give this text back" in found.reasons[1]
    assert found.reasons[2] == found.reasons[1]
    assert found.ids == (1, 2)


def test_a_tokenizer_that_changes_letters_is_noticed():
    """Equal lengths are not equal bytes: the changed token is not matched."""
    found = align([token("H"), token("X"), token("t")], LLAMA, lambda text: [1, 2, 8])
    assert found.reasons[0] is None
    assert "does not give this text back" in found.reasons[1]
    assert found.ids == (1,)


def test_a_response_that_ends_inside_a_character_keeps_its_start():
    """A character cut off by the length limit cannot be encoded; the rest can."""
    found = align([token("it"), Token("x", b"\xe2\x80", None, "x")], LLAMA, by_characters)
    assert found.reasons[0] is None
    assert "inside a character" in found.reasons[1]


def test_unknown_bytes_lose_what_follows():
    """A token without bytes ends the known text; its reason names it."""
    unknown = Token("\ufffd", None, None, "\ufffd")
    found = align([token("Hi"), unknown, token("t"), special("<|eot_id|>")], LLAMA, by_characters)
    assert found.reasons[0] is None
    assert all("not known" in reason for reason in found.reasons[1:])


def test_the_space_a_tokenizer_adds_is_no_text():
    """SentencePiece writes `a` as `▁a` at the start: still the same text."""
    odd = Token("aa", b"aa", None, "aa")
    found = align([odd], GEMMA, lambda text: [3, 4])
    assert found.segments == (Segment(0, 1, 0, 2),)
    assert found.reasons == (None,)


@given(
    text=st.text("Hit ", min_size=1, max_size=30),
    cuts=st.sets(st.integers(1, 29)),
)
def test_segments_tile_the_response_with_equal_bytes(text, cuts):
    """Every token lies in one segment and both sides of a segment are the same bytes."""
    ends = [*sorted(cut for cut in cuts if cut < len(text)), len(text)]
    parts = [text[a:b] for a, b in zip([0, *ends], ends, strict=False)]
    found = align([token(part) for part in parts], LLAMA, by_characters)
    at = local = 0
    for segment in found.segments:
        assert (segment.api_start, segment.local_start) == (at, local)
        at, local = segment.api_end, segment.local_end
        ids = found.ids[segment.local_start : segment.local_end]
        ours = b"".join(LLAMA.text_bytes(ids))
        assert ours == "".join(parts[segment.api_start : segment.api_end]).encode()
    assert (at, local) == (len(parts), len(found.ids))


def test_candidates_of_one_id_are_added_up():
    """logsumexp for the same id, a key of its own for each that no local id stands for."""
    names = [token("Hi"), token("zz"), Token("Hi", b"Hi", None, "other"), token("yy"), token("t")]
    logprobs = tuple(math.log(p) for p in (0.3, 0.25, 0.2, 0.1, 0.01))
    found = resolve_dist(TokenDist(tuple(names), logprobs, 4), LLAMA)
    assert found.keys == (3, FOREIGN + 1, FOREIGN + 3, 8)
    assert found.tokens[0] is LLAMA.token(3)
    assert found.tokens[1] is names[1]
    assert found.listed == 3
    np.testing.assert_allclose(np.exp(found.logprobs), [0.5, 0.25, 0.1, 0.01])


def test_an_empty_response_has_no_coverage():
    """Nothing to align gives nothing, without an error."""
    found = align([], LLAMA, refuse)
    assert (found.ids, found.segments, found.coverage) == ((), (), 0.0)


def test_unknown_bytes_are_read_off_the_text_and_become_one_span():
    """Two halves of `\u2019` written as U+FFFD: a span; what follows keeps its own ids."""
    unknown = Token("\ufffd", None, None, "\ufffd")
    tokens = [token("Hi"), unknown, unknown, token("t"), special("<|eot_id|>")]
    found = align(tokens, LLAMA, by_characters, "Hi\u2019t")
    assert found.ids == (3, 14, 8, 0)
    assert found.segments == (
        Segment(0, 1, 0, 1),
        Segment(1, 3, 1, 2),
        Segment(3, 4, 2, 3),
        Segment(4, 5, 3, 4),
    )
    assert found.reasons == (None,) * 5


def test_the_space_a_tokenizer_adds_to_a_gap_is_taken_off():
    """SentencePiece would put a space into the middle of the text."""
    unknown = Token("\ufffd", None, None, "\ufffd")
    vocab = Vocabulary(["a", "▁", "é", "▁a"], frozenset())
    found = align([token("a"), unknown, token("a")], vocab, lambda text: [1, 2], "aéa")
    assert found.ids == (0, 2, 0)


def test_a_token_of_unknown_bytes_is_no_local_token_of_the_same_look():
    """A vocabulary may hold U+FFFD itself: a lost character is not that token."""
    vocab = Vocabulary(["a", "▁b", "\ufffd"], frozenset())
    assert vocab.resolve(Token("\ufffd", None, None, "\ufffd")) == ()
    assert vocab.resolve(Token("\ufffd", None, 2, "\ufffd")) == (2,)


def test_candidates_of_unknown_identity_have_negative_keys_of_their_own():
    """What may be any token is told apart from what no local id stands for."""
    unknown, nameless = Token("\ufffd", None, None, "\ufffd"), Token("", b"", None, "", True)
    names = (unknown, token("zz"), unknown, nameless, token("Hi"))
    found = resolve_dist(TokenDist(names, (-1.0, -2.0, -3.0, -4.0, -5.0), 5), LLAMA)
    assert [key <= -2 for key in found.keys] == [True, False, True, True, False]
    assert len(set(found.keys)) == 5
    assert found.keys[1] >= FOREIGN


def test_ids_beyond_the_output_layer_stand_for_nothing():
    """A tokenizer may have added tokens that the model gives no probability to."""
    vocab = Vocabulary(["a", "Ġb", "zz", "<|x|>"], frozenset({3}), frozenset({2}), size=2)
    assert vocab.resolve(token("zz", 2)) == ()
    assert vocab.resolve(special("<|x|>")) == ()
    assert vocab.resolve(token(" b")) == (1,)
