"""Failing on purpose: which call meets which fault, and what that fault looks like."""

from __future__ import annotations

import time
from hashlib import blake2b
from typing import Any

from kl_core.emulator.api_error import ApiError
from kl_core.emulator.settings import Settings

Json = dict[str, Any]
EXHAUSTED = (
    "Resource exhausted. Please try again later. Please refer to "
    "https://cloud.google.com/vertex-ai/generative-ai/docs/error-code-429 for more details."
)
INTERNAL = "An internal error has occurred. Please retry later."
OVERLOADED = "The model is overloaded. Please try again later."
DEADLINE = "Deadline expired before operation could complete."
OTHER_MODEL = "other-model-001"
BURST_S = 0.25


def fault_of(settings: Settings, key: bytes, attempt: int) -> str | None:
    """The fault that an attempt at a context meets, None for none.

    Drawn from a hash of seed, context and number of the attempt, so that the same run meets
    the same faults in whatever order its calls come.
    """
    if settings.fault_rate <= 0 or not settings.faults:
        return None
    place = f"{settings.seed}/{attempt}/".encode() + key
    digest = blake2b(place, digest_size=16).digest()
    if int.from_bytes(digest[:8], "big") / 2**64 >= settings.fault_rate:
        return None
    return settings.faults[int.from_bytes(digest[8:], "big") % len(settings.faults)]


def refusal(fault: str, settings: Settings) -> ApiError | None:
    """The error a fault answers with; None where it is not an error's body."""
    if fault == "429":
        return ApiError(429, EXHAUSTED, fault)
    if fault == "429-after":
        return exhausted(settings, fault, told=True)
    if fault == "500":
        return ApiError(500, INTERNAL, fault)
    if fault == "503":
        return ApiError(503, OVERLOADED, fault)
    return None


def exhausted(settings: Settings, kind: str, *, told: bool) -> ApiError:
    """429; `told` how long to wait, in the header and in the details."""
    if not told:
        return ApiError(429, EXHAUSTED, kind)
    wait_s = settings.retry_after_s
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{wait_s:g}s"}
    return ApiError(429, EXHAUSTED, kind, (info,), wait_s)


def spoilt(fault: str, reply: Json) -> Json:
    """A good reply as the fault leaves it; unchanged for faults of another sort."""
    if fault == "other-model":
        return {**reply, "modelVersion": OTHER_MODEL}
    if fault == "blocked":
        left = {key: value for key, value in reply.items() if key != "candidates"}
        return {**left, "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}
    if fault == "empty":
        nothing = {"content": {"role": "model"}, "finishReason": "MAX_TOKENS", "index": 0}
        return {**reply, "candidates": [nothing]}
    if fault == "no-logprobs":
        bare = [
            {k: v for k, v in each.items() if k not in ("logprobsResult", "avgLogprobs")}
            for each in reply["candidates"]
        ]
        return {**reply, "candidates": bare}
    return reply


class Capacity:
    """A token bucket: so many calls a second, a quarter of a second's worth at once."""

    def __init__(self) -> None:
        self._left = 0.0
        self._rate: float | None = None
        self._at = 0.0

    def takes(self, rate: float | None, now: float | None = None) -> bool:
        """Whether one more call fits.

        Args:
            rate: calls a second; None for no limit. A changed rate starts with a full bucket.
            now: seconds of a monotonic clock.
        """
        if rate is None:
            self._rate = None
            return True
        now = time.monotonic() if now is None else now
        most = max(1.0, rate * BURST_S)
        if rate != self._rate:
            self._rate, self._left = rate, most
        else:
            self._left = min(most, self._left + (now - self._at) * rate)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
