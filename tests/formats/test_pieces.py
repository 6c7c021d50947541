"""Pieces ↔ bytes: the byte alphabet, SentencePiece, plain text, display."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kl_core.formats.pieces import Style, decode_piece, display, encode_byte_level, looks_special


@given(data=st.binary(max_size=40))
def test_the_byte_alphabet_loses_no_byte(data):
    """Any bytes written in GPT-2's alphabet are read back as they were."""
    assert decode_piece(encode_byte_level(data), Style.BYTE_LEVEL) == data


@pytest.mark.parametrize(
    ("piece", "style", "data"),
    [
        ("Ġthe", Style.BYTE_LEVEL, b" the"),
        ("ĊĊ", Style.BYTE_LEVEL, b"\n\n"),
        ("ĠfÃ¼r", Style.BYTE_LEVEL, " für".encode()),
        ("âĢ", Style.BYTE_LEVEL, b"\xe2\x80"),
        ("a\xa0b", Style.BYTE_LEVEL, "a\xa0b".encode()),
        ("日本", Style.BYTE_LEVEL, "日本".encode()),
        ("▁the", Style.SENTENCE_PIECE, b" the"),
        ("▁▁", Style.SENTENCE_PIECE, b"  "),
        ("<0xE2>", Style.SENTENCE_PIECE, b"\xe2"),
        ("<0x0A>", Style.SENTENCE_PIECE, b"\n"),
        ("Ġ", Style.PLAIN, "Ġ".encode()),
        (" the", Style.PLAIN, b" the"),
        ("\\xe2\\x80", Style.PLAIN, b"\xe2\x80"),
        ("bytes:\\xe2\\x80", Style.PLAIN, b"\xe2\x80"),
        ("\\x41", Style.PLAIN, b"\\x41"),
        ("�", Style.PLAIN, None),
    ],
)
def test_a_piece_stands_for_its_bytes(piece, style, data):
    """Each style's marks are undone, and marks of another style are ordinary text."""
    assert decode_piece(piece, style) == data


def test_a_part_of_a_character_shows_as_hex():
    """Valid UTF-8 shows as text, what is only part of a character as <0xE2>."""
    assert display(b" caf\xc3\xa9 \xe2\x80") == " café <0xE2><0x80>"


@given(text=st.text(max_size=30))
def test_valid_text_shows_as_itself(text):
    """Display changes nothing that is whole text."""
    data = text.encode("utf-8", "replace")
    assert display(data).encode() == data


@pytest.mark.parametrize(
    ("piece", "special"),
    [
        ("<|eot_id|>", True),
        ("<end_of_turn>", True),
        ("<eos>", True),
        ("</s>", True),
        ("<｜end▁of▁sentence｜>", True),
        ("", True),
        ("<div>", False),
        ("<0x0A>", False),
        ("[", False),
        ("<", False),
        ("a<|b|>", False),
    ],
)
def test_control_tokens_are_known_by_name(piece, special):
    """The names control tokens go by are special; markup and byte pieces are not."""
    assert looks_special(piece) is special
