"""One call to Gemini with Google's own client, on its shortest way."""

from __future__ import annotations

import dataclasses
import inspect
import logging
import re
import urllib.request
from typing import Any

import aiohttp
import msgspec
from google import genai
from google.genai import types
from google.oauth2.credentials import Credentials

from kl_core.errors import InputError
from kl_core.sources.call_errors import call_error
from kl_core.sources.calls import Answer, CallError, Context
from kl_core.sources.endpoint import PLACEHOLDER, Endpoint
from kl_core.sources.gemini_wire import Json, WireSettings, read_reply, request_body

log = logging.getLogger(__name__)
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]*(/[A-Za-z0-9][A-Za-z0-9._@-]*)*")


class GeminiClient:
    """Asks one context a call; no retries in here. To be made inside the running event loop.

    The client's public `generate_content` spends most of its time on turning a body into
    checked objects and back. The short way hands the ready bytes to the client's own request:
    its addresses, headers, login, transport and errors stay. It touches members that are not
    public, so it is tried on at construction, and the public way is taken where it does not fit.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        settings: WireSettings,
        timeout_s: float = 60.0,
        max_connections: int = 50,
    ) -> None:
        if not _MODEL.fullmatch(settings.model):
            raise InputError(f"{settings.model!r} is no model name: it becomes part of an address")
        self._endpoint, self._settings = endpoint, settings
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=max_connections),
            trust_env=not endpoint.loopback and bool(urllib.request.getproxies()),
        )
        self._client = _client(endpoint, timeout_s, self._session)
        self._decoder = msgspec.json.Decoder()
        self._form = _form(self._client, settings.model, endpoint.vertex)
        if self._form is None:
            log.warning("this google-genai has changed inside; calls take its slower public way")

    @property
    def short(self) -> bool:
        """Whether calls take the short way."""
        return self._form is not None

    def __repr__(self) -> str:
        return f"GeminiClient({self._settings.model} at {self._endpoint.name})"

    async def __call__(self, context: Context) -> Answer:
        """Ask for the next token's list.

        Raises:
            CallError: whatever went wrong, sorted by what to do about it.
        """
        try:
            body = request_body(context, self._settings)
        except InputError as error:
            raise CallError("bad prompt", str(error), "refused") from None
        return read_reply(await self.post(body), self._settings)

    async def post(self, body: Json) -> Json:
        """Send one generateContent body; the reply as it came.

        Raises:
            CallError: whatever went wrong, sorted by what to do about it.
        """
        try:
            sent = msgspec.json.encode(body)
        except ValueError as error:
            raise CallError("bad prompt", str(error), "refused") from None
        try:
            reply = self._decoder.decode(await self._send(body, sent))
        except Exception as error:
            sorted_out = call_error(error, self._settings.model, self._endpoint)
            if sorted_out is None:
                raise
            raise sorted_out from None
        if not isinstance(reply, dict):
            raise CallError("not JSON", "the reply was no JSON object", "again")
        return reply

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aio.aclose()
        await self._session.close()

    async def _send(self, body: Json, sent: bytes) -> str:
        if self._form is None:
            return await self._send_publicly(body)
        request = dataclasses.replace(self._form, headers=dict(self._form.headers), data=sent)
        response = await self._client._api_client._async_request_once(request)
        text = response.response_stream[0]
        return str(text)

    async def _send_publicly(self, body: Json) -> str:
        given = types.GenerateContentConfig.model_validate(body["generationConfig"])
        given.system_instruction = body.get("systemInstruction")
        given.should_return_http_response = True
        given.automatic_function_calling = types.AutomaticFunctionCallingConfig(disable=True)
        response = await self._client.aio.models.generate_content(
            model=self._settings.model, contents=body["contents"], config=given
        )
        raw = response.sdk_http_response
        return (raw.body if raw is not None else None) or ""


def _client(endpoint: Endpoint, timeout_s: float, session: aiohttp.ClientSession) -> genai.Client:
    options = types.HttpOptions(
        base_url=endpoint.base_url,
        timeout=max(1, round(timeout_s * 1000)),  # milliseconds
        retry_options=types.HttpRetryOptions(attempts=1),
        aiohttp_client=session,
        async_client_args={"allow_redirects": False},  # a key must not follow one
    )
    if endpoint.vertex:
        return genai.Client(
            vertexai=True,
            project=endpoint.project_id,
            location=endpoint.location,
            credentials=Credentials(token=PLACEHOLDER) if endpoint.loopback else None,  # type: ignore[no-untyped-call]
            http_options=options,
        )
    key = PLACEHOLDER if endpoint.loopback else None  # the client reads the environment itself
    return genai.Client(vertexai=False, api_key=key, http_options=options)


def _form(client: genai.Client, model: str, vertex: bool) -> Any:
    """The request that all calls share but for their bodies; None where the client changed."""
    try:
        inner: Any = client._api_client
        form = inner._build_request("post", f"{_place(model, vertex)}:generateContent", {})
        name = model.rpartition("/")[2]
        filled = dataclasses.replace(form, headers=dict(form.headers), data=b"{}")
        inspect.signature(inner._async_request_once).bind(filled)
        fits = f"{name}:" in filled.url
    except Exception:
        return None
    return form if fits else None


def _place(model: str, vertex: bool) -> str:
    """A model's name as the address wants it."""
    if not vertex:
        return model if model.startswith(("models/", "tunedModels/")) else f"models/{model}"
    if model.startswith(("projects/", "publishers/", "models/")):
        return model
    publisher, _, name = model.rpartition("/")
    return f"publishers/{publisher or 'google'}/models/{name}"
