"""Calls to a Gemini server: raw aiohttp, bare google-genai and the engine, side by side.

One server process with 50 ms latency answers all three in one run; the variants take turns, each
in a fresh process, medians are compared. CPU is the client's: its inverse is the ceiling of one
core, whatever the concurrency. `memory` gives the peak of a run by its number of positions, with
calls that are answered at once; `storm` the throughput by second where the server bears 100 calls
a second and then 500.

    python benchmarks/bench_calls.py [speed] [--calls 2000] [--rounds 3]
    python benchmarks/bench_calls.py memory
    python benchmarks/bench_calls.py storm
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from kl_core.records import Message  # noqa: E402
from kl_core.sources.calls import Answer, Ask, Candidate, Context  # noqa: E402
from kl_core.sources.endpoint import Endpoint  # noqa: E402
from kl_core.sources.gemini_wire import WireSettings, read_reply, request_body  # noqa: E402

MODEL, LATENCY_MS = "tiny-tuned", 50.0
LEVELS = (20, 100, 400)
VARIANTS = ("aiohttp", "google-genai", "engine")
WIRE = WireSettings(MODEL)
SAID = b"word " * 200
PROMPT = (Message("user", "What should one know about it? " * 8),)
Variant = Callable[[str, list[Context], int], Coroutine[Any, Any, tuple[float, float]]]


@dataclass(frozen=True)
class Part:
    """A ticket."""

    contexts: list[Context]


def contexts(count: int) -> list[Context]:
    """Prefixes of 0 to 1,000 characters after one prompt of 250."""
    return [Context(i.to_bytes(16, "big"), PROMPT, SAID, (i * 5) % 1000) for i in range(count)]


def endpoint(url: str) -> Endpoint:
    return Endpoint(True, url, "p", "us-central1", True)


@contextmanager
def server() -> Iterator[str]:
    """The local server as a process of its own."""
    command = [sys.executable, __file__, "serve"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.communicate()  # the end of its input is its end


def serve() -> None:
    from kl_core.emulator.server import running
    from kl_core.emulator.settings import Settings

    with running(Settings(latency_ms=LATENCY_MS, answers="hash")) as started:
        print(started.base_url, flush=True)
        sys.stdin.read()


async def measured(work: Coroutine[Any, Any, object], calls: int) -> tuple[float, float]:
    """Calls a second, and the client's CPU milliseconds a call."""
    wall, cpu = time.perf_counter(), time.process_time()
    await work
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return calls / wall, 1000 * cpu / calls


async def by_workers(ask: Ask, work: list[Context], level: int) -> tuple[float, float]:
    left = iter(work)

    async def worker() -> None:
        for context in left:
            await ask(context)

    async def together() -> None:
        await asyncio.gather(*[worker() for _ in range(level)])

    return await measured(together(), len(work))


async def raw(url: str, work: list[Context], level: int) -> tuple[float, float]:
    import aiohttp
    import msgspec

    place = f"{url}/v1beta1/projects/p/locations/l/publishers/google/models/{MODEL}"
    headers = {"Content-Type": "application/json", "Authorization": "Bearer x"}
    connector = aiohttp.TCPConnector(limit=level)
    async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

        async def ask(context: Context) -> Answer:
            data = msgspec.json.encode(request_body(context, WIRE))
            async with session.post(f"{place}:generateContent", data=data) as response:
                assert response.status == 200, await response.text()
                return read_reply(msgspec.json.decode(await response.read()), WIRE)

        return await by_workers(ask, work, level)


async def bare(url: str, work: list[Context], level: int) -> tuple[float, float]:
    from google import genai
    from google.genai import types
    from google.oauth2.credentials import Credentials

    client = genai.Client(
        vertexai=True,
        project="p",
        location="us-central1",
        credentials=Credentials(token="x"),  # noqa: S106
        http_options=types.HttpOptions(base_url=url, timeout=60_000),
    )
    config = types.GenerateContentConfig.model_validate(
        request_body(work[0], WIRE)["generationConfig"]
    )

    async def ask(context: Context) -> Any:
        body = request_body(context, WIRE)
        reply = await client.aio.models.generate_content(
            model=MODEL, contents=body["contents"], config=config
        )
        assert reply.candidates
        assert reply.candidates[0].logprobs_result
        return reply

    try:
        return await by_workers(ask, work, level)
    finally:
        await client.aio.aclose()


async def engine(url: str, work: list[Context], level: int) -> tuple[float, float]:
    from kl_core.sources.gemini_client import GeminiClient
    from kl_core.sources.journal import Journal
    from kl_core.sources.pool import Pool, PoolSettings

    parts = [Part(work[i : i + 100]) for i in range(0, len(work), 100)]
    with tempfile.TemporaryDirectory(dir=ROOT / "cache") as folder:
        journal = Journal.open(Path(folder) / "answers.db")
        client = GeminiClient(endpoint(url), WIRE, 60.0, level)
        pool = Pool(client, journal, PoolSettings(level), None, lambda _: None)
        result = await measured(pool.run(iter(parts), lambda *_: None), len(work))
        assert journal.totals().answers == len(work)
        await client.close()
        journal.close()
    return result


RUN: dict[str, Variant] = {"aiohttp": raw, "google-genai": bare, "engine": engine}


