"""What model 2 says at one position as a TokenDist over its own vocabulary."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from kl_core.formats.align import Vocabulary
from kl_core.formats.dists import MASS_LIMIT, OUTSIDE, UnusableError
from kl_core.formats.pieces import BYTE_PIECE, Style, decode_piece, display, encode_byte_level
from kl_core.formats.tokens import TokenTable, decide_style, literal_names
from kl_core.measures import SAME_LOGPROB
from kl_core.models.work import Scores
from kl_core.records import Ints, Token, TokenDist
from kl_core.sources.calls import Candidate
from kl_core.sources.scored_text import ScoredText

ROUNDING = 1e-3  # a server's log-probability this far above 0 is a rounded 0
REPLACED = "\ufffd"
CLEANED = (".", ",", "?", "!", "'", "n't")  # decoders take the blank before these away
_NAMELESS = -2  # keys of candidates that may be any token count down from here
COLLAPSED = "model 2's list has one name for several tokens, so some of it is missing"


class OtherNamesError(UnusableError):
    """A list in which the server names other tokens than the tokenizer has for the ids."""


def dist_of(
    scores: Scores, row: int, vocab: Vocabulary, chosen_id: int, wanted: Ints | None
) -> TokenDist:
    """Top-k first, then what else is known: the candidates asked for, the chosen token.

    Args:
        row: the position; ids of -1 fill a list that is shorter than others, at its end.
        wanted: [T, m] ids whose log-probabilities were asked for, -1 for none; a NaN in
            `scores.wanted` is one the model did not tell.
    """
    ids = [number for number in scores.top_ids[row].tolist() if number >= 0]
    listed = len(ids)
    logprobs = scores.top_logprobs[row].tolist()[:listed]
    known = set(ids)
    extras: list[tuple[int, float]] = []
    if wanted is not None:
        extras = list(zip(wanted[row].tolist(), scores.wanted[row].tolist(), strict=True))
    extras.append((chosen_id, float(scores.chosen[row])))
    for number, logprob in extras:
        if number >= 0 and number not in known and not math.isnan(logprob):
            known.add(number)
            ids.append(number)
            logprobs.append(logprob)
    tokens = tuple([vocab.token(number) for number in ids])
    return TokenDist(tokens, tuple(logprobs), listed, keys=tuple(ids))


def id_matrix(rows: Iterable[Iterable[int]], count: int) -> Ints:
    """Ragged candidate ids as [T, m], negative and missing ones as -1."""
    lists = [[number for number in row if number >= 0] for row in rows]
    width = max((len(row) for row in lists), default=0)
    matrix = np.full((count, width), -1, dtype=np.int64)
    for index, row in enumerate(lists):
        matrix[index, : len(row)] = row
    return matrix


def checked_logprob(value: float) -> float:
    """A server's log-probability, a rounded 0 as 0 and NaN as it is.

    Raises:
        UnusableError: it is above 0.
    """
    if value > ROUNDING:
        raise UnusableError(f"model 2's server gave a log-probability of {value:.4g}, above 0")
    return min(value, 0.0) if not math.isnan(value) else value


class ServerLists:
    """A server's answer about token ids, held against the local vocabulary.

    Args:
        text: what the ids stand for; with the names it tells how the server writes tokens.
    """

    def __init__(self, vocab: Vocabulary, scored: ScoredText, text: str) -> None:
        self._vocab, self._scored = vocab, scored
        sampled = [each.token for each in scored.tokens]
        others = (each.token for top in scored.tops for each in top)
        style = decide_style(sampled, text, others)
        self._table = TokenTable(style, literal_names(sampled, text))
        self._longest = max((len(top) for top in scored.tops), default=0)
        self._with_blank = self._without_blank = 0
        for each in [*scored.tokens, *(each for top in scored.tops for each in top)]:
            self._count_blank(each)

    def _count_blank(self, each: Candidate) -> None:
        text = self._text(each.id)
        if text is None or text[:1] != " " or len(text.strip()) == 0:
            return
        bare = text[1:]
        self._without_blank += each.token == bare
        self._with_blank += each.token != bare and each.token.lstrip(" Ġ▁") == text.lstrip()

    def _text(self, number: int | None) -> str | None:
        """What an id adds to a text; None for part of a character or no such token."""
        if number is None or not 0 <= number < len(self._vocab.data):
            return None
        try:
            return (self._vocab.data[number] or b"").decode()
        except UnicodeDecodeError:
            return None

    def contradicted(self) -> tuple[int, int]:
        """How many of the names are those of other tokens, and how many names with ids came."""
        wrong = named = 0
        for row, (token, top) in enumerate(
            zip(self._scored.tokens, self._scored.tops, strict=True)
        ):
            for each in (token, *top):
                if each.token and each.id is not None:
                    named += 1
                    wrong += self.wrong(each, row)
        return wrong, named

    def wrong(self, each: Candidate, row: int) -> bool:
        """Whether the server's name of an id is that of another token than the vocabulary's.

        Part of a character may be written in any way that shows one, a token as text or as a
        piece, a special one by its name; without a name nothing is said. The blank before a
        token may be lost where decoders lose it.
        """
        if not each.token or each.id is None:
            return False
        if not 0 <= each.id < len(self._vocab.pieces):
            return True
        token, name = self._vocab.token(each.id), each.token
        if token.special or token.data is None:
            return name.strip() != token.piece.strip()
        if name in (token.piece, display(token.data)):
            return False
        text = self._text(each.id)
        if text is None:
            return not _shows_part(name, token.data)
        byte = BYTE_PIECE.fullmatch(name)
        if byte is not None and bytes([int(byte[1], 16)]) == token.data:
            return False
        whole = name.replace(REPLACED, "") or name  # a character that was begun before it
        if whole in (text, encode_byte_level(token.data), text.replace(" ", "▁")):
            return False
        return not (text == " " + name and self._may_lose_blank(name, row))

    def _may_lose_blank(self, name: str, row: int) -> bool:
        return row == 0 or not self._with_blank or name.startswith(CLEANED)

    def dist(self, row: int, own_id: int, own: float) -> tuple[TokenDist | None, float]:
        """The list of a position, and the log-probability of its own token.

        Args:
            own: of the token `own_id`; NaN where the server did not tell: it may be in the list.

        Returns:
            None for a list that the server did not give. A candidate whose name does not tell
            which token it is keeps its probability under a key of its own, -2 and below.

        Raises:
            UnusableError: the list cannot be used, with the reason.
        """
        top = [each for each in self._scored.tops[row] if not each.logprob <= OUTSIDE]
        if not top:
            return None, own
        self._check(top, row)
        keys = self._keys(top, row, own_id, own)
        if len(set(keys)) < len(keys):
            twice = next(each for n, each in enumerate(top) if keys[n] in keys[:n])
            raise UnusableError(f"model 2's list has the candidate {twice.token!r} twice")
        order = sorted(range(len(top)), key=lambda n: -top[n].logprob)
        values = [checked_logprob(top[n].logprob) for n in order]
        tokens = [self._token(top[n], keys[n]) for n in order]
        numbers = [keys[n] for n in order]
        if own_id in numbers:
            own = values[numbers.index(own_id)] if math.isnan(own) else own
        elif not math.isnan(own):
            tokens.append(self._vocab.token(own_id))
            values.append(own)
            numbers.append(own_id)
        mass = sum(map(math.exp, values))
        if mass > MASS_LIMIT:
            raise UnusableError(f"model 2's list adds up to a probability of {mass:.4g}, above 1")
        return TokenDist(tuple(tokens), tuple(values), len(top), keys=tuple(numbers)), own

    def _check(self, top: Sequence[Candidate], row: int) -> None:
        size = len(self._vocab.pieces)
        for each in top:
            if each.id is not None and not 0 <= each.id < size:
                raise UnusableError(
                    f"model 2's list has the token id {each.id}, the tokenizer has {size} ids"
                )
            if math.isnan(each.logprob):
                raise UnusableError("a log-probability in model 2's list is not a number")
        wrong = [each for each in top if self.wrong(each, row)]
        if wrong:
            number = wrong[0].id
            assert number is not None
            raise OtherNamesError(
                f"{len(wrong)} of the {len(top)} candidates in model 2's list have other names "
                f"than in the tokenizer: {wrong[0].token!r} has the id of "
                f"{self._vocab.token(number).piece!r}"
            )

    def _keys(self, top: Sequence[Candidate], row: int, own_id: int, own: float) -> list[int]:
        """Ids of the candidates; -2 and below where a name may be that of several tokens."""
        keys = []
        for n, each in enumerate(top):
            found = (each.id,) if each.id is not None else self.ids_of(each.token, row)
            keys.append(found[0] if len(found) == 1 else _NAMELESS - n)
        unknown = [n for n, key in enumerate(keys) if key < 0]
        name = self._scored.tokens[row].token
        near = [
            (abs(top[n].logprob - own), n)
            for n in unknown
            if top[n].token == name and abs(top[n].logprob - own) <= SAME_LOGPROB
        ]
        if near and own_id not in keys:
            keys[min(near)[1]] = own_id
        if unknown and all(each.id is None for each in top):
            # names are the keys of an object: equal ones have become one, and the token itself,
            # which servers append, fills the place
            last = min(range(len(top)), key=lambda n: top[n].logprob)
            if len(top) - (keys[last] == own_id) < self._longest:
                raise UnusableError(COLLAPSED)
        return keys

    def ids_of(self, name: str, row: int) -> tuple[int, ...]:
        """All ids that a name may stand for; () where it does not tell."""
        token = self._table.look_up(name)[0]
        if token.special:
            return self._vocab.resolve(token)
        if token.data is None or REPLACED in name:
            return ()
        found = self._same_bytes(token.data)
        if self._without_blank and self._may_lose_blank(name, row):
            found += self._same_bytes(b" " + token.data)
        byte = BYTE_PIECE.fullmatch(name) is not None
        exact = [n for n in found if (BYTE_PIECE.fullmatch(self._piece(n)) is not None) == byte]
        return tuple(exact) or found

    def _same_bytes(self, data: bytes) -> tuple[int, ...]:
        return self._vocab.resolve(Token("", data, None, "")) if data else ()

    def _piece(self, number: int) -> str:
        return self._vocab.pieces[number] or ""

    def _token(self, each: Candidate, key: int) -> Token:
        return self._vocab.token(key) if key >= 0 else self._table.look_up(each.token)[0]


def _shows_part(name: str, data: bytes) -> bool:
    """Whether a name may be that of bytes which are no whole characters."""
    shown = data.decode("utf-8", "replace")
    if _squeezed(name) in (_squeezed(shown), _squeezed(shown).lstrip()):
        return True
    if name.encode("utf-8", "replace").endswith(data):  # the whole character, at its last part
        return True
    return name == shown.replace(REPLACED, "") or decode_piece(name, Style.PLAIN) == data


def _squeezed(text: str) -> str:
    """Several marks of one character's parts as one."""
    while REPLACED * 2 in text:
        text = text.replace(REPLACED * 2, REPLACED)
    return text
