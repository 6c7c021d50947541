"""An entry as the calls it takes: one context a position, or the reason why there is none."""

from __future__ import annotations

import codecs
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kl_core.errors import InputError
from kl_core.formats.gaps import find_gaps
from kl_core.records import Entry, Prompt, Response
from kl_core.sources.calls import Context
from kl_core.sources.gemini_wire import prompt_body

INSIDE = "it begins inside a character, and only whole characters can be sent as text"
NO_LIST = "model 1 gave no list here to compare with"
KEY_BYTES = 16


@dataclass(frozen=True, slots=True)
class PreparedResponse:
    """What there is to ask about one response, T positions.

    Attributes:
        contexts: the call of each position, None where there is a reason against it.
        reasons: why a position cannot be asked, None where it can.
    """

    contexts: tuple[Context | None, ...]
    reasons: tuple[str | None, ...]

    @property
    def askable(self) -> tuple[int, ...]:
        """Positions that can be asked, in order."""
        return tuple(n for n, context in enumerate(self.contexts) if context is not None)


@dataclass(frozen=True, slots=True)
class PreparedEntry:
    """An entry and its calls, one PreparedResponse a response.

    Attributes:
        refusal: why nothing of this entry can be asked, None where it can.
    """

    entry: Entry
    responses: tuple[PreparedResponse, ...]
    refusal: str | None = None

    def contexts(self) -> Iterator[Context]:
        """Its different contexts, in the order of the text."""
        seen: set[bytes] = set()
        for response in self.responses:
            for context in response.contexts:
                if context is not None and context.key not in seen:
                    seen.add(context.key)
                    yield context


def prepared(entry: Entry, check: Callable[[Prompt], object] = prompt_body) -> PreparedEntry:
    """The calls of an entry.

    A position is asked with the text before it, made of the tokens' own bytes. Positions
    inside a character, after a special token, or after bytes that nobody knows cannot be
    sent as text; positions that model 1 left without a list are not worth a call.

    Args:
        check: raises InputError for a prompt that the API would not take.
    """
    try:
        check(entry.prompt)
    except InputError as error:
        none = tuple(_nothing(response, str(error)) for response in entry.responses)
        return PreparedEntry(entry, none, str(error))
    base = hashlib.blake2b(_written(entry.prompt), digest_size=KEY_BYTES)
    responses = tuple(_response(base, entry.prompt, each) for each in entry.responses)
    return PreparedEntry(entry, responses)


def _nothing(response: Response, reason: str) -> PreparedResponse:
    count = len(response.positions)
    return PreparedResponse((None,) * count, (reason,) * count)


def _written(prompt: Prompt) -> bytes:
    turns = [[turn.role, turn.content] for turn in prompt]
    return json.dumps(turns, ensure_ascii=True, separators=(",", ":")).encode() + b"\0"


def _response(base: hashlib.blake2b, prompt: Prompt, response: Response) -> PreparedResponse:
    if response.error:
        return _nothing(response, response.error)
    ends, reasons, said = _boundaries(response)
    contexts: list[Context | None] = []
    digest, hashed = base.copy(), 0
    for position, end in zip(response.positions, ends, strict=True):
        place = len(contexts)
        if end is not None and position.reason is None and position.dist is not None:
            digest.update(said[hashed:end])
            hashed = end
            contexts.append(Context(digest.digest(), prompt, said, end, place))
            continue
        contexts.append(None)
        reasons[place] = position.reason or reasons[place] or NO_LIST
    return PreparedResponse(tuple(contexts), tuple(reasons))


def _boundaries(response: Response) -> tuple[list[int | None], list[str | None], bytes]:
    """Where each token begins in the bytes said before, None with a reason where not known."""
    tokens = [position.token for position in response.positions]
    gaps = {gap.start: gap for gap in find_gaps(tokens, response.text)}
    ends: list[int | None] = []
    reasons: list[str | None] = []
    said = bytearray()
    decoder = codecs.getincrementaldecoder("utf-8")()
    lost: str | None = None
    skip = 0
    for n, token in enumerate(tokens):
        why = lost
        if why is None and n < skip:
            why = INSIDE
        if why is None and decoder.getstate()[0]:
            why = INSIDE
        ends.append(len(said) if why is None else None)
        reasons.append(why)
        if lost is not None or n < skip:
            continue
        gap = gaps.get(n)
        data = gap.data if gap is not None else token.data
        if gap is not None:
            skip = gap.end
        lost = _lost(token.special, token.piece, data)
        if lost is None and data is not None:
            try:
                decoder.decode(data)
            except UnicodeDecodeError:
                lost = "the bytes before it are not valid UTF-8, so they cannot be sent as text"
            else:
                said += data
    return ends, reasons, bytes(said)


def _lost(special: bool, piece: str, data: bytes | None) -> str | None:
    """Why nothing after this token can be asked, None where it can."""
    if special:
        return f"it comes after the special token {piece!r}, which cannot be sent as text"
    if data is None:
        return f"the bytes of the token {piece!r} before it are not known"
    return None
