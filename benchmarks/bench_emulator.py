"""How many calls a second the local server answers: python benchmarks/bench_emulator.py

The server runs in a process of its own. Two clients ask it: aiohttp, and bare sockets that
send a prepared request and read the reply by its length, which cost next to nothing. What
the server's own processor time allows is printed beside the rates seen.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
import msgspec
import psutil

PATH = "/v1beta/models/tiny-tuned:generateContent"
SAID = "The capital of Merrow is Corrin, at the mouth of the river Lune. "


def body(number: int) -> bytes:
    said = f"{SAID * 3}{number}"
    turns = [
        {"role": "user", "parts": [{"text": "What is the capital of Merrow?"}]},
        {"role": "model", "parts": [{"text": said}]},
    ]
    config = {"temperature": 0.0, "maxOutputTokens": 1, "responseLogprobs": True, "logprobs": 20}
    return msgspec.json.encode({"contents": turns, "generationConfig": config})


async def by_aiohttp(base_url: str, calls: int, concurrency: int) -> None:
    numbers = iter(range(calls))
    headers = {"x-goog-api-key": "any", "Content-Type": "application/json"}
    connector = aiohttp.TCPConnector(limit=0)

    async def work(session: aiohttp.ClientSession) -> None:
        for number in numbers:
            async with session.post(base_url + PATH, data=body(number), headers=headers) as reply:
                assert reply.status == 200
                await reply.read()

    async with aiohttp.ClientSession(connector=connector) as session:
        await asyncio.gather(*[work(session) for _ in range(concurrency)])


async def by_sockets(base_url: str, calls: int, concurrency: int) -> None:
    numbers = iter(range(calls))
    host, port = base_url.removeprefix("http://").split(":")

    async def work() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        for number in numbers:
            data = body(number)
            head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nx-goog-api-key: any\r\n"
            writer.write(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
            answer = (await reader.readuntil(b"\r\n\r\n")).lower()
            assert answer.startswith(b"http/1.1 200")
            length = answer.split(b"content-length: ")[1].split(b"\r\n")[0]
            await reader.readexactly(int(length))
        writer.close()

    await asyncio.gather(*[work() for _ in range(concurrency)])


def server(folder: Path, answers: str) -> tuple[subprocess.Popen[bytes], str]:
    port_file = folder / f"port-{answers}"
    words = ["--port", "0", "--answers", answers, "--port-file", str(port_file)]
    code = "import typer; from kl_core.cli.emulate_command import emulate_command as e"
    process = subprocess.Popen(
        [sys.executable, "-c", f"{code}; typer.run(e)", *words], stdout=subprocess.DEVNULL
    )
    while not port_file.exists():
        if process.poll() is not None:
            raise SystemExit("the server did not start")
        time.sleep(0.02)
    return process, f"http://127.0.0.1:{port_file.read_text(encoding='utf-8')}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=6000)
    parser.add_argument("--concurrency", type=int, nargs="+", default=[20, 100, 400])
    parser.add_argument("--answers", nargs="+", default=["hash", "model"])
    given = parser.parse_args()
    print("answers client  concurrency  calls/s  server ms of CPU/call  calls/s a core allows")
    with tempfile.TemporaryDirectory() as folder:
        for answers in given.answers:
            process, base_url = server(Path(folder), answers)
            try:
                asyncio.run(by_sockets(base_url, 1, 1))  # the model loads
                usage = psutil.Process(process.pid)
                for name, client in (("sockets", by_sockets), ("aiohttp", by_aiohttp)):
                    for concurrency in given.concurrency:
                        before, started = sum(usage.cpu_times()[:2]), time.perf_counter()
                        asyncio.run(client(base_url, given.calls, concurrency))
                        took = time.perf_counter() - started
                        each = (sum(usage.cpu_times()[:2]) - before) / given.calls
                        print(
                            f"{answers:7} {name:8} {concurrency:10} {given.calls / took:8.0f} "
                            f"{1000 * each:22.3f} {1 / each:22.0f}",
                            flush=True,
                        )
            finally:
                process.terminate()
                process.wait()


if __name__ == "__main__":
    main()
