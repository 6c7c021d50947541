"""SGLang's /generate, with the log-probabilities of its input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kl_core.emulator.following import Ids, Whole
from kl_core.emulator.openai_asked import Call, served
from kl_core.emulator.openai_body import (
    Json,
    flag,
    refuse_unsupported,
    whole_number,
)
from kl_core.emulator.openai_chat import NO_LOGPROBS
from kl_core.emulator.openai_completion import checked_ids, one_prompt
from kl_core.emulator.openai_draw import Drawing, answers, read_drawing, text_of
from kl_core.emulator.openai_error import bad
from kl_core.emulator.openai_tokens import Writer
from kl_core.emulator.reply import Said
from kl_core.emulator.state import State

DEFAULT_TOKENS = 128
NOT_HERE = ("input_embeds", "image_data", "token_ids_logprob", "lora_path", "stream")
Triple = list[Any]  # [logprob or null, id, text or null]


@dataclass(frozen=True, slots=True)
class GenerateAsked:
    """What a body asks for.

    Attributes:
        start: first token of the input whose log-probability is told; -1 for none. That
            token's own is null: it needs the one before it.
        top: candidates at each position.
        with_text: whether the tokens are told as text too.
    """

    model: str
    prompt: str | Ids
    logprobs: bool
    start: int
    top: int
    with_text: bool
    drawing: Drawing
    body: Json


def read(state: State, body: Json) -> GenerateAsked:
    """Check a body and read it; nobody names a model here.

    Raises:
        OpenAiError: 400.
    """
    refuse_unsupported(body, NOT_HERE)
    if (body.get("text") is None) == (body.get("input_ids") is None):
        raise bad("Either text or input_ids should be provided.")
    params = body.get("sampling_params")
    if params is None:
        params = {}
    if not isinstance(params, dict):
        raise bad("This local server takes one object of sampling_params.", "sampling_params")
    refuse_unsupported(params)
    logprobs = flag(body, "return_logprob")
    if logprobs and not state.settings.logprobs:
        raise bad(NO_LOGPROBS, "return_logprob")
    given = body["text"] if body.get("input_ids") is None else body["input_ids"]
    return GenerateAsked(
        served(state)[-1],
        one_prompt(given),
        logprobs,
        whole_number(body, "logprob_start_len", -1, -1) or 0,
        whole_number(body, "top_logprobs_num", 0, 0) or 0,
        flag(body, "return_text_in_logprobs"),
        read_drawing(params, ("max_new_tokens",), DEFAULT_TOKENS, 0),
        body,
    )


def reply(state: State, asked: GenerateAsked, call: Call) -> Json:
    """The reply; call it where a model may compute.

    Raises:
        ApiError: prompt and answer do not fit.
    """
    source = state.source(asked.model)
    ids = checked_ids(asked.prompt, True, source, state.settings)
    _require_room(source.positions, len(ids), asked)
    wants_input = asked.logprobs and asked.start >= 0
    whole = source.whole(ids, asked.top) if wants_input else None
    said = answers(source, ids, asked.drawing, call.key)[0]
    writer = Writer(source.spelling, "replaced")
    finish = {"type": "stop"} if said.ended else {"type": "length", "length": len(said.steps)}
    meta: Json = {
        "id": call.number,
        "finish_reason": finish,
        "prompt_tokens": len(ids),
        "completion_tokens": len(said.steps),
        "cached_tokens": 0,
        "weight_version": "default",
    }
    if asked.logprobs:
        write = writer.token if asked.with_text else _no_text
        _add_input(meta, whole, asked, write)
        _add_output(meta, said, asked, write)
    return {
        "text": text_of(source.spelling.data, said),
        "output_ids": [step.token for step in said.steps],
        "meta_info": meta,
    }


def _require_room(most: int | None, prompt: int, asked: GenerateAsked) -> None:
    if most is None:
        return
    if prompt > most:
        raise bad(
            f"The input ({prompt} tokens) is longer than the model's context length "
            f"({most} tokens)."
        )
    wanted = asked.drawing.max_tokens or 0
    if prompt + wanted > most:
        raise bad(
            f"Requested token count exceeds the model's maximum context length of {most} tokens. "
            f"You requested a total of {prompt + wanted} tokens: {prompt} tokens from the input "
            f"messages and {wanted} tokens for the completion."
        )
    if asked.start > prompt:
        raise bad(
            f"logprob_start_len ({asked.start}) must be at most the length of the input ({prompt})."
        )


def _no_text(number: int) -> None:
    return None


def _add_input(meta: Json, whole: Whole | None, asked: GenerateAsked, write: Any) -> None:
    triples: list[Triple] = []
    tops: list[list[Triple] | None] = []
    if whole is not None and asked.start < len(whole.ids):
        ids, values = whole.top_ids.tolist(), whole.top_logprobs.tolist()
        own = whole.logprobs.tolist()
        triples.append([None, whole.ids[asked.start], write(whole.ids[asked.start])])
        tops.append(None)
        for at in range(asked.start, len(own)):
            number = whole.ids[at + 1]
            triples.append([own[at], number, write(number)])
            pairs = zip(values[at], ids[at], strict=True)
            tops.append([[value, n, write(n)] for value, n in pairs])
    meta["input_token_logprobs"] = triples
    if asked.top:
        meta["input_top_logprobs"] = tops


def _add_output(meta: Json, said: Said, asked: GenerateAsked, write: Any) -> None:
    triples: list[Triple] = []
    tops: list[list[Triple]] = []
    for step in said.steps:
        following = step.following
        triples.append([float(following.logprobs[step.at]), step.token, write(step.token)])
        pairs = list(zip(following.logprobs, following.ids, strict=True))[: asked.top]
        tops.append([[float(value), int(n), write(int(n))] for value, n in pairs])
    meta["output_token_logprobs"] = triples
    if asked.top:
        meta["output_top_logprobs"] = tops
