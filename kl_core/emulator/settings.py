"""How the local servers behave: speed, capacity and faults, changeable while they run."""

from __future__ import annotations

from dataclasses import dataclass

FAULTS = (
    "429",  # without Retry-After
    "429-after",  # with Retry-After, and RetryInfo in the details
    "500",
    "503",
    "hang",  # no answer for hang_s
    "drop",  # the connection is closed in the middle
    "empty",  # a candidate without content and without log-probabilities
    "blocked",  # no candidates, promptFeedback.blockReason
    "no-logprobs",  # a text without logprobsResult
    "other-model",  # answered, but by another modelVersion
)
SCORING = ("vllm", "sglang", "echo")
QUIRKS = (
    "no-logprobs",  # dropped silently, unless the caller requires its parameters
    "pieces",  # raw vocabulary pieces, and the bytes of the piece
    "replaced",  # part of a character is written U+FFFD, with the bytes of that
    "no-bytes",
    "floor",  # the last half of each list is -9999.0
    "chosen-missing",  # the chosen token is not in its own list
    "fewer",  # half as many entries as asked
    "reasoning",  # thinks first, and then gives no log-probabilities
    "error-in-200",  # OpenRouter's error object in a reply of status 200
    "one-choice",  # n is ignored
)


@dataclass(frozen=True, slots=True)
class Provider:
    """Who answers behind OpenRouter, and in which odd way.

    Attributes:
        name: as the reply says it.
        quirks: of QUIRKS.
    """

    name: str
    quirks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """What a server does beside answering.

    Attributes:
        latency_ms: least time from request to answer.
        fault_rate: share of calls that fail, evenly over `faults`; drawn anew for each
            attempt from `seed`, the context and the number of the attempt, so that the same
            run meets the same faults.
        capacity_per_s: calls a second above which 429 is answered; None for no limit.
        retry_after: whether the 429 of an exceeded capacity carries Retry-After.
        retry_after_s: what Retry-After says; may be fractional.
        hang_s: how long a hanging call hangs.
        logprobs, prefill: False answers 400 as models do that support neither.
        model_version: what modelVersion says; "" for the name asked for.
        answers: "model" asks the tiny model; "hash" makes up a fixed distribution from a
            hash of the context, fast enough to measure clients.
        batch_s: how long a batch job takes.
        batch_state: the last state of a job: JOB_STATE_SUCCEEDED, _PARTIALLY_SUCCEEDED,
            _FAILED, _EXPIRED or _CANCELLED.
        batch_row_faults: share of rows that fail inside a job that succeeds, the first time
            their request is sent.
        batch_shards: over how many prediction files the rows come back, shuffled.
        scoring: which calls that score a text the OpenAI-shaped server offers, of SCORING.
        refuses_unknown: whether a field of a call that is not offered is refused with 400;
            servers mostly ignore what they do not know.
        completions: whether there is /v1/completions at all.
        max_logprobs: longest list that can be asked for.
        require_key: whether a call without a bearer token is refused, as plain vLLM does not.
        trailing_turn: whether a last turn of the assistant is continued without further
            words, as OpenRouter's providers do; plain vLLM begins a new turn instead.
        adds_bos: whether a prompt given as text gets the tokenizer's bos in front, as with the
            tokenizers that add one (the tiny ones do not), unless the call says
            add_special_tokens false.
        served_model: the one model of the OpenAI-shaped server; "" for all, of which
            /generate, where nobody names a model, takes the last by name.
        providers: who may answer; () for a server that is no OpenRouter.
        input_price, output_price: dollars per million tokens that /v1/models tells; None
            tells none.
    """

    latency_ms: float = 0.0
    fault_rate: float = 0.0
    faults: tuple[str, ...] = FAULTS
    capacity_per_s: float | None = None
    retry_after: bool = False
    retry_after_s: float = 0.2
    hang_s: float = 30.0
    logprobs: bool = True
    prefill: bool = True
    model_version: str = ""
    answers: str = "model"
    seed: int = 0
    batch_s: float = 0.5
    batch_state: str = "JOB_STATE_SUCCEEDED"
    batch_row_faults: float = 0.0
    batch_shards: int = 2
    scoring: tuple[str, ...] = SCORING
    refuses_unknown: bool = False
    completions: bool = True
    max_logprobs: int = 20
    require_key: bool = True
    trailing_turn: bool = True
    adds_bos: bool = False
    served_model: str = ""
    providers: tuple[Provider, ...] = (Provider("Emulator"),)
    input_price: float | None = None
    output_price: float | None = None
