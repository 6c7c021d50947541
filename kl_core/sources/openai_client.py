"""Calls to an OpenAI-shaped server with the `openai` package, on its shortest way."""

from __future__ import annotations

import asyncio
import functools
import ssl
import urllib.request
from typing import Any

import httpx2
import msgspec
from openai import AsyncOpenAI, DefaultAioHttpClient

from kl_core.sources.calls import CallError
from kl_core.sources.openai_errors import call_error, error_in_reply, not_json, status_error
from kl_core.sources.servers import Server, read_key

Json = dict[str, Any]


class OpenAiClient:
    """Posts JSON and reads JSON; no retries in here. To be made inside the running event loop.

    The package's `create` spends most of its time on turning a body into checked objects and
    back, and its bare `post` on copies of options. The short way keeps its headers, login and
    transport, and hands ready bytes to the transport (benchmarks/bench_openai_client.py).

    Args:
        server: its key is read from the environment here, and kept by the client alone.
        timeout_s: of a whole call.
        max_connections: calls under way at once.

    Raises:
        InputError: the key's variable is not set.
    """

    def __init__(self, server: Server, timeout_s: float = 60.0, max_connections: int = 50) -> None:
        self._server, self._timeout_s = server, timeout_s
        self._transport = _transport(server, timeout_s, max_connections)
        self._client = _client(server, timeout_s, self._transport)
        form = _form(self._client, self._transport, server.base_url)
        self._headers, self._extensions = form.headers.raw, form.extensions
        self._decoder = msgspec.json.Decoder()

    @property
    def server(self) -> Server:
        """Where the calls go."""
        return self._server

    def __repr__(self) -> str:
        return f"OpenAiClient({self._server.base_url})"

    async def post(self, path: str, body: Json, *, root: bool = False) -> Json:
        """Send `body` to a path below the base URL, or below the server's root.

        Raises:
            CallError: whatever went wrong, sorted by what to do about it.
        """
        try:
            data = msgspec.json.encode(body)
        except (ValueError, TypeError) as error:  # such as a lone surrogate in a text
            raise CallError("bad request", f"not JSON: {error}", "refused") from None
        return await self._call("POST", path, data, root, str(body.get("model") or ""))

    async def get(self, path: str, *, root: bool = False) -> Json:
        """The JSON at a path.

        Raises:
            CallError: as post.
        """
        return await self._call("GET", path, None, root, "")

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def _call(
        self, method: str, path: str, data: bytes | None, root: bool, model: str
    ) -> Json:
        base = self._server.root if root else self._server.base_url
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._send(method, base + path, data)
        except Exception as error:
            sorted_out = call_error(error, self._server)
            if sorted_out is None:
                raise
            raise sorted_out from None
        code, headers, content = response
        if code != 200:
            raise status_error(code, headers, content, self._server, model)
        try:
            reply = self._decoder.decode(content)
        except (ValueError, RecursionError):
            raise not_json(self._server) from None
        if not isinstance(reply, dict):
            raise not_json(self._server)
        failed = error_in_reply(reply, self._server, model)
        if failed is not None:
            raise failed
        return reply

    async def _send(
        self, method: str, url: str, data: bytes | None
    ) -> tuple[int, httpx2.Headers, bytes]:
        request = httpx2.Request(
            method, url, headers=self._headers, content=data, extensions=self._extensions
        )
        response = await self._transport.send(request)
        return response.status_code, response.headers, response.content


def _transport(server: Server, timeout_s: float, max_connections: int) -> httpx2.AsyncClient:
    """The package's client for aiohttp, which alone bears many calls at once."""
    return DefaultAioHttpClient(
        timeout=timeout_s,
        limits=httpx2.Limits(
            max_connections=max_connections, max_keepalive_connections=max_connections
        ),
        follow_redirects=False,  # a key must not follow one
        verify=_trusted(),
        trust_env=not server.loopback and bool(urllib.request.getproxies()),
    )


@functools.cache
def _trusted() -> ssl.SSLContext:
    """The certificates that are trusted; they take a tenth of a second to read."""
    return httpx2.create_ssl_context()


def _client(server: Server, timeout_s: float, transport: httpx2.AsyncClient) -> AsyncOpenAI:
    """The package's own client, without what it takes from the environment by itself."""
    client = AsyncOpenAI(
        api_key=read_key(server),
        admin_api_key="",
        base_url=server.base_url,
        max_retries=0,
        timeout=timeout_s,
        http_client=transport,
    )
    if not server.openai:  # these are OpenAI's, and secrets may be among them
        client.organization = client.project = None
        client._custom_headers = {}
    return client


def _form(client: AsyncOpenAI, transport: httpx2.AsyncClient, url: str) -> httpx2.Request:
    """A request with the headers and time limits that all calls share."""
    given = {**client.default_headers, **client.auth_headers}
    written = {name: value for name, value in given.items() if isinstance(value, str)}
    return transport.build_request("GET", url, headers=written)
