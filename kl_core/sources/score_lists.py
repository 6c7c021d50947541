"""What the scoring protocols share: values, lists of candidates, the checks, and what fails."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kl_core.formats.dists import OUTSIDE
from kl_core.sources.calls import CallError, Candidate
from kl_core.sources.chat_wire import IDS
from kl_core.sources.json_values import finite
from kl_core.sources.scored_text import ScoredText, ScoreQuestion

UNKNOWN_RANK = -1
RANKS = range(1, 2**31)
ABOVE_ZERO = 1e-3  # a log-probability up to this far above 0 is a rounded 0
MASS_LIMIT = 1.05  # of a list's probabilities, which servers round
Listed = tuple[Any, Any, Any]  # name, id, log-probability as they came


@dataclass(frozen=True, slots=True)
class Row:
    """One position of a reply.

    Attributes:
        spoilt: its value or its list cannot be, and is left out.
        merged: its list lacks tokens that are written like others, and is left out.
    """

    token: Candidate
    rank: int = UNKNOWN_RANK
    top: tuple[Candidate, ...] = ()
    spoilt: bool = False
    merged: bool = False


def ids_of(question: ScoreQuestion) -> tuple[int, ...]:
    """Prompt and response as token ids.

    Raises:
        CallError: `no ids` (refused).
    """
    if question.prompt_ids is None or question.response_ids is None:
        raise CallError(
            "no ids", "this way of scoring needs token ids: give a --tokenizer", "refused"
        )
    return (*question.prompt_ids, *question.response_ids)


def own_value(raw: Any) -> tuple[float, bool]:
    """A token's own log-probability, NaN for none; and whether what came cannot be one."""
    value = finite(raw)
    if value is None:
        return math.nan, isinstance(raw, int | float) and not isinstance(raw, bool)
    if value > ABOVE_ZERO:
        return math.nan, True
    return (min(value, 0.0), False) if value > OUTSIDE else (math.nan, False)


def read_list(listed: Iterable[Listed], with_ids: bool) -> tuple[Candidate, ...] | None:
    """A whole list; None for one that cannot be, or has an entry that cannot be read.

    A list with a hole is not used: what is missing from it would pass for unlikely. What stands
    for "outside the list" (-9999) is left out, which makes no hole.
    """
    found = []
    for name, number, raw in listed:
        value = finite(raw)
        if value is None or value > ABOVE_ZERO or (with_ids and not _is_id(number)):
            return None
        if value > OUTSIDE:
            word = name if isinstance(name, str) else ""
            found.append(Candidate(word, number if with_ids else None, min(value, 0.0)))
    different = {each.id if with_ids else each.token for each in found}
    mass = math.fsum([math.exp(each.logprob) for each in found])
    return None if len(different) < len(found) or mass > MASS_LIMIT else tuple(found)


def _is_id(number: Any) -> bool:
    return type(number) is int and number in IDS


def likeliest(listed: Sequence[Candidate], token: Candidate, top: int) -> tuple[Candidate, ...]:
    """The list of a position: at most `top`, most likely first.

    Servers put the token itself before or behind the list; where it is none of the `top`
    likeliest, it is left out again. Of equals, the token is the last.
    """
    ordered = sorted(listed, key=lambda each: (-each.logprob, each == token))
    return tuple(ordered[:top])


def rank_in(listed: Sequence[Candidate], token: Candidate) -> int:
    """The token's place in its list from 1, UNKNOWN_RANK where it is not there."""
    for place, each in enumerate(listed, 1):
        if each.id == token.id and (token.id is not None or each.token == token.token):
            return place
    return UNKNOWN_RANK


def gathered(rows: Sequence[Row], top: int, bare: bool, skipped: int = 0) -> ScoredText:
    """The reply, once it is known to hold values and lists of the response's tokens.

    Args:
        bare: nothing stands before the first token, which alone may have no value then.

    Raises:
        CallError: `not offered` (odd): a server that leaves out in silence what it does not
            do; `odd values` (odd): most of them cannot be.
    """
    told = rows[1:] if bare else rows
    if told and all(math.isnan(row.token.logprob) for row in told):
        raise lacking("the reply has no usable log-probability of any token of the response")
    if top and told and not any(row.top or row.merged or row.spoilt for row in told):
        raise lacking("the reply has no lists of the likeliest tokens")
    spoilt = sum(row.spoilt for row in rows)
    if 2 * spoilt > len(rows):
        reason = (
            f"{spoilt} of {len(rows)} positions of the reply have log-probabilities that cannot "
            "be (above 0, or lists that add up to more than 1): look at the server"
        )
        raise CallError("odd values", reason, "odd")
    return ScoredText(
        tuple([row.token for row in rows]),
        tuple([row.rank for row in rows]),
        tuple([row.top for row in rows]),
        skipped,
    )


def lacking(what: str) -> CallError:
    """A field that was asked for and is not there."""
    return CallError("not offered", f"{what}: the server does not offer this", "odd")


def other_tokens(what: str) -> CallError:
    """The server's tokens are not those that were asked about."""
    reason = f"{what}: the tokenizer is not the model's; give the model's own with --tokenizer"
    return CallError("other tokens", reason, "odd")
