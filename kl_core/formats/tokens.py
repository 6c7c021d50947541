"""Names in a file → `Token`: which style a response is written in, and a cache per style."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kl_core.formats.pieces import (
    Style,
    decode_piece,
    display,
    looks_special,
    surely_special,
)
from kl_core.records import Token

Identity = int | str | bytes
Known = tuple[Token, Identity, Identity]
_CACHE_LIMIT = 2_000_000
UNKNOWN_TOKEN = Token(text="?", data=None, id=None, piece="")


class TokenTable:
    """Interned tokens of one style: equal (piece, id, bytes) give the same object.

    Attributes:
        bad_bytes: how many distinct `bytes` fields were no list of byte values (not used).
    """

    def __init__(self, style: Style, literals: frozenset[str] = frozenset()) -> None:
        self.style = style
        self.literals = literals
        self.bad_bytes = 0
        self._cache: dict[object, Known] = {}
        # The last one of each string: comparing is cheaper than hashing the bytes.
        self._latest: dict[str, tuple[object, object, Known]] = {}

    def look_up(self, piece: str, token_id: object = None, raw: object = None) -> Known:
        """The token, its identity, and the identity it would have without its id.

        Identity is the id if there is one, else the bytes (a special token: its
        name), else the piece.
        """
        latest = self._latest.get(piece)
        if latest is not None and latest[1] == raw and latest[0] == token_id:
            return latest[2]
        number = token_id if token_id is None or type(token_id) is int else None
        key = (piece, number, tuple(raw) if type(raw) is list else None)
        try:
            known = self._cache.get(key)
        except TypeError:  # lists inside `bytes`
            return self._make(piece, number, raw)
        if known is None:
            known = self._make(piece, number, raw)
            if len(self._cache) > _CACHE_LIMIT:
                self._cache.clear()
                self._latest.clear()
            self._cache[key] = known
        self._latest[piece] = (token_id, raw, known)
        return known

    def _make(self, piece: str, token_id: object, raw: object) -> Known:
        number = _as_id(token_id)
        special = looks_special(piece) and piece not in self.literals
        data = b"" if special else self._bytes(piece, raw)
        text = piece if special or data is None else display(data)
        token = Token(text, data, number, piece, special)
        name: Identity = piece if special or data is None else data
        return token, (name if number is None else number), name

    def _bytes(self, piece: str, raw: object) -> bytes | None:
        """The file's bytes, unless they only spell the piece; else the piece decoded.

        U+FFFD stands for part of a character: bytes that only spell it say nothing.
        """
        given = None
        if isinstance(raw, list):
            try:
                given = bytes(raw)
            except (TypeError, ValueError):
                self.bad_bytes += 1
        elif raw is not None:
            self.bad_bytes += 1
        if given and given != piece.encode():
            return given
        if "\ufffd" in piece:
            return None
        if given and self.style is Style.PLAIN:
            return given
        return decode_piece(piece, self.style)


def _as_id(value: object) -> int | None:
    if type(value) is int and 0 <= value < 2**62:
        return value
    return None


class TokenTables:
    """The tables of one import, by style."""

    def __init__(self) -> None:
        self._tables: dict[tuple[Style, frozenset[str]], TokenTable] = {}

    def get(self, style: Style, literals: frozenset[str] = frozenset()) -> TokenTable:
        """The table of a style; `literals` are special-looking names meant as text."""
        key = (style, literals)
        if key not in self._tables:
            if len(self._tables) > 64:
                self._tables.clear()
            self._tables[key] = TokenTable(style, literals)
        return self._tables[key]


def literal_names(sampled: Sequence[str], text: str) -> frozenset[str]:
    """Special-looking pieces (`<s>`) that the response text shows to be ordinary text."""
    return frozenset(
        piece
        for piece in sampled[:-1]
        if piece and looks_special(piece) and not surely_special(piece) and piece in text
    )


def decide_style(sampled: Sequence[str], text: str, others: Iterable[str] = ()) -> Style:
    """The style in which a response's pieces are written.

    The response text decides wherever the sampled pieces can be told apart by it;
    otherwise the marks in all pieces, `others` (the candidates) included, are counted.
    """
    ordinary = [piece for piece in sampled if not looks_special(piece)]
    joined = "".join(ordinary)
    possible = list(Style)
    if not joined.isascii() or "<0x" in joined or " " in joined:
        wanted = _core(text)
        possible = [s for s in Style if _core(_join(ordinary, s)) == wanted] or possible
    if len(possible) == 1:
        return possible[0]
    return _most_marked([*sampled, *others], possible)


def _join(pieces: Sequence[str], style: Style) -> str:
    return b"".join([decode_piece(p, style) or b"" for p in pieces]).decode("utf-8", "replace")


def _core(text: str) -> str:
    """Text without outer white space and without a character cut in half at its end."""
    return text.strip().rstrip("\ufffd").rstrip()


def _most_marked(pieces: Sequence[str], possible: Sequence[Style]) -> Style:
    marks = {
        Style.PLAIN: sum([piece[:1] == " " for piece in pieces]),
        Style.BYTE_LEVEL: sum([piece[:1] in ("Ġ", "Ċ") for piece in pieces]),
        Style.SENTENCE_PIECE: sum([piece[:1] == "▁" or piece[:3] == "<0x" for piece in pieces]),
    }
    order = (Style.PLAIN, Style.BYTE_LEVEL, Style.SENTENCE_PIECE)
    return max([style for style in order if style in possible], key=lambda style: marks[style])


def tokens_match_text(tokens: Sequence[Token], text: str) -> bool:
    """True when the tokens' bytes give the response text, outer white space aside.

    Servers strip the text, leave special names in it or out of it, and cut a
    character in half at the length limit: none of these is a disagreement. Tokens
    of unknown bytes cannot disagree.
    """
    if any(token.data is None for token in tokens):
        return True
    wanted = _core(text)
    for with_names in (False, True):
        data = b"".join(
            [t.piece.encode() if with_names and t.special else t.data or b"" for t in tokens]
        )
        if _core(data.decode("utf-8", "replace")) == wanted:
            return True
    return False
