"""Which style a response is written in, and the tokens it gives."""

from hypothesis import given
from hypothesis import strategies as st

from kl_core.formats.pieces import Style, encode_byte_level
from kl_core.formats.tokens import TokenTable, decide_style, literal_names, tokens_match_text


def test_the_text_decides_between_styles():
    """The same mark is a space in one response and a letter in another."""
    assert decide_style(["Hi", "Ġthere"], "Hi there") is Style.BYTE_LEVEL
    assert decide_style(["Hi", "Ġthere"], "HiĠthere") is Style.PLAIN
    assert decide_style(["▁Hi", "▁there"], "Hi there") is Style.SENTENCE_PIECE
    assert decide_style(["Hi", " there"], "Hi there", ["Ġodd"]) is Style.PLAIN


def test_candidates_decide_where_the_sampled_pieces_cannot():
    """A one-word response is read by the marks of its candidates."""
    assert decide_style(["Hi"], "Hi", ["Hi", "ĠHi"]) is Style.BYTE_LEVEL
    assert decide_style(["Hi"], "Hi", ["Hi", "▁Hi"]) is Style.SENTENCE_PIECE
    assert decide_style(["Hi"], "Hi", ["Hi", " Hi"]) is Style.PLAIN
    assert decide_style(["é"], "é", ["▁Hi"]) is Style.SENTENCE_PIECE


def test_mojibake_without_any_space_is_byte_level():
    """A response of one accented word is decoded because the text says so."""
    assert decide_style(["Ã¼", "ber"], "über") is Style.BYTE_LEVEL


def test_bytes_of_the_piece_are_not_the_bytes_of_the_text():
    """Nebius sends the bytes of the string `Ġan`; the token adds b" an"."""
    token = TokenTable(Style.BYTE_LEVEL).look_up("Ġan", None, list("Ġan".encode()))[0]
    assert (token.data, token.text, token.piece) == (b" an", " an", "Ġan")


def test_bytes_of_the_text_are_believed():
    """A part of a character, whose string says nothing, is known by its bytes."""
    table = TokenTable(Style.PLAIN)
    first = table.look_up("�", None, [0xE2, 0x80])[0]
    second = table.look_up("�", None, [0x99])[0]
    assert (first.data, first.text) == (b"\xe2\x80", "<0xE2><0x80>")
    assert second.data == b"\x99"


def test_equal_tokens_are_one_object():
    """Memory stays small: a token is made once per (piece, id, bytes)."""
    table = TokenTable(Style.PLAIN)
    assert table.look_up("a", 1, [97]) is table.look_up("a", 1, [97])
    assert table.look_up("a", 1, [97]) is not table.look_up("a", 2, [97])


def test_bad_bytes_are_counted_and_not_used():
    """A `bytes` field that holds no byte values is counted; the piece is decoded."""
    table = TokenTable(Style.PLAIN)
    for raw in ([300], ["a"], [[1]], "abc", [1.5]):
        token = table.look_up("ab", 7, raw)[0]
        assert (token.data, token.id) == (b"ab", 7)
    assert table.bad_bytes == 5


def test_a_special_name_that_the_text_shows_is_text():
    """`<s>` inside a response about HTML is text; a closing `</s>` is the end token."""
    pieces = ["Use", " ", "<s>", "x", "</s>"]
    assert literal_names(pieces, "Use <s>x") == {"<s>"}
    table = TokenTable(Style.PLAIN, frozenset({"<s>"}))
    assert table.look_up("<s>")[0].data == b"<s>"
    assert table.look_up("</s>")[0].special


@given(data=st.binary(min_size=1, max_size=60), cuts=st.sets(st.integers(1, 59)))
def test_bytes_joined_over_tokens_give_the_text(data, cuts):
    """However a text's bytes are cut into pieces, the tokens' bytes give it back."""
    text = data.decode("utf-8", "ignore")
    whole = text.encode()
    ends = [*sorted(cut for cut in cuts if cut < len(whole)), len(whole)]
    starts = [0, *ends[:-1]]
    table = TokenTable(Style.BYTE_LEVEL)
    pieces = [whole[a:b] for a, b in zip(starts, ends, strict=True) if b > a]
    tokens = [table.look_up(encode_byte_level(piece))[0] for piece in pieces]
    literal = [t for t in tokens if t.special]
    if not literal:
        assert b"".join([token.data for token in tokens]) == whole
        assert tokens_match_text(tokens, text)
        assert not tokens_match_text(tokens, text + "and more")


def test_the_bytes_of_a_replaced_character_are_not_its_bytes():
    """U+FFFD and its own UTF-8 say nothing; real bytes and byte-level pieces are believed."""
    spelled = list("\ufffd".encode())
    plain, level = TokenTable(Style.PLAIN), TokenTable(Style.BYTE_LEVEL)
    assert plain.look_up("\ufffd", None, spelled)[0].data is None
    assert plain.look_up(" \ufffd", None, list(" \ufffd".encode()))[0].data is None
    assert level.look_up("\ufffd", None, spelled)[0].data is None
    assert level.look_up("\ufffd")[0].data is None
    assert plain.look_up("\ufffd", None, [0xC3])[0].data == b"\xc3"
    assert level.look_up("ï¿½")[0].data == "\ufffd".encode()
