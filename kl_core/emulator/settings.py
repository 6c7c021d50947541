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
