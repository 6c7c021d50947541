"""Candidates' bytes and pieces in few columns: what follows from the text is not stored.

A candidate list has a form, a set of rules that all its candidates obey; only where no rule
fits is the column itself stored. Nothing is approximated: a rule holds exactly or is not used.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from kl_core.formats.pieces import encode_byte_level
from kl_core.records import Token, TokenDist

DATA_IS_TEXT = 1  # the bytes are the text's UTF-8, none for a special token
PIECE_IS_TEXT = 2
PIECE_IS_BYTE_LEVEL = 4  # `Ġthe`
PIECE_IS_SENTENCE_PIECE = 8  # `▁the`
_PIECES = PIECE_IS_TEXT | PIECE_IS_BYTE_LEVEL | PIECE_IS_SENTENCE_PIECE
EVERY = DATA_IS_TEXT | _PIECES
_MOST_KNOWN = 1 << 17


class Forms:
    """Finds the form of candidate lists; readers share Token objects, so these are told by `id`."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Token, int]] = {}

    def of(self, dist: TokenDist) -> int:
        """The rules that hold for every candidate of a list."""
        form = EVERY
        for token in dist.tokens:
            known = self._known.get(id(token))
            form &= known[1] if known is not None else self._learn(token)
        return form

    def _learn(self, token: Token) -> int:
        if len(self._known) > _MOST_KNOWN:
            self._known.clear()
        form = _rules(token)
        self._known[id(token)] = (token, form)  # holding the token keeps its id its own
        return form


def _rules(token: Token) -> int:
    form = DATA_IS_TEXT if token.data == _text_bytes(token.text, token.special) else 0
    for rule in (PIECE_IS_TEXT, PIECE_IS_BYTE_LEVEL, PIECE_IS_SENTENCE_PIECE):
        if token.piece == _piece(rule, token.text, token.data, token.special):
            form |= rule
    return form


def stored_pieces(dist: TokenDist, form: int) -> list[str] | None:
    """The pieces where no rule gives them."""
    return None if form & _PIECES else [token.piece for token in dist.tokens]


def stored_data(dist: TokenDist, form: int) -> list[bytes | None] | None:
    """The bytes where no rule gives them."""
    return None if form & DATA_IS_TEXT else [token.data for token in dist.tokens]


def tokens(
    texts: Sequence[str],
    ids: Sequence[int | None],
    special: Sequence[bool],
    form: int,
    pieces: Sequence[str] | None,
    data: Sequence[bytes | None] | None,
) -> tuple[Token, ...]:
    """The candidates of a list, from what was stored of them."""
    if pieces is None and data is None:
        return tuple(map(_token, texts, ids, special, [form] * len(texts)))
    size = range(len(texts))
    known = [data[n] if data else _text_bytes(texts[n], special[n]) for n in size]
    named = [pieces[n] if pieces else _piece(form, texts[n], known[n], special[n]) for n in size]
    return tuple([Token(texts[n], known[n], ids[n], named[n], special[n]) for n in size])


@lru_cache(maxsize=_MOST_KNOWN)
def _token(text: str, number: int | None, special: bool, form: int) -> Token:
    data = _text_bytes(text, special)
    return Token(text, data, number, _piece(form, text, data, special), special)


def _text_bytes(text: str, special: bool) -> bytes:
    return b"" if special else text.encode("utf-8", "replace")


def _piece(form: int, text: str, data: bytes | None, special: bool) -> str:
    """The piece by the first rule of a form."""
    if form & PIECE_IS_TEXT or special:
        return text
    if form & PIECE_IS_BYTE_LEVEL:
        return encode_byte_level(data) if data is not None else text
    return text.replace(" ", "▁")
