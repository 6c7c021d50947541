"""One call before anything is spent: does this model do what a whole run needs?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kl_core.formats.tokens import TokenTables, decide_style
from kl_core.measures import identified, identity
from kl_core.records import Position, Token
from kl_core.sources.calls import Answer, Context
from kl_core.sources.contexts import PreparedEntry

LOOKED_AT = 50  # entries in which to look for a position that tells much


@dataclass(frozen=True, slots=True)
class ProbePoint:
    """A position of the user's own data at which a literal continuation can be told.

    Attributes:
        token: what model 1 said next.
        first: the first askable context of the same response: asked second, over the
            connection that stands, it tells the time of a call and what a prompt costs.
    """

    context: Context
    token: Token
    first: Context


def choose_point(entries: Iterable[PreparedEntry]) -> ProbePoint | None:
    """A position in the middle of a word that model 1 was sure of; None where none can be asked.

    Any language model that continues the text literally has the rest of the word in its
    list; one that took the prefill for a finished turn begins a new sentence.
    """
    best: tuple[tuple[bool, bool, float], ProbePoint] | None = None
    for count, entry in enumerate(entries):
        if best is not None and count >= LOOKED_AT:
            break
        for response, calls in zip(entry.entry.responses, entry.responses, strict=True):
            first = next((each for each in calls.contexts if each is not None), None)
            for position, context in zip(response.positions, calls.contexts, strict=True):
                if context is None or first is None:
                    continue
                score = _told(position, context)
                if best is None or score > best[0]:
                    best = score, ProbePoint(context, position.token, first)
    return None if best is None else best[1]


def _told(position: Position, context: Context) -> tuple[bool, bool, float]:
    """How much a position tells; more is better."""
    data = position.token.data or b""
    before = context.said[: context.end][-1:]
    inside = bool(data) and data[:1].isalnum() and before.isalnum()
    return context.end > 0, inside, position.logprob if position.logprob is not None else -99.0


def literal_warning(point: ProbePoint, answer: Answer) -> str | None:
    """A sentence where the continuation does not look literal, None where it does."""
    if not point.context.end or not identified(point.token) or not answer.top:
        return None
    table = TokenTables().get(decide_style([], "", [each.token for each in answer.top]))
    listed = [table.look_up(each.token, each.id)[0] for each in answer.top]
    wanted = identity(point.token)
    starts = point.token.data or b""
    for token in listed:
        same_start = token.data and (starts.startswith(token.data) or token.data.startswith(starts))
        if identity(token) == wanted or same_start:
            return None
    said = point.context.prefix[-24:]
    likeliest = ", ".join(repr(token.text) for token in listed[:3])
    return (
        f"the continuation does not look literal: after {said!r} the saved response goes on with "
        f"{point.token.text!r}, and the model would say {likeliest}; it may take the prefill for a "
        "finished turn, and all divergences would then be too large"
    )