def speed(calls: int, rounds: int) -> None:
    """The table."""
    print(f"{calls} calls at {LATENCY_MS:g} ms, medians of {rounds}")
    print(
        "concurrency  variant        calls/s  of ideal  of aiohttp  CPU ms/call  core's ceiling/s"
    )
    (ROOT / "cache").mkdir(exist_ok=True)
    with server() as url:
        for level in LEVELS:
            found: dict[str, list[tuple[float, float]]] = {name: [] for name in VARIANTS}
            for _ in range(rounds):
                for name in VARIANTS:
                    command = [sys.executable, __file__, "one", name, url, str(level), str(calls)]
                    output = subprocess.run(command, check=True, capture_output=True, text=True)
                    found[name].append(tuple(json.loads(output.stdout)))
            reference = statistics.median(rate for rate, _ in found["aiohttp"])
            for name in VARIANTS:
                rate = statistics.median(rate for rate, _ in found[name])
                cpu = statistics.median(cpu for _, cpu in found[name])
                ideal = 1000 * level / LATENCY_MS
                print(
                    f"{level:11}  {name:12} {rate:9.0f} {rate / ideal:9.0%}"
                    f" {rate / reference:11.0%} {cpu:12.2f} {1000 / cpu:17.0f}",
                    flush=True,
                )


async def instant(context: Context) -> Answer:
    """An answer of 20 candidates at once."""
    await asyncio.sleep(0)
    top = tuple(Candidate(f" token{i}", 1000 + i, -0.1 * (i + 1)) for i in range(20))
    return Answer(top, top[0], MODEL, 300, 1, "MAX_TOKENS")


async def flat(positions: int) -> None:
    """Entries of 500 positions, made as they are pulled."""
    from kl_core.sources.journal import Journal
    from kl_core.sources.pool import Pool, PoolSettings

    def parts() -> Iterator[Part]:
        for begin in range(0, positions, 500):
            said = SAID + str(begin).encode()
            yield Part(
                [
                    Context(i.to_bytes(16, "big"), PROMPT, said, i % 1000)
                    for i in range(begin, min(begin + 500, positions))
                ]
            )

    (ROOT / "cache").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "cache") as folder:
        journal = Journal.open(Path(folder) / "answers.db")
        pool = Pool(instant, journal, PoolSettings(100), None, lambda _: None)
        rate, cpu = await measured(pool.run(parts(), lambda *_: None), positions)
        assert journal.totals().answers == positions
        journal.close()
        size = (Path(folder) / "answers.db").stat().st_size / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{positions:8} positions: peak {peak:6.1f} MiB, {rate:6.0f}/s, CPU {cpu:.2f} ms each, "
        f"journal {size:.1f} MiB",
        flush=True,
    )


def memory() -> None:
    for positions in (1_000, 20_000, 200_000):
        subprocess.run([sys.executable, __file__, "flat", str(positions)], check=True)


def change(url: str, **settings: object) -> None:
    """Change the running server."""
    request = urllib.request.Request(  # noqa: S310 - our own server
        f"{url}/emulator/settings", json.dumps(settings).encode(), method="PUT"
    )
    urllib.request.urlopen(request).close()  # noqa: S310


def storm() -> None:
    for retry_after in (False, True):
        asyncio.run(one_storm(retry_after))


async def one_storm(
    retry_after: bool,
    level: int = 100,
    steps: tuple[float, ...] = (100.0, 500.0),
    each_s: int = 20,
) -> None:
    """Answers by second while the server's capacity changes."""
    from kl_core.sources.gemini_client import GeminiClient
    from kl_core.sources.journal import Journal
    from kl_core.sources.pool import Pool, PoolSettings

    seconds: Counter[int] = Counter()
    with (
        server() as url,
        tempfile.TemporaryDirectory() as folder,
    ):
        journal = Journal.open(Path(folder) / "answers.db")
        client = GeminiClient(endpoint(url), WIRE, 60.0, level)
        pool = Pool(client, journal, PoolSettings(level), None, lambda _: None)
        began = time.monotonic()

        def parts() -> Iterator[Part]:
            number, step = 0, -1
            while (now := time.monotonic() - began) < each_s * len(steps):
                if int(now // each_s) != step:
                    step = int(now // each_s)
                    change(url, capacity_per_s=steps[step], retry_after=retry_after)
                number += 1
                yield Part([Context(number.to_bytes(16, "big"), PROMPT, SAID, number % 1000)])

        def done(_part: Part, failed: object) -> None:
            assert not failed, failed
            seconds[int(time.monotonic() - began)] += 1

        await pool.run(parts(), done)
        await client.close()
        journal.close()
    print(f"Retry-After {retry_after}: failed attempts {pool.stats.errors}")
    print("  answers by second:", *[seconds[i] for i in range(each_s * len(steps))], flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=["speed"])
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    what, *rest = options.what
    if what == "one":
        name, url, level, calls = rest
        print(json.dumps(asyncio.run(RUN[name](url, contexts(int(calls)), int(level)))))
    elif what == "flat":
        asyncio.run(flat(int(rest[0])))
    elif what == "serve":
        serve()
    else:
        {"speed": lambda: speed(options.calls, options.rounds), "memory": memory, "storm": storm}[
            what
        ]()


if __name__ == "__main__":
    main()
