"""One OpenAI-shaped call: key, body, capacity, provider, fault, answer, latency, in this order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from kl_core.emulator.api_error import ApiError
from kl_core.emulator.faults import Capacity, fault_of
from kl_core.emulator.generate import broken_off, encode_json, error_response, json_response
from kl_core.emulator.openai_asked import Call
from kl_core.emulator.openai_body import Json, body_key, read_object
from kl_core.emulator.openai_error import OpenAiError
from kl_core.emulator.openai_faults import TIMEOUT, limited, meets, refusal, spoilt
from kl_core.emulator.openai_providers import provider_of
from kl_core.emulator.settings import Settings
from kl_core.emulator.state import State
from kl_core.errors import ModelError

NO_KEY = "You didn't provide an API key. Provide it in an Authorization header as a bearer token."


@dataclass(frozen=True, slots=True)
class Kind:
    """A protocol.

    Attributes:
        route: its path.
        read: checks a body; what it returns knows `model`.
        reply: answers what was read; may ask a model.
    """

    route: str
    read: Callable[[State, Json], Any]
    reply: Callable[[State, Any, Call], Json]


def require_key(settings: Settings, request: web.Request) -> None:
    """Refuse a call without a bearer token; any token will do.

    Raises:
        OpenAiError: 401.
    """
    bearer = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
    if settings.require_key and not bearer:
        raise OpenAiError(401, NO_KEY)


class Calls:
    """Answers calls of any kind."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._capacity = Capacity()

    async def answer(self, request: web.Request, kind: Kind) -> web.StreamResponse:
        """The reply, or the refusal, counted."""
        stats, started = self._state.stats, time.monotonic()
        stats.asked(kind.route)
        stats.begins()
        try:
            require_key(self._state.settings, request)
            return await self._answered(request, kind, started)
        except ApiError as error:
            await self._state.wait(started)
            stats.count(error.kind)
            return error_response(OpenAiError.of(error))
        except asyncio.CancelledError:
            stats.count("client gone")
            raise
        finally:
            stats.ends()

    async def _answered(
        self, request: web.Request, kind: Kind, started: float
    ) -> web.StreamResponse:
        state, settings = self._state, self._state.settings
        body = read_object(await request.read())
        asked = kind.read(state, body)
        if not self._capacity.takes(settings.capacity_per_s):
            raise limited(settings, "429 capacity", told=settings.retry_after)
        key = body_key(asked.model, kind.route, body)
        attempt = state.stats.attempt(key)
        call = Call(key, attempt, provider_of(settings.providers, body, key, attempt))
        fault = fault_of(settings, key, attempt)
        if fault is not None:
            await self._refuse(fault, asked.model, call)
        reply = await self._reply(kind, asked, call)
        if fault is not None and not meets(fault, reply):
            fault = None
        if fault is not None:
            reply = spoilt(fault, reply, call.odd)
        await self._state.wait(started)
        tokens = _tokens(reply)
        if fault == "drop":
            state.stats.count(fault)
            return await broken_off(request, encode_json(reply))
        if "error" in reply:
            state.stats.count("error-in-200")
        else:
            state.stats.count(fault or "ok", None if fault else key, *tokens)
        return json_response(reply)

    async def _refuse(self, fault: str, model: str, call: Call) -> None:
        """Raise what the fault answers with, if it is an error."""
        error = refusal(fault, self._state.settings, model, call)
        if error is not None:
            raise error
        if fault == "hang":
            await asyncio.sleep(self._state.settings.hang_s)
            raise OpenAiError(504, TIMEOUT, fault)

    async def _reply(self, kind: Kind, asked: Any, call: Call) -> Json:
        try:
            return await self._state.compute(lambda: kind.reply(self._state, asked, call))
        except ModelError as error:
            raise ApiError(500, str(error), "model") from error


def _tokens(reply: Json) -> tuple[int, int]:
    usage = reply.get("usage") or reply.get("meta_info") or {}
    return usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0)
