"""Samples from OpenAI-shaped servers: chat completions, or completions of a started answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kl_core.errors import InputError, KLExplorerError
from kl_core.formats.sampling_config import ModelConfig
from kl_core.models.load import ModelSpec, encode_prompt, load_tokenizer
from kl_core.records import Prompt
from kl_core.sources.calls import Answer, CallError
from kl_core.sources.chat_wire import chat_body
from kl_core.sources.openai_client import OpenAiClient
from kl_core.sources.sample_question import SampleQuestion
from kl_core.sources.sample_reply import read_sample
from kl_core.sources.sample_settings import Settings, is_started
from kl_core.sources.sample_words import of_configuration, unexpected
from kl_core.sources.servers import Server

if TYPE_CHECKING:
    from kl_core.models.load import LoadedModel

Json = dict[str, Any]


@dataclass(slots=True)
class OpenAiSampler:
    """Asks one sample a call; no retries in here. To be made inside the running event loop."""

    model: ModelConfig
    settings: Settings
    server: Server
    client: OpenAiClient
    _prompts: _Encoder | None = field(default=None, init=False)

    async def __call__(self, question: SampleQuestion) -> Answer:
        """Draw one response.

        Raises:
            CallError: whatever went wrong, sorted by what to do about it.
        """
        begun = is_started(question.prompt)
        if begun and self.model.continue_by == "completion":
            ids = await self._encoded(question.prompt)
            path, body = (
                "/completions",
                completion_body(self.model, self.settings, self.server, ids, question),
            )
        else:
            path, body = "/chat/completions", self._chat_body(question)
        try:
            reply = await self.client.post(path, body)
        except CallError as error:
            raise of_configuration(error) from None
        return read_sample(reply, begun)

    def _chat_body(self, question: SampleQuestion) -> Json:
        try:
            return sample_body(self.model, self.settings, self.server, question)
        except InputError as error:
            raise CallError("bad prompt", str(error), "refused") from None

    async def close(self) -> None:
        """Close all connections."""
        await self.client.close()

    async def _encoded(self, prompt: Prompt) -> list[int]:
        if self._prompts is None:
            self._prompts = _Encoder(tokenizer_spec(self.model))
        try:
            return await self._prompts.ids(prompt)
        except KLExplorerError as error:
            raise CallError("tokenizer", str(error), "denied") from error
        except Exception as error:
            raise unexpected("the tokenizer", self.model.name, error) from error


def tokenizer_spec(model: ModelConfig) -> ModelSpec:
    """The tokenizer that writes out the prompts of a model that runs elsewhere."""
    return ModelSpec(
        model.tokenizer or model.name,
        model.revision,
        trust_remote_code=model.trust_remote_code,
        chat_template=model.chat_template,
        raw=model.raw,
    )


def sample_body(
    model: ModelConfig, settings: Settings, server: Server, question: SampleQuestion
) -> Json:
    """The body of a chat completion."""
    longest = "max_completion_tokens" if server.openai else "max_tokens"
    body = chat_body(model.name, question.prompt, "", server)
    body |= {longest: settings.max_tokens, **_draw(settings, question.number)}
    if settings.top_logprobs:
        body |= {"logprobs": True, "top_logprobs": settings.top_logprobs}
    extra = routing(model, settings, server) | thinking(model, server)
    return merged(merged(body, extra), model.extra_body)


def completion_body(
    model: ModelConfig,
    settings: Settings,
    server: Server,
    ids: list[int],
    question: SampleQuestion,
) -> Json:
    """The body of a completion of token ids, which no server writes out in its own way."""
    body: Json = {"model": model.name, "prompt": ids, "max_tokens": settings.max_tokens}
    body |= _draw(settings, question.number)
    if settings.top_logprobs:
        body["logprobs"] = settings.top_logprobs
    return merged(merged(body, routing(model, settings, server)), model.extra_body)


def routing(model: ModelConfig, settings: Settings, server: Server) -> Json:
    """OpenRouter's `provider` field: who may answer, and that none may drop a parameter."""
    if not (server.openrouter or model.providers):
        return {}
    provider: Json = {}
    if model.providers:
        provider |= {"only": list(model.providers), "allow_fallbacks": False}
    if settings.top_logprobs:
        provider["require_parameters"] = True
    return {"provider": provider} if provider else {}


def thinking(model: ModelConfig, server: Server) -> Json:
    """Reasoning on or off in the words of the server; nothing where it is left open."""
    if model.reasoning is None:
        return {}
    if server.openrouter or model.providers:
        return {"reasoning": {"enabled": model.reasoning}}
    if server.openai:
        return {"reasoning_effort": "medium" if model.reasoning else "none"}
    return {"chat_template_kwargs": {"enable_thinking": model.reasoning}}


def merged(body: Json, more: Json) -> Json:
    """Fields of both; objects that both have are merged in their turn."""
    found = dict(body)
    for name, value in more.items():
        old = found.get(name)
        if isinstance(old, dict) and isinstance(value, dict):
            found[name] = merged(old, value)
        else:
            found[name] = value
    return found


def _draw(settings: Settings, number: int) -> Json:
    """How to draw; said even where it is the usual way, which a server's model may change."""
    draw: Json = {"temperature": settings.temperature, "top_p": settings.top_p}
    seed = settings.seed_of(number)
    return draw if seed is None else draw | {"seed": seed}


class _Encoder:
    """Prompts as token ids; the tokenizer is loaded once, in a thread, when it is needed."""

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self._lock = asyncio.Lock()
        self._loaded: LoadedModel | None = None

    async def ids(self, prompt: Prompt) -> list[int]:
        """Ids of a prompt that ends with a started answer."""
        async with self._lock:  # tokenizers are not safe in several threads
            return await asyncio.to_thread(self._ids, prompt)

    def _ids(self, prompt: Prompt) -> list[int]:
        if self._loaded is None:
            self._loaded = load_tokenizer(self._spec)
        return list(encode_prompt(self._loaded, prompt))
