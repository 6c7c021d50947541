"""A local vocabulary seen through bytes: which ids can a token of a file stand for."""

from __future__ import annotations

from collections.abc import Sequence

from kl_core.formats.dists import logsumexp
from kl_core.formats.pieces import BYTE_PIECE, Style, decode_piece, display
from kl_core.measures import identified
from kl_core.records import Token, TokenDist

_UNIDENTIFIED = -2  # keys of candidates that may be any token count down from here
FOREIGN = 2**40  # keys of known candidates that no local id stands for count up from here


class Vocabulary:
    """id ↔ bytes of a tokenizer; special tokens live in a namespace of their own.

    `literal_ids` are added tokens whose piece is plain text, whatever the others are.
    `size` is the number of ids the model gives a probability to: added tokens beyond its
    output layer are not part of this vocabulary.

    Attributes:
        pieces: the vocabulary's strings by id, None for gaps.
        special_ids: ids of control tokens; they add no text.
        style: how the pieces are written, decided over the whole vocabulary.
        data: bytes by id; b"" for specials, None for gaps.
    """

    def __init__(
        self,
        pieces: Sequence[str | None],
        special_ids: frozenset[int],
        literal_ids: frozenset[int] = frozenset(),
        size: int | None = None,
    ) -> None:
        self.pieces = tuple(pieces)[:size]
        self.special_ids = special_ids
        self.style = _vocabulary_style(self.pieces)
        self.data: list[bytes | None] = []
        self._special_by_name: dict[str, int] = {}
        self._by_piece: dict[str, int] = {}
        by_bytes: dict[bytes, list[int]] = {}
        for number, piece in enumerate(self.pieces):
            if piece is None:
                self.data.append(None)
            elif number in special_ids:
                self.data.append(b"")
                if piece:  # without a name it is a gap of the output layer
                    self._special_by_name.setdefault(piece, number)
            else:
                literal = number in literal_ids
                data = piece.encode() if literal else decode_piece(piece, self.style)
                self.data.append(data)
                self._by_piece.setdefault(piece, number)
                if data:
                    by_bytes.setdefault(data, []).append(number)
        self._by_bytes = {
            data: tuple(sorted(ids, key=lambda n: (self._is_byte_piece(n), n)))
            for data, ids in by_bytes.items()
        }
        self._tokens: dict[int, Token] = {}

    def _is_byte_piece(self, number: int) -> bool:
        piece = self.pieces[number]
        return piece is not None and BYTE_PIECE.fullmatch(piece) is not None

    def token(self, number: int) -> Token:
        """The token of an id, one object per id; an id without a piece shows as `<id 7>`."""
        known = self._tokens.get(number)
        if known is None:
            piece = self.pieces[number] if 0 <= number < len(self.pieces) else None
            data = self.data[number] if piece is not None else None
            special = number in self.special_ids
            shown = f"<id {number}>" if piece is None else piece
            text = shown if special or data is None else display(data)
            known = self._tokens[number] = Token(text, data, number, shown, special)
        return known

    def resolve(self, token: Token) -> tuple[int, ...]:
        """The local ids a token of a file can stand for, the most exact first; () for none.

        In order: its id, if the string there is the same; a special by its exact
        name; the vocabulary's piece; the bytes. () too for a token of unknown identity.
        """
        number = token.id
        if number is not None and 0 <= number < len(self.pieces) and self._same(number, token):
            return (number,)
        if token.special:
            found = self._special_by_name.get(token.piece)
            return () if found is None else (found,)
        if token.data is None:
            return ()
        found = self._by_piece.get(token.piece)
        if found is not None and self.data[found] == token.data:
            return (found,)
        return self._by_bytes.get(token.data, ())

    def _same(self, number: int, token: Token) -> bool:
        if token.special or number in self.special_ids:
            return token.special and self.pieces[number] == token.piece
        if token.data is None:
            return self.pieces[number] == token.piece
        return self.data[number] == token.data

    def text_bytes(self, ids: Sequence[int]) -> list[bytes]:
        """The bytes each id adds to a text; b"" for specials and unknown ids."""
        return [(self.data[n] or b"") if 0 <= n < len(self.data) else b"" for n in ids]


def _vocabulary_style(pieces: Sequence[str | None]) -> Style:
    """The style with more pieces in it; a vocabulary with no marks is plain text."""
    named = [piece for piece in pieces if piece]
    byte_level = sum([piece[0] in "ĠĊ" for piece in named])
    sentence = sum([piece[0] == "▁" or piece[:3] == "<0x" for piece in named])
    if not byte_level and not sentence:
        return Style.PLAIN
    return Style.BYTE_LEVEL if byte_level >= sentence else Style.SENTENCE_PIECE


def resolve_dist(dist: TokenDist, vocab: Vocabulary) -> TokenDist:
    """A file's candidates under local ids, which become the list's `keys`.

    Candidates that stand for one id are combined by logsumexp. A candidate that no local
    id stands for keeps its token and gets a key of its own: FOREIGN and above where it
    is known, -2 and below where it may be any token. The top-k part stays in falling order.
    """
    places: dict[int, int] = {}
    tokens: list[Token] = []
    values: list[list[float]] = []
    listed = 0
    for n, (token, logprob) in enumerate(zip(dist.tokens, dist.logprobs, strict=True)):
        found = vocab.resolve(token)
        key = found[0] if found else FOREIGN + n if identified(token) else _UNIDENTIFIED - n
        at = places.setdefault(key, len(values))
        if at == len(values):
            tokens.append(vocab.token(key) if found else token)
            values.append([])
            listed += n < dist.listed
        values[at].append(logprob)
    logprobs = [logsumexp(each) for each in values]
    order = sorted(range(listed), key=lambda n: -logprobs[n]) + list(range(listed, len(values)))
    keys = list(places)
    return TokenDist(
        tuple([tokens[n] for n in order]),
        tuple([logprobs[n] for n in order]),
        listed,
        keys=tuple([keys[n] for n in order]),
    )
