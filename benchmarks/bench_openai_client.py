"""Calls to an OpenAI-shaped server: raw aiohttp, the openai package's ways, and our client.

One server process that answers at once with one token's list of 20 answers all of them in one run;
the variants take turns, each in a fresh process, medians are compared. CPU is the client's: its
inverse is the ceiling of one core.

    python benchmarks/bench_openai_client.py [--calls 2000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from kl_core.records import Message  # noqa: E402
from kl_core.sources.chat_wire import chat_body, read_chat_reply  # noqa: E402
from kl_core.sources.servers import Server, resolve_server  # noqa: E402

LEVELS = (20, 100)
WARMING = 50
PROMPT = (Message("user", "What should one know about it? " * 8),)
ENTRY = {"token": " word", "logprob": -1.25, "bytes": [32, 119, 111, 114, 100]}
REPLY = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": " word"},
            "finish_reason": "length",
            "logprobs": {"content": [{**ENTRY, "top_logprobs": [ENTRY] * 20}]},
        }
    ],
    "usage": {"prompt_tokens": 60, "completion_tokens": 1, "total_tokens": 61},
}
AskOnce = Callable[[dict[str, Any]], Awaitable[Any]]


def body(server: Server, number: int) -> dict[str, Any]:
    said = "word " * (number % 200)
    fields = {"max_tokens": 1, "temperature": 0, "logprobs": True, "top_logprobs": 20}
    return chat_body("m", PROMPT, said, server) | fields


async def measured(ask: AskOnce, server: Server, level: int, calls: int) -> tuple[float, float]:
    """Calls a second, and the client's CPU milliseconds a call."""

    async def run(count: int) -> None:
        numbers = iter(range(count))

        async def worker() -> None:
            for number in numbers:
                await ask(body(server, number))

        await asyncio.gather(*[worker() for _ in range(level)])

    await run(max(WARMING, level))
    wall, cpu = time.perf_counter(), time.process_time()
    await run(calls)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return calls / wall, 1000 * cpu / calls


async def raw(server: Server, level: int, calls: int) -> tuple[float, float]:
    import aiohttp
    import msgspec

    headers = {"Content-Type": "application/json", "Authorization": "Bearer x"}
    connector = aiohttp.TCPConnector(limit=level)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def ask(asked: dict[str, Any]) -> Any:
            data = msgspec.json.encode(asked)
            async with session.post(f"{server.base_url}/chat/completions", data=data) as response:
                assert response.status == 200, await response.text()
                return read_chat_reply(msgspec.json.decode(await response.read()))

        return await measured(ask, server, level, calls)


def bare_client(server: Server, level: int) -> Any:
    import httpx2
    from openai import AsyncOpenAI, DefaultAioHttpClient

    limits = httpx2.Limits(max_connections=level, max_keepalive_connections=level)
    transport = DefaultAioHttpClient(limits=limits, trust_env=False)
    return AsyncOpenAI(api_key="x", base_url=server.base_url, max_retries=0, http_client=transport)


async def create(server: Server, level: int, calls: int) -> tuple[float, float]:
    client = bare_client(server, level)
    known = {"continue_final_message", "add_generation_prompt"}

    async def ask(asked: dict[str, Any]) -> Any:
        extra = {name: value for name, value in asked.items() if name in known}
        given = {name: value for name, value in asked.items() if name not in known}
        reply = await client.chat.completions.create(**given, extra_body=extra)
        assert reply.choices[0].logprobs.content[0].top_logprobs
        return reply

    try:
        return await measured(ask, server, level, calls)
    finally:
        await client.close()


async def post(server: Server, level: int, calls: int) -> tuple[float, float]:
    import httpx2
    import msgspec

    client = bare_client(server, level)

    async def ask(asked: dict[str, Any]) -> Any:
        data = msgspec.json.encode(asked)
        reply = await client.post("/chat/completions", cast_to=httpx2.Response, content=data)
        return read_chat_reply(msgspec.json.decode(reply.content))

    try:
        return await measured(ask, server, level, calls)
    finally:
        await client.close()


async def ours(server: Server, level: int, calls: int) -> tuple[float, float]:
    from kl_core.sources.openai_client import OpenAiClient

    client = OpenAiClient(server, 60.0, level)

    async def ask(asked: dict[str, Any]) -> Any:
        return read_chat_reply(await client.post("/chat/completions", asked))

    try:
        return await measured(ask, server, level, calls)
    finally:
        await client.close()


Variant = Callable[[Server, int, int], Coroutine[Any, Any, tuple[float, float]]]
RUN: dict[str, Variant] = {
    "aiohttp": raw,
    "openai create": create,
    "openai post": post,
    "OpenAiClient": ours,
}


def serve() -> None:
    from aiohttp import web

    data = json.dumps(REPLY).encode()

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=data, content_type="application/json")

    async def main() -> None:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(f"http://127.0.0.1:{runner.addresses[0][1]}/v1", flush=True)
        await asyncio.to_thread(sys.stdin.read)

    asyncio.run(main())


@contextmanager
def serving() -> Iterator[str]:
    """The local server as a process of its own."""
    command = [sys.executable, __file__, "serve"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.communicate()  # the end of its input is its end


def table(calls: int, rounds: int) -> None:
    print(f"{calls} calls to a server that answers at once, medians of {rounds}")
    print("concurrency  variant         calls/s  of aiohttp  CPU ms/call  core's ceiling/s")
    with serving() as url:
        for level in LEVELS:
            found: dict[str, list[list[float]]] = {name: [] for name in RUN}
            for _ in range(rounds):
                for name in RUN:
                    command = [sys.executable, __file__, "one", name, url, str(level), str(calls)]
                    output = subprocess.run(command, check=True, capture_output=True, text=True)
                    found[name].append(json.loads(output.stdout))
            reference = statistics.median(rate for rate, _ in found["aiohttp"])
            for name, results in found.items():
                rate = statistics.median(rate for rate, _ in results)
                cpu = statistics.median(cpu for _, cpu in results)
                print(
                    f"{level:11}  {name:13} {rate:9.0f} {rate / reference:11.0%}"
                    f" {cpu:12.2f} {1000 / cpu:17.0f}",
                    flush=True,
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=["table"])
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    if given.what[0] == "serve":
        serve()
    elif given.what[0] == "one":
        _, name, url, level, calls = given.what
        print(json.dumps(asyncio.run(RUN[name](resolve_server(url, None), int(level), int(calls)))))
    else:
        table(given.calls, given.rounds)


if __name__ == "__main__":
    main()
