"""Real google-genai clients pointed at a local server."""

from __future__ import annotations

import urllib.error
import urllib.request

import msgspec
from google import genai
from google.genai import types
from google.oauth2.credentials import Credentials

QUESTION = "What is the capital of Merrow?"
MODEL = "tiny-tuned"
PATHS = {
    "developer": f"/v1beta/models/{MODEL}:generateContent",
    "vertex": f"/v1/projects/p/locations/l/publishers/google/models/{MODEL}:generateContent",
}
BOTH = tuple(PATHS)


def client(kind: str, base_url: str, timeout_ms: int = 20_000) -> genai.Client:
    """A client of the Developer API or of Vertex, without retries of its own."""
    options = types.HttpOptions(
        base_url=base_url,
        timeout=timeout_ms,
        retry_options=types.HttpRetryOptions(attempts=1),
    )
    if kind == "developer":
        return genai.Client(api_key="any", http_options=options)
    return genai.Client(
        vertexai=True,
        project="p",
        location="us-central1",
        credentials=Credentials(token="any"),
        http_options=options,
    )


def contents(said: str = "", prompt: str = QUESTION) -> list[types.Content]:
    turns = [types.Content(role="user", parts=[types.Part(text=prompt)])]
    if said:
        turns.append(types.Content(role="model", parts=[types.Part(text=said)]))
    return turns


def config(**changes) -> types.GenerateContentConfig:
    given = {
        "temperature": 0.0,
        "max_output_tokens": 1,
        "response_logprobs": True,
        "logprobs": 20,
        "thinking_config": types.ThinkingConfig(thinking_budget=0),
        **changes,
    }
    return types.GenerateContentConfig(**given)


def ask(found: genai.Client, said: str = "", prompt: str = QUESTION, **changes):
    return found.models.generate_content(
        model=MODEL, contents=contents(said, prompt), config=config(**changes)
    )


def body(said: str = "", prompt: str = QUESTION, **changes) -> dict:
    turns = [{"role": "user", "parts": [{"text": prompt}]}]
    if said:
        turns.append({"role": "model", "parts": [{"text": said}]})
    given = {"temperature": 0.0, "maxOutputTokens": 1, "responseLogprobs": True, "logprobs": 20}
    return {"contents": turns, "generationConfig": {**given, **changes}}


def send(url: str, value, headers=None, method="POST"):
    """(status, JSON) of a bare call."""
    data = None if value is None else msgspec.json.encode(value)
    headers = (
        {"x-goog-api-key": "any", "Authorization": "Bearer any"} if headers is None else headers
    )
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.urlopen(request) as reply:
            return reply.status, msgspec.json.decode(reply.read())
    except urllib.error.HTTPError as error:
        return error.code, msgspec.json.decode(error.read())
