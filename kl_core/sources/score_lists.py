"""What the scoring protocols share: lists of candidates, the checks, and what fails."""

from __future__ import annotations

import math
from collections.abc import Sequence

from kl_core.sources.calls import CallError, Candidate
from kl_core.sources.echo_text import resemble
from kl_core.sources.scored_text import ScoredText, ScoreQuestion

UNKNOWN_RANK = -1


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


def checked(scored: ScoredText, question: ScoreQuestion, top: int) -> ScoredText:
    """The reply, once it is known to hold values and lists of the response's own tokens.

    Raises:
        CallError: `not offered` (stop): a server that leaves out in silence what it does not
            do; `other tokens` (stop).
    """
    if not resemble([each.token for each in scored.tokens], question.response_text):
        came = "".join([each.token for each in scored.tokens])[:40]
        raise other_tokens(f"{question.response_text[:40]!r} was sent and {came!r} came back")
    if len(scored.tokens) > 1 and all(math.isnan(each.logprob) for each in scored.tokens):
        raise lacking("the reply has no log-probability of any token of the response")
    if top and len(scored.tokens) > 1 and not any(scored.tops):
        raise lacking("the reply has no lists of the likeliest tokens")
    return scored


def lacking(what: str) -> CallError:
    """A field that was asked for and is not there."""
    return CallError("not offered", f"{what}: the server does not offer this", "stop")


def other_tokens(what: str) -> CallError:
    """The server's tokens are not those that were asked about."""
    reason = f"{what}: the tokenizer is not the model's; give the model's own with --tokenizer"
    return CallError("other tokens", reason, "stop")
