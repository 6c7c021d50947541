"""Chat completions: the body, and the reply with its log-probabilities."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from kl_core.emulator.following import Ids, Source
from kl_core.emulator.openai_asked import (
    FLOOR,
    Call,
    framed,
    ignored,
    model_of,
    usage_of,
    way_of,
)
from kl_core.emulator.openai_body import Json, flag, refuse_unsupported, require_listed
from kl_core.emulator.openai_body import whole_number as integer
from kl_core.emulator.openai_draw import Drawing, answers, read_drawing, room, text_of
from kl_core.emulator.openai_error import bad
from kl_core.emulator.openai_providers import thinks
from kl_core.emulator.openai_tokens import Writer
from kl_core.emulator.reply import Said, Step
from kl_core.emulator.settings import Provider
from kl_core.emulator.state import State
from kl_core.records import Message, Prompt

ROLES = ("system", "user", "assistant")
BOTH = "Cannot set both `continue_final_message` and `add_generation_prompt` to True."
NO_PREFILL = "This model does not support a last message of the assistant."
NO_LOGPROBS = "logprobs is not supported by this model."
NO_TOP = "when using `top_logprobs`, `logprobs` must be set to true."
THOUGHT = "The user asks, and I answer in a sentence."
THOUGHT_TOKENS = 12


@dataclass(frozen=True, slots=True)
class ChatAsked:
    """What a body asks for.

    Attributes:
        prompt: the turns before the answer.
        said: the last turn of the assistant, to be continued; None where all turns are over.
        top: see Asked.top.
        as_ids: whether tokens are written as `token_id:7`.
        with_ids: whether the ids are told.
    """

    model: str
    prompt: Prompt
    said: str | None
    top: int | None
    drawing: Drawing
    body: Json
    as_ids: bool
    with_ids: bool

    @property
    def logprobs(self) -> bool:
        """Whether log-probabilities are asked for."""
        return self.top is not None


def read(state: State, body: Json) -> ChatAsked:
    """Check a body and read it.

    Raises:
        OpenAiError: 400, 404.
    """
    model, settings = model_of(state, body), state.settings
    refuse_unsupported(body, ("prompt_logprobs", "chat_template", "echo"))
    turns = _turns(body.get("messages"))
    goes_on = _continued(state, body, turns)
    drawing = read_drawing(body, ("max_completion_tokens", "max_tokens"), None, 1)
    prompt, said = (turns[:-1], turns[-1].content) if goes_on else (turns, None)
    vllm = "vllm" in settings.scoring
    if not vllm:
        for name in ("continue_final_message", "return_tokens_as_token_ids", "return_token_ids"):
            ignored(settings, body, name)
    as_ids = vllm and flag(body, "return_tokens_as_token_ids")
    with_ids = vllm and flag(body, "return_token_ids")
    return ChatAsked(model, prompt, said, _top(state, body), drawing, body, as_ids, with_ids)


def reply(state: State, asked: ChatAsked, call: Call) -> Json:
    """The reply; call it where a model may compute.

    Raises:
        ApiError: the prompt does not fit, or is not one for this model.
    """
    settings, source = state.settings, state.source(asked.model)
    quirks, drawing = call.provider.quirks, asked.drawing
    if "error-in-200" in quirks:
        return _error_inside(call)
    if "one-choice" in quirks:
        drawing = replace(drawing, n=1)
    ids = _ids(source, asked)
    thinking = thinks(call.provider, asked.body)
    if thinking:
        drawing = replace(drawing, max_tokens=room(source, ids, drawing))
        said = _after_a_thought(source, ids, drawing, call)
    else:
        said = answers(source, ids, drawing, call.key)
    silent = thinking or "no-logprobs" in quirks
    writer = Writer(source.spelling, "ids" if asked.as_ids else way_of(call.provider))
    choices = [_choice(n, each, asked, writer, call, silent) for n, each in enumerate(said)]
    if thinking:
        _think(choices, asked.body)
    found = {
        **framed(asked.model, "chat.completion", settings, call),
        "choices": choices,
        "usage": usage_of(said, len(ids), settings),
    }
    if thinking:
        _count_thought(found["usage"], len(said))
    if asked.with_ids:
        found["prompt_token_ids"] = list(ids)
    return found


def _turns(messages: Any) -> Prompt:
    if not isinstance(messages, list) or not messages:
        raise bad("messages must be a list of at least one message.", "messages")
    turns = []
    for message in messages:
        role = message.get("role") if isinstance(message, dict) else None
        if role not in ROLES:
            raise bad(f"role must be one of {', '.join(ROLES)}, got {role!r}.", "messages")
        turns.append(Message(role, _content(message.get("content"))))
    return tuple(turns)


def _content(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [None]
    texts = [part.get("text") if isinstance(part, dict) else None for part in parts]
    if not all(isinstance(text, str) for text in texts):
        raise bad("This local server takes messages of text alone.", "messages")
    return "".join([str(text) for text in texts])


def _continued(state: State, body: Json, turns: Prompt) -> bool:
    """Whether the last turn is a started answer."""
    settings = state.settings
    by_assistant = turns[-1].role == "assistant"
    if by_assistant and not settings.prefill:
        raise bad(NO_PREFILL, "messages")
    if "vllm" in settings.scoring:
        wanted = flag(body, "continue_final_message")
        begins = flag(body, "add_generation_prompt", True)
        if wanted and begins:
            raise bad(BOTH, "continue_final_message")
        if wanted and not by_assistant:
            raise bad("This local server continues turns of the assistant alone.", "messages")
        if not wanted and not begins:
            raise bad("This local server does not offer add_generation_prompt alone.")
        if wanted:
            return True
    return by_assistant and settings.trailing_turn


def _top(state: State, body: Json) -> int | None:
    top = integer(body, "top_logprobs", None, 0)
    if not flag(body, "logprobs"):
        if top:
            raise bad(NO_TOP, "top_logprobs")
        return None
    if not state.settings.logprobs:
        raise bad(NO_LOGPROBS, "logprobs")
    require_listed(top, state.settings.max_logprobs, "sample", "top_logprobs")
    return top or 0


def _ids(source: Source, asked: ChatAsked) -> Ids:
    if asked.said is None:
        return source.closed(asked.prompt)
    return source.start(asked.prompt, asked.said)


def _after_a_thought(source: Source, ids: Ids, drawing: Drawing, call: Call) -> list[Said]:
    """The thought uses up tokens of the answer, all of them if there are few."""
    left = (drawing.max_tokens or 0) - THOUGHT_TOKENS
    if left <= 0:
        return [Said((), ended=False, prompt_tokens=len(ids))] * drawing.n
    return answers(source, ids, replace(drawing, max_tokens=left), call.key)


def _think(choices: list[Json], body: Json) -> None:
    if (body.get("reasoning") or {}).get("exclude"):
        return
    for choice in choices:
        choice["message"]["reasoning"] = THOUGHT


def _count_thought(usage: Json, choices: int) -> None:
    tokens = THOUGHT_TOKENS * choices
    usage["completion_tokens"] += tokens
    usage["total_tokens"] += tokens
    usage["completion_tokens_details"] = {"reasoning_tokens": tokens}


def _choice(
    number: int, said: Said, asked: ChatAsked, writer: Writer, call: Call, silent: bool
) -> Json:
    finish = "stop" if said.ended else "length"
    text = text_of(writer.spelling.data, said)
    logprobs = None
    if asked.top is not None and not silent:
        content = [_entry(step, asked.top, writer, call.provider) for step in said.steps]
        logprobs = {"content": content, "refusal": None}
    choice: Json = {
        "index": number,
        "message": {"role": "assistant", "content": text, "refusal": None},
        "logprobs": logprobs,
        "finish_reason": finish,
    }
    if call.provider.name:
        choice["native_finish_reason"] = finish
    if asked.with_ids:
        choice["token_ids"] = [step.token for step in said.steps]
    return choice


def _entry(step: Step, top: int, writer: Writer, provider: Provider) -> Json:
    """One token and its list, most likely first, as the provider's quirks leave them."""
    following, quirks = step.following, provider.quirks
    count = min((top + 1) // 2 if "fewer" in quirks else top, len(following.ids))
    places = [at for at in range(count) if "chosen-missing" not in quirks or at != step.at]
    values = [float(following.logprobs[at]) for at in places]
    if "floor" in quirks:
        half = (len(places) + 1) // 2
        values[half:] = [FLOOR] * (len(values) - half)
    listed = [
        writer.entry(int(following.ids[at]), value)
        for at, value in zip(places, values, strict=True)
    ]
    own = writer.entry(step.token, float(following.logprobs[step.at]))
    return {**own, "top_logprobs": listed}


def _error_inside(call: Call) -> Json:
    metadata = {"provider_name": call.provider.name, "raw": "upstream connect error"}
    error = {"message": "Provider returned error", "code": 502, "metadata": metadata}
    return {"error": error, "user_id": "user_emulated"}
