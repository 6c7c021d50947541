"""Typed records: what a response file says and what a scored response is.

Nothing here reads files or knows providers. Log-probabilities are natural logs;
`None` means "not known", never a made-up number.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Measure = Literal["floor", "full"]
NOT_ASKED = "not asked: outside the budget"
"""Why a position has no value that a budget left out: nothing is wrong with it."""
NOT_REACHED = "model 2 never came to this text"
NO_RESPONSES = "model 2 has no responses to this prompt"
"""The same where two folders of responses were compared as they are."""
LEFT_OUT = (NOT_ASKED, NOT_REACHED, NO_RESPONSES)


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a prompt."""

    role: str
    content: str


Prompt = tuple[Message, ...]


def prompt_text(prompt: Prompt) -> str:
    """One string for a table or a file: plain for a single user turn, labelled otherwise."""
    if len(prompt) == 1 and prompt[0].role == "user":
        return prompt[0].content
    return "\n\n".join(f"{message.role}: {message.content}" for message in prompt)


@dataclass(frozen=True, slots=True)
class Token:
    """One vocabulary entry as a file names it.

    Attributes:
        text: what a reader sees (" the"); a part of a character shows as `<0xE2>`.
        data: the bytes it adds to the response text; b"" for a special token, None
            when the file does not let us know them.
        id: the id in the provider's vocabulary, if given.
        piece: the string as it stood in the file (`Ġthe`).
        special: a control token such as `<|eot_id|>`.
    """

    text: str
    data: bytes | None
    id: int | None
    piece: str
    special: bool = False


@dataclass(frozen=True, slots=True)
class TokenDist:
    """What one model is known to think of the next token at one position.

    Attributes:
        tokens: candidates; the first `listed` of them are the top-k list in falling
            order of log-probability, the others are known besides it (the sampled
            token, or candidates asked for by id).
        logprobs: their natural-log probabilities, same order.
        listed: the length k of the top-k part.
        keys: identities of the candidates where an aligner settled them: equal keys on
            both sides are the same token; None lets bytes and pieces decide.
    """

    tokens: tuple[Token, ...]
    logprobs: tuple[float, ...]
    listed: int
    keys: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """One sampled token of a response, with model 1's view of it.

    Attributes:
        token: the token that was sampled.
        logprob: model 1's log-probability of it, None when unknown.
        dist: model 1's list, None when unusable.
        reason: why this position cannot be scored; None when it can.
    """

    token: Token
    logprob: float | None
    dist: TokenDist | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """One response, in its slot of an entry.

    Attributes:
        index: its place among the entry's responses, from 0.
        positions: one per token with log-probabilities; empty without them.
        error: why the response cannot be scored at all; None when it can.
    """

    index: int
    text: str
    positions: tuple[Position, ...] = ()
    provider: str | None = None
    model: str | None = None
    finish_reason: str | None = None
    reasoning: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class TokenMeasures:
    """Measures of one response, one value a position, NaN where not known; nats.

    `headline` is what the file calls kl_divergence: `floor` for truncated lists,
    `full` where both whole vocabularies are known. P is model 1, Q model 2.

    Attributes:
        headline, reverse, js: KL(P‖Q), KL(Q‖P) and Jensen–Shannon under `measure`.
        lower, tail, rank_kl: certified bound, coarse-grained bound, the rank metric.
        entropy1, entropy2: over the renormalised lists (whole vocabulary for `full`).
        entropy1_full, entropy2_full: over the whole vocabulary, where known.
        logprob1, logprob2: of the sampled token.
        log_ratio: log P(y) − log Q(y) of the sampled token; on the first position of an
            alignment span that of the whole span.
        rank1, rank2: its rank from 1, -1 when not known.
        censored: 1 where the token lies outside Q's list and log Q is unknown.
        rest1, rest2: probability outside what is known of each side.
    """

    headline: Floats
    reverse: Floats
    js: Floats
    lower: Floats
    tail: Floats
    rank_kl: Floats
    entropy1: Floats
    entropy2: Floats
    entropy1_full: Floats
    entropy2_full: Floats
    logprob1: Floats
    logprob2: Floats
    log_ratio: Floats
    rank1: Ints
    rank2: Ints
    censored: NDArray[np.bool_]
    rest1: Floats
    rest2: Floats


