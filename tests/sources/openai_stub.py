"""Small servers that answer as a test wants, and questions about a tiny model's text."""

from __future__ import annotations

import asyncio
import functools
import json
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from kl_core.sources.calls import CallError
from kl_core.sources.scored_text import ScoreQuestion
from kl_core.sources.servers import Server

MODELS = Path(__file__).resolve().parents[2] / "sample_data" / "models"
QUESTION = "What is the capital of Merrow?"
SAID = "The capital of Merrow is Tallis, né 東京."
TOP = [{"token": "a", "logprob": -0.5, "bytes": [97]}, {"token": "b", "logprob": -1.5}]
TOKEN = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": TOP}
GOOD = {
    "id": "x",
    "object": "chat.completion",
    "created": 1,
    "model": "m-2",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "a"},
            "finish_reason": "length",
            "logprobs": {"content": [TOKEN]},
        }
    ],
    "usage": {"prompt_tokens": 7, "completion_tokens": 1},
}


@asynccontextmanager
async def serving(answer):
    """A server that answers by `answer(request, body)` and keeps (path, headers, body)."""
    kept = []

    async def handle(request):
        data = await request.read()
        body = json.loads(data) if data else None
        kept.append((request.path, dict(request.headers), body))
        found = answer(request, body)
        found = await found if asyncio.iscoroutine(found) else found
        return found if isinstance(found, web.StreamResponse) else web.json_response(found)

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1", kept
    finally:
        await runner.cleanup()


def at(url, key_env=None):
    return Server(url, key_env, True)


def run(answer, work, key_env=None):
    """What `work(server)` returns or its CallError, and what the server was sent."""

    async def main():
        async with serving(answer) as (url, kept):
            try:
                return await work(at(url, key_env)), kept
            except CallError as error:
                return error, kept

    return asyncio.run(main())


def failing(code, message="m", headers=None, **more):
    body = {"error": {"message": message, "type": "t", "code": code} | more}
    return lambda *_: web.json_response(body, status=code, headers=headers)


@functools.cache
def tokenizer(model="tiny-tuned"):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(MODELS / model)


def ids(text):
    return tuple(tokenizer().encode(text, add_special_tokens=False))


@functools.cache
def question(with_ids=True, asked=QUESTION, said=SAID):
    turns = [{"role": "user", "content": asked}]
    prompt = tokenizer().apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    both = (ids(prompt), ids(said)) if with_ids else (None, None)
    return ScoreQuestion(b"k" * 16, *both, prompt, said)
