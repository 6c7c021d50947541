"""Where a response begins and ends among the tokens that a server echoes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kl_core.formats.gaps import find_gaps
from kl_core.formats.pieces import looks_special
from kl_core.formats.tokens import TokenTables, decide_style
from kl_core.records import Token


@dataclass(frozen=True, slots=True)
class Part:
    """Tokens [start, end) are the response's.

    Attributes:
        skipped: bytes at its beginning that share a token with the prompt.
    """

    start: int
    end: int
    skipped: int = 0


def doubled(pieces: Sequence[str], text: str) -> str:
    """The name that begins a text twice because the server puts it there too; "" for none."""
    if len(pieces) < 2 or pieces[0] != pieces[1] or not pieces[0] or not looks_special(pieces[0]):
        return ""
    name = pieces[0]
    return name if text.startswith(name) and not text.startswith(name * 2) else ""


def leading(pieces: Sequence[str], text: str) -> int:
    """How many tokens the server has put before the text: its own beginning, or none."""
    first = pieces[0] if pieces else ""
    return int(bool(first) and looks_special(first) and not text.startswith(first))


def read_tokens(pieces: Sequence[str], text: str) -> list[Token]:
    """The pieces as tokens, in the style that the text tells."""
    table = TokenTables().get(decide_style(pieces, text))
    return [table.look_up(piece)[0] for piece in pieces]


def spell(pieces: Sequence[str], text: str) -> bool:
    """Whether tokens spell a text but for its white space; those of unknown bytes may.

    Servers write the first piece of a word without its blank at times.
    """
    tokens = read_tokens(pieces, text)
    if any(token.data is None for token in tokens):
        return True
    wanted = _bare(text)
    return any(
        _bare(
            b"".join(
                [t.piece.encode() if names and t.special else t.data or b"" for t in tokens]
            ).decode("utf-8", "replace")
        )
        == wanted
        for names in (False, True)
    )


def _bare(text: str) -> str:
    return "".join(text.split()).rstrip("\ufffd")


def by_bytes(
    pieces: Sequence[str], prompt: str, response: str, drawn: int | None = None
) -> Part | None:
    """The response's tokens by the bytes of all; None where these do not spell the text.

    Args:
        drawn: how many tokens at the end were drawn after the text; None where the server does
            not tell: then one or none, and one that adds nothing to the text is one.
    """
    whole = len(pieces)
    counts = [whole, whole - 1]
    if drawn is not None:
        counts = [whole - drawn]
    elif pieces and looks_special(pieces[-1]):
        counts.reverse()
    for count in counts:
        starts = _starts(read_tokens(pieces[:count], prompt + response), prompt + response)
        if starts is None:
            continue
        boundary, total = len(prompt.encode()), len((prompt + response).encode())
        for n, at in enumerate(starts):
            if at is not None and at >= boundary:
                return Part(n, count, at - boundary)
        return Part(count, count, total - boundary)
    return None


def _starts(tokens: Sequence[Token], text: str) -> list[int | None] | None:
    """The byte at which each token begins, None inside a run of unknown bytes.

    None as a whole where the tokens do not spell the text to its end.
    """
    data, at, end = text.encode(), 0, 0
    gaps = {gap.start: gap for gap in find_gaps(tokens, text)}
    starts: list[int | None] = []
    for n, token in enumerate(tokens):
        starts.append(at if n >= end else None)
        if n < end:
            continue
        gap = gaps.get(n)
        if gap is not None:
            end, piece = gap.end, gap.data
        else:
            name = token.piece.encode()
            shown = token.special and data.startswith(name, at)
            known = name if shown else token.data
            if known is None:
                return None
            piece = known
        if not data.startswith(piece, at):
            return None
        at += len(piece)
    return starts if at == len(data) else None


def by_offsets(
    pieces: Sequence[str], offsets: Sequence[int], lead: int, prompt: str, response: str
) -> Part | None:
    """The response's tokens by the server's own offsets, checked against the text."""
    text, shift = prompt + response, offsets[lead] if lead < len(offsets) else 0
    places = [offset - shift for offset in offsets]
    inside = [n for n, at in enumerate(places) if n >= lead and len(prompt) <= at < len(text)]
    if not inside or inside != list(range(inside[0], inside[-1] + 1)):
        return None
    for n in inside:
        word = pieces[n].strip(" ▁Ġ\n")
        if "\ufffd" not in word and word not in text[places[n] : places[n] + len(pieces[n]) + 1]:
            return None
    skipped = len(text[len(prompt) : places[inside[0]]].encode())
    return Part(inside[0], inside[-1] + 1, skipped)
