"""generateContent on the wire: a context as a request body, a reply as an answer.

The same body goes to the Developer API, to Vertex, and into a line of a batch job.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kl_core.errors import InputError
from kl_core.formats.dists import OUTSIDE
from kl_core.records import Message, Prompt
from kl_core.sources.calls import Answer, CallError, Candidate, Context
from kl_core.sources.json_values import count, mapping

ROLES = {"user": "user", "human": "user", "assistant": "model", "model": "model"}
SYSTEM = ("system", "developer")
IDS = range(-(2**63), 2**63)  # what 64 bits hold
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class WireSettings:
    """What is the same in every call of a run.

    Attributes:
        model: the name asked for; a reply by another version is refused.
        top_logprobs: length of the lists, at most 20.
        thinking_budget: tokens of thought the model may spend; None leaves it out.
    """

    model: str
    top_logprobs: int = 20
    thinking_budget: int | None = 0


def request_body(context: Context, settings: WireSettings) -> Json:
    """The body: the prompt's turns, then what model 1 has said as a last turn of the model.

    Raises:
        InputError: a role that the API does not know, or a prompt without text.
    """
    body = prompt_body(context.prompt)
    contents: list[Json] = body["contents"]
    if context.end:
        said = {"text": context.prefix}
        if contents and contents[-1]["role"] == "model":
            contents[-1]["parts"].append(said)
        else:
            contents.append({"role": "model", "parts": [said]})
    config: Json = {
        "temperature": 0.0,
        "maxOutputTokens": 1,
        "responseLogprobs": True,
        "logprobs": settings.top_logprobs,
    }
    if settings.thinking_budget is not None:
        config["thinkingConfig"] = {"thinkingBudget": settings.thinking_budget}
    body["generationConfig"] = config
    return body


def prompt_body(prompt: Prompt) -> Json:
    """`{"contents": […]}`, with `systemInstruction` where the prompt has system turns.

    Raises:
        InputError: as request_body.
    """
    contents: list[Json] = []
    system: list[Json] = []
    for turn in prompt:
        if turn.role in SYSTEM:
            system += [{"text": turn.content}] if turn.content else []
            continue
        role = _role(turn)
        if not turn.content:  # an empty part is refused
            continue
        if contents and contents[-1]["role"] == role:
            contents[-1]["parts"].append({"text": turn.content})
        else:
            contents.append({"role": role, "parts": [{"text": turn.content}]})
    if not contents:
        raise InputError("the prompt has no text, and Gemini refuses an empty one")
    body: Json = {"contents": contents}
    if system:
        body["systemInstruction"] = {"parts": system}
    return body


def _role(turn: Message) -> str:
    try:
        return ROLES[turn.role]
    except KeyError:
        raise InputError(
            f"a turn of the prompt has the role {turn.role!r}; Gemini takes user, assistant and "
            "system"
        ) from None


def read_reply(reply: Mapping[str, Any], settings: WireSettings) -> Answer:
    """The answer of a reply's JSON.

    Raises:
        CallError: `other model` (stop), `blocked`, `empty` or `no logprobs` (odd).
    """
    usage = mapping(reply.get("usageMetadata"))
    tokens_in, tokens_out = count(usage, "promptTokenCount"), count(usage, "candidatesTokenCount")
    version = str(reply.get("modelVersion") or "")
    if version and not same_model(settings.model, version):
        raise CallError(
            "other model",
            f"{version} answered where {settings.model} was asked; nothing of it was used, ask "
            f"for {version} by name if that is the model you mean",
            "stop",
            input_tokens=tokens_in,
            output_tokens=tokens_out,
        )
    candidates = reply.get("candidates")
    if not isinstance(candidates, list) or not candidates:
        why = mapping(reply.get("promptFeedback")).get("blockReason")
        if why:
            raise CallError(
                "blocked", f"the prompt was blocked ({why})", "odd", input_tokens=tokens_in
            )
        raise CallError("empty", "the reply had no candidate", "odd", input_tokens=tokens_in)
    first = mapping(candidates[0])
    finish = str(first.get("finishReason") or "")
    result = mapping(first.get("logprobsResult"))
    top = _candidates(result)
    if not top:
        parts = mapping(first.get("content")).get("parts")
        kind = "no logprobs" if parts else "empty"
        ended = f" (finish reason {finish})" if finish else ""
        reason = (
            f"the reply had a text but no log-probabilities{ended}"
            if parts
            else f"the reply was empty{ended}: no token, no log-probabilities"
        )
        raise CallError(kind, reason, "odd", input_tokens=tokens_in, output_tokens=tokens_out)
    chosen = result.get("chosenCandidates")
    first_chosen = _candidate(chosen[0]) if isinstance(chosen, list) and chosen else None
    return Answer(top, first_chosen, version, tokens_in, tokens_out, finish)


def same_model(asked: str, answered: str) -> bool:
    """Whether a version is the model asked for: the name itself, or it with a number after it.

    `gemini-2.5-flash` may answer as `gemini-2.5-flash-001` or `…-preview-05-20`, not as
    `gemini-2.5-flash-lite`.
    """
    name, version = _bare(asked), _bare(answered)
    if name == version:
        return True
    rest = version.removeprefix(f"{name}-")
    if rest == version:
        return False
    return rest[:1].isdigit() or rest.startswith("preview") or rest == "latest"


def _bare(model: str) -> str:
    return model.rsplit("/", 1)[-1].split("@", 1)[0].lower()


def _candidates(result: Mapping[str, Any]) -> tuple[Candidate, ...]:
    steps = result.get("topCandidates")
    if not isinstance(steps, list) or not steps:
        return ()
    listed = mapping(steps[0]).get("candidates")
    if not isinstance(listed, list):
        return ()
    found = [_candidate(each) for each in listed]
    return tuple(each for each in found if each is not None)


def _candidate(raw: Any) -> Candidate | None:
    """One candidate; None for what is none. A logprob of 0 is left out on the wire."""
    if not isinstance(raw, dict) or not isinstance(raw.get("token", ""), str):
        return None
    logprob = raw.get("logProbability", 0.0)
    if isinstance(logprob, bool) or not isinstance(logprob, int | float) or logprob <= OUTSIDE:
        return None
    number = raw.get("tokenId")
    is_id = isinstance(number, int) and not isinstance(number, bool) and number in IDS
    known = number if is_id else None
    return Candidate(raw.get("token", ""), known, float(logprob))
