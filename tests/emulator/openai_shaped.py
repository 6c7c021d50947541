"""Real openai clients and bare calls pointed at a local server."""

from __future__ import annotations

import openai

from tests.emulator import gemini

MODEL = "tiny-tuned"
QUESTION = "What is the capital of Merrow?"
BEARER = {"Authorization": "Bearer any"}


def client(base_url: str, timeout: float = 20.0) -> openai.OpenAI:
    """Without retries of its own."""
    return openai.OpenAI(base_url=f"{base_url}/v1", api_key="any", max_retries=0, timeout=timeout)


def chat(base_url: str, said: str = "", extra: dict | None = None, **changes):
    """One chat by the real client, at temperature 0 with lists of five."""
    turns = [{"role": "user", "content": QUESTION}]
    if said:
        turns.append({"role": "assistant", "content": said})
    given = {"temperature": 0, "max_tokens": 4, "logprobs": True, "top_logprobs": 5, **changes}
    return client(base_url).chat.completions.create(
        model=MODEL, messages=turns, extra_body=extra, **given
    )


def complete(base_url: str, prompt, extra: dict | None = None, **changes):
    """One completion by the real client, at temperature 0."""
    given = {"temperature": 0, "max_tokens": 1, **changes}
    return client(base_url).completions.create(
        model=MODEL, prompt=prompt, extra_body=extra, **given
    )


def post(base_url: str, path: str, body, headers=None):
    """(status, JSON) of a bare call."""
    return gemini.send(base_url + path, body, BEARER if headers is None else headers)


def get(base_url: str, path: str, headers=None):
    """(status, JSON) of a bare call."""
    return gemini.send(base_url + path, None, BEARER if headers is None else headers, "GET")


def generate(base_url: str, top: int = 5, start: int = 0, new: int = 1, **changes):
    """(status, JSON) of SGLang's call."""
    body = {
        "return_logprob": True,
        "logprob_start_len": start,
        "top_logprobs_num": top,
        "sampling_params": {"max_new_tokens": new, "temperature": 0},
        **changes,
    }
    return post(base_url, "/generate", body)
