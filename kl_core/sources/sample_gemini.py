"""Samples from Gemini: generateContent, its reply as an item of the Gemini sampling format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from kl_core.errors import InputError
from kl_core.formats.sampling_config import ModelConfig
from kl_core.sources.calls import Answer, CallError
from kl_core.sources.gemini_client import GeminiClient
from kl_core.sources.gemini_wire import prompt_body, same_model
from kl_core.sources.json_values import MOST_TOKENS, count, mapping
from kl_core.sources.sample_question import SampleQuestion
from kl_core.sources.sample_reply import ALL_REASONING
from kl_core.sources.sample_settings import Settings, is_started
from kl_core.sources.sample_words import of_configuration

Json = dict[str, Any]


@dataclass(slots=True)
class GeminiSampler:
    """Asks one sample a call; no retries in here."""

    model: ModelConfig
    settings: Settings
    client: GeminiClient

    async def __call__(self, question: SampleQuestion) -> Answer:
        """Draw one response.

        Raises:
            CallError: whatever went wrong, sorted by what to do about it.
        """
        try:
            body = gemini_body(self.model, self.settings, question)
        except InputError as error:
            raise CallError("bad prompt", str(error), "refused") from None
        try:
            reply = await self.client.post(body)
        except CallError as error:
            raise of_configuration(error) from None
        return read_gemini(reply, self.model.name, is_started(question.prompt))

    async def close(self) -> None:
        """Close all connections."""
        await self.client.close()


def gemini_body(model: ModelConfig, settings: Settings, question: SampleQuestion) -> Json:
    """The body of one call; an answer that has begun is a last turn of the model.

    Raises:
        InputError: a role that the API does not know, or a prompt without text.
    """
    config: Json = {
        "temperature": settings.temperature,
        "topP": settings.top_p,
        "maxOutputTokens": settings.max_tokens,
    }
    seed = settings.seed_of(question.number)
    if seed is not None:
        config["seed"] = seed
    if settings.top_logprobs:
        config |= {"responseLogprobs": True, "logprobs": settings.top_logprobs}
    if model.reasoning is not None:  # -1 lets the model choose how much
        config["thinkingConfig"] = {"thinkingBudget": -1 if model.reasoning else 0}
    return prompt_body(question.prompt) | {"generationConfig": config}


def read_gemini(reply: Mapping[str, Any], model: str, continued: bool = False) -> Answer:
    """The answer of a reply: `{text, logprobs, finish_reason, model_version}` as its body.

    Args:
        continued: the answer had begun before, so that nothing more may be an answer too.

    Raises:
        CallError: another model answered (stop), nothing came, or it was blocked (odd), or all
            tokens were thoughts (refused).
    """
    usage = mapping(reply.get("usageMetadata"))
    tokens_in, tokens_out = count(usage, "promptTokenCount"), count(usage, "candidatesTokenCount")
    tokens_out = min(tokens_out + count(usage, "thoughtsTokenCount"), MOST_TOKENS)
    version = str(reply.get("modelVersion") or "")
    if version and not same_model(model, version):
        raise CallError(
            "other model",
            f"{version} answered where {model} was asked; nothing of it was used, ask for "
            f"{version} by name if that is the model you mean",
            "stop",
            input_tokens=tokens_in,
            output_tokens=tokens_out,
        )
    candidates = reply.get("candidates")
    if not isinstance(candidates, list) or not candidates:
        why = mapping(reply.get("promptFeedback")).get("blockReason")
        raise CallError(
            "blocked" if why else "empty",
            f"the prompt was blocked ({why})" if why else "the reply had no candidate",
            "odd",
            input_tokens=tokens_in,
            output_tokens=tokens_out,
        )
    first = mapping(candidates[0])
    text, finish = _text(first), str(first.get("finishReason") or "")
    content = _content(mapping(first.get("logprobsResult")))
    if not text and not (finish == "STOP" and (content or continued)):
        failed = _failure(finish, bool(count(usage, "thoughtsTokenCount")))
        failed.input_tokens, failed.output_tokens = tokens_in, tokens_out
        raise failed
    item: Json = {
        "text": text,
        "logprobs": {"content": content} if content else None,
        "finish_reason": finish or None,
        "model_version": version or None,
    }
    return Answer(
        model=version,
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        finish=finish,
        body=msgspec.json.encode(item),
    )


def _failure(finish: str, thought: bool) -> CallError:
    """What is wrong with a candidate that says nothing."""
    if finish == "MAX_TOKENS":
        return CallError("empty", ALL_REASONING, "refused")
    if finish not in ("", "STOP"):
        return CallError("blocked", f"the reply was empty (finish reason {finish})", "odd")
    ended = f" (finish reason {finish})" if finish else ""
    return CallError("empty", ALL_REASONING if thought else f"the reply was empty{ended}", "odd")


def _text(candidate: Mapping[str, Any]) -> str:
    """What the candidate says, thoughts left out."""
    parts = mapping(candidate.get("content")).get("parts")
    said = [mapping(part) for part in parts] if isinstance(parts, list) else []
    return "".join(
        part["text"]
        for part in said
        if isinstance(part.get("text"), str) and not part.get("thought")
    )


def _content(result: Mapping[str, Any]) -> list[Json]:
    """The tokens with their lists, [] where there are none."""
    chosen, steps = result.get("chosenCandidates"), result.get("topCandidates")
    if not isinstance(chosen, list):
        return []
    content = []
    for n, each in enumerate(chosen):
        step = mapping(steps[n] if isinstance(steps, list) and n < len(steps) else None)
        listed = step.get("candidates")
        top = [_token(one) for one in listed] if isinstance(listed, list) else []
        content.append(_token(each) | {"top_logprobs": top})
    return content


def _token(raw: Any) -> Json:
    """One token as the format has it. A log-probability of 0 is left out on the wire."""
    found = mapping(raw)
    token: Json = {"token": found.get("token", ""), "logprob": found.get("logProbability", 0.0)}
    return token | ({"token_id": found["tokenId"]} if "tokenId" in found else {})
