"""generateContent over HTTP, on the paths of the Developer API and of Vertex."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
from aiohttp import web

from kl_core.emulator.api_error import ApiError
from kl_core.emulator.asked import Asked
from kl_core.emulator.faults import DEADLINE, Capacity, exhausted, fault_of, refusal, spoilt
from kl_core.emulator.state import State
from kl_core.errors import ModelError

VERTEX = "/{version:v1|v1beta1}/projects/{project}/locations/{location}/publishers/google/models"
DEVELOPER = "/{version:v1|v1beta|v1alpha}/models"
NO_KEY = (
    "Method doesn't allow unregistered callers (callers without established identity). Please "
    "use API Key or other form of API consumer identity to call this API."
)
NO_BEARER = (
    "Request is missing required authentication credential. Expected OAuth 2 access token, login "
    "cookie or other valid authentication credential."
)
encode_json = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def routes(state: State) -> list[web.RouteDef]:
    """The routes of this module."""
    calls = Calls(state)
    return [
        web.post(DEVELOPER + "/{model}:generateContent", calls.developer),
        web.post(VERTEX + "/{model}:generateContent", calls.vertex),
    ]


def require_bearer(request: web.Request) -> None:
    """Refuse a call without a token; any token will do.

    Raises:
        ApiError: 401.
    """
    if not request.headers.get("Authorization", "").startswith("Bearer "):
        raise ApiError(401, NO_BEARER)


def json_response(value: Any) -> web.Response:
    """A reply of status 200."""
    return web.Response(body=encode_json(value), content_type="application/json", charset="UTF-8")


def error_response(error: ApiError) -> web.Response:
    """An error as Google writes it."""
    return web.Response(
        status=error.code,
        body=encode_json(error.body()),
        headers=error.headers(),
        content_type="application/json",
        charset="UTF-8",
    )


class Calls:
    """Answers single calls: checks, capacity, fault, answer, latency, in this order."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._capacity = Capacity()

    async def developer(self, request: web.Request) -> web.StreamResponse:
        """With any key, in its header."""
        refused = None
        if not request.headers.get("x-goog-api-key"):
            refused = ApiError(403, NO_KEY)
        return await self._counted(request, refused)

    async def vertex(self, request: web.Request) -> web.StreamResponse:
        """With any bearer token."""
        try:
            require_bearer(request)
        except ApiError as error:
            return await self._counted(request, error)
        return await self._counted(request, None)

    async def _counted(self, request: web.Request, refused: ApiError | None) -> web.StreamResponse:
        stats = self._state.stats
        stats.begins()
        stats.asked("generateContent")
        started = time.monotonic()
        try:
            if refused is not None:
                raise refused
            return await self._answered(request, started)
        except ApiError as error:
            await self._state.wait(started)
            stats.count(error.kind)
            return error_response(error)
        except asyncio.CancelledError:
            stats.count("client gone")
            raise
        finally:
            stats.ends()

    async def _answered(self, request: web.Request, started: float) -> web.StreamResponse:
        state, settings = self._state, self._state.settings
        model = request.match_info["model"]
        state.require(model)
        asked = state.read(_body(await request.read()))
        if not self._capacity.takes(settings.capacity_per_s):
            raise exhausted(settings, "429 capacity", told=settings.retry_after)
        key = asked.key(model)
        fault = fault_of(settings, key, state.stats.attempt(key))
        if fault is None:
            return await self._good(model, asked, key, started)
        error = refusal(fault, settings)
        if error is not None:
            raise error
        if fault == "hang":
            await asyncio.sleep(settings.hang_s)
            raise ApiError(504, DEADLINE, fault)
        reply = spoilt(fault, await self._reply(model, asked, key))
        await self._state.wait(started)
        if fault == "drop":
            state.stats.count(fault)
            return await broken_off(request, encode_json(reply))
        state.stats.count(fault, None, *_tokens(reply))
        return json_response(reply)

    async def _good(
        self, model: str, asked: Asked, key: bytes, started: float
    ) -> web.StreamResponse:
        reply = await self._reply(model, asked, key)
        await self._state.wait(started)
        self._state.stats.count("ok", key, *_tokens(reply))
        return json_response(reply)

    async def _reply(self, model: str, asked: Asked, key: bytes) -> dict[str, Any]:
        try:
            return await self._state.answer_later(model, asked, key)
        except ModelError as error:
            raise ApiError(500, str(error), "model") from error


def _body(data: bytes) -> Any:
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ApiError(400, f"Invalid JSON payload received. {error}") from error


def _tokens(reply: dict[str, Any]) -> tuple[int, int]:
    usage = reply["usageMetadata"]
    return usage["promptTokenCount"], usage["candidatesTokenCount"]


async def broken_off(request: web.Request, data: bytes) -> web.StreamResponse:
    """Half of a reply, then the connection is closed."""
    response = web.StreamResponse(headers={"Content-Type": "application/json; charset=UTF-8"})
    response.content_length = len(data)
    await response.prepare(request)
    await response.write(data[: len(data) // 2])
    if request.transport is not None:
        request.transport.close()
    return response