@dataclass(frozen=True, slots=True)
class Estimate:
    """The mean KL over positions of which only some were asked; nats, P‖Q.

    Attributes:
        mean: unbiased under the sampling design (Des Raj's ordered estimator).
        low, high: 95 % interval that holds for every sample size, from bets against each
            possible mean (a run's is approximate); it takes `cap` as the largest KL a position
            can have. `high` is inf where an asked position exceeded the cap.
        variance: unbiased estimate of the mean's variance, NaN from one draw alone; too large
            where one of several responses has one draw (its squared guess stands in).
        asked: positions drawn and answered; of: positions that could have been drawn.
        cap: nats.
    """

    mean: float
    low: float
    high: float
    variance: float
    asked: int
    of: int
    cap: float


@dataclass(frozen=True, slots=True)
class ScoredResponse:
    """A response with model 2's view and the measures.

    Attributes:
        response: as read; its positions define the length T.
        dists2: model 2's list per position, None where not scored.
        reasons: why a position has no value, None where it has one; length T.
        spans: (start, end) position ranges of an alignment span each position is in,
            or None; a span has a log-ratio (on its first position) and a null KL.
        measures: arrays of length T; None for a response without a second model.
        measure: which of the two headline measures was used.
        estimate: of its mean KL, where only some positions were asked.
    """

    response: Response
    dists2: tuple[TokenDist | None, ...]
    reasons: tuple[str | None, ...]
    measures: TokenMeasures
    measure: Measure | None
    spans: tuple[tuple[int, int] | None, ...] = ()
    estimate: Estimate | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One prompt of one file, with its responses in their slots.

    Attributes:
        file: path relative to the input root, with `/`.
        index: its place in the file, from 0.
        entries_in_file: how many prompts the file holds.
    """

    file: str
    index: int
    entries_in_file: int
    prompt: Prompt
    model: str | None
    responses: tuple[Response, ...]


@dataclass(frozen=True, slots=True)
class ScoredEntry:
    """An entry whose responses carry a second model's view (or none, for raw data).

    Attributes:
        estimate: of the mean KL over all its responses' positions, where only some of them
            were asked.
    """

    entry: Entry
    model1: str | None
    model2: str | None
    responses: tuple[ScoredResponse, ...]
    estimate: Estimate | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing in the input that could not be used as it stands."""

    file: str
    where: str
    reason: str
    hint: str


@dataclass(slots=True)
class ProblemLog:
    """Collects problems while files are read; one row a (file, reason) with a count."""

    rows: list[Problem] = field(default_factory=list)

    def add(self, file: str, where: str, reason: str, hint: str) -> None:
        """Append one row."""
        self.rows.append(Problem(file, where, reason, hint))

    def drain(self) -> list[Problem]:
        """Return the rows so far and start afresh."""
        rows, self.rows = self.rows, []
        return rows


def with_error(response: Response, error: str) -> Response:
    """The same response, marked as not scorable."""
    return replace(response, error=error)


@dataclass(frozen=True, slots=True)
class CallStats:
    """How the calls of a run went so far, over all its starts, online and by batch alike.

    Attributes:
        made: contexts with a usable answer on disk that this run asked for, the probe's
            included.
        reused: contexts whose answer was taken from a finished run (--reuse); not in `made`.
        failed: contexts without a value: for good (blocked, refused), or given up after all
            retries and not answered since; not in `made`.
        retried: attempts after the first of a context, the probe's included.
        errors: failed attempts by kind.
        in_flight: calls under way; `limit` is what the limiter allows at present.
        rate: calls answered a second, over the last seconds.
        jobs: batch jobs: id, state, requests, and how many succeeded or failed.
    """

    made: int = 0
    reused: int = 0
    failed: int = 0
    retried: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    in_flight: int = 0
    limit: float | None = None
    max_concurrent: int | None = None
    rate: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    jobs: tuple[dict[str, Any], ...] = ()
