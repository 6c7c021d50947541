"""Text completions, and the two ways of vLLM and others to score a whole prompt by them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kl_core.emulator.following import Ids, Source, Whole
from kl_core.emulator.openai_asked import Call, framed, ignored, model_of, usage_of, way_of
from kl_core.emulator.openai_body import Json, flag, refuse_unsupported, require_listed
from kl_core.emulator.openai_body import whole_number as integer
from kl_core.emulator.openai_chat import NO_LOGPROBS
from kl_core.emulator.openai_draw import Drawing, answers, read_drawing, room, text_of
from kl_core.emulator.openai_error import bad
from kl_core.emulator.openai_scored import Lists, echoed, prompt_logprobs
from kl_core.emulator.openai_tokens import Writer
from kl_core.emulator.reply import Said
from kl_core.emulator.settings import Settings
from kl_core.emulator.state import State

DEFAULT_TOKENS = 16
VLLM_FIELDS = (
    "prompt_logprobs",
    "add_special_tokens",
    "return_tokens_as_token_ids",
    "return_token_ids",
)
EMPTY = "Either prompt or prompt_embeds must be provided and non-empty."
ONE = "This local server takes one prompt a call."


@dataclass(frozen=True, slots=True)
class CompletionAsked:
    """What a body asks for.

    Attributes:
        prompt: a text or token ids.
        special: whether a text gets what the tokenizer adds of its own.
        echo: whether the prompt comes back in front of the answer.
        top: entries besides the token's own; None for no log-probabilities.
        prompt_top: the same for the prompt, in vLLM's own shape.
        as_ids, with_ids: as ChatAsked's.
    """

    model: str
    prompt: str | Ids
    special: bool
    echo: bool
    top: int | None
    prompt_top: int | None
    drawing: Drawing
    body: Json
    as_ids: bool
    with_ids: bool

    @property
    def logprobs(self) -> bool:
        """Whether log-probabilities are asked for."""
        return self.top is not None or self.prompt_top is not None


def read(state: State, body: Json) -> CompletionAsked:
    """Check a body and read it.

    Raises:
        OpenAiError: 400, 404.
    """
    model, settings = model_of(state, body), state.settings
    refuse_unsupported(body, ("prompt_embeds", "top_logprobs"))
    vllm, echo = "vllm" in settings.scoring, "echo" in settings.scoring
    for name in () if vllm else VLLM_FIELDS:
        ignored(settings, body, name)
    if not echo and body.get("echo"):
        ignored(settings, body, "echo")
    echo = echo and flag(body, "echo")
    top = integer(body, "logprobs", None, 0)
    prompt_top = integer(body, "prompt_logprobs", None, 0) if vllm else None
    if (top is not None or prompt_top is not None) and not settings.logprobs:
        raise bad(NO_LOGPROBS, "logprobs")
    require_listed(top, settings.max_logprobs, "sample", "logprobs")
    require_listed(prompt_top, settings.max_logprobs, "prompt", "prompt_logprobs")
    if vllm and echo and prompt_top is None:
        prompt_top = top
    return CompletionAsked(
        model,
        one_prompt(body.get("prompt")),
        flag(body, "add_special_tokens", True) if vllm else True,
        echo,
        top,
        prompt_top,
        read_drawing(body, ("max_tokens",), DEFAULT_TOKENS, 0 if echo else 1),
        body,
        vllm and flag(body, "return_tokens_as_token_ids"),
        vllm and flag(body, "return_token_ids"),
    )


def one_prompt(prompt: Any) -> str | Ids:
    """A text or token ids, alone or in a list of one.

    Raises:
        OpenAiError: 400.
    """
    if isinstance(prompt, list) and prompt and not _are_ids(prompt):
        if len(prompt) > 1:
            raise bad(ONE, "prompt")
        prompt = prompt[0]
    if isinstance(prompt, list) and prompt and _are_ids(prompt):
        return tuple(prompt)
    if isinstance(prompt, str) and prompt:
        return prompt
    raise bad(EMPTY, "prompt")


def _are_ids(values: list[Any]) -> bool:
    return all(isinstance(value, int) and not isinstance(value, bool) for value in values)


def checked_ids(prompt: str | Ids, special: bool, source: Source, settings: Settings) -> Ids:
    """The prompt's ids, all of the vocabulary.

    Args:
        special: whether a text gets what its tokenizer adds of its own.

    Raises:
        OpenAiError: 400.
    """
    ids: Ids = source.encode(prompt, special) if isinstance(prompt, str) else prompt
    if isinstance(prompt, str) and special and settings.adds_bos and source.bos is not None:
        ids = (source.bos, *ids)
    for number in ids:
        if not 0 <= number < len(source.spelling):
            raise bad(f"Token id {number} is out of vocabulary", "prompt")
    if not ids:
        raise bad(EMPTY, "prompt")
    return ids


def reply(state: State, asked: CompletionAsked, call: Call) -> Json:
    """The reply; call it where a model may compute.

    Raises:
        ApiError: prompt and answer do not fit.
    """
    settings, source = state.settings, state.source(asked.model)
    ids = checked_ids(asked.prompt, asked.special, source, settings)
    room(source, ids, asked.drawing)
    wanted = [top for top in (asked.prompt_top, asked.top if asked.echo else None) if top is not
              None]  # fmt: skip
    whole = source.whole(ids, max(wanted)) if wanted else None
    said = answers(source, ids, asked.drawing, call.key)
    writer = Writer(source.spelling, "ids" if asked.as_ids else way_of(call.provider))
    choices = [_choice(n, each, ids, whole, asked, writer, call) for n, each in enumerate(said)]
    return {
        **framed(asked.model, "text_completion", settings, call),
        "choices": choices,
        "usage": usage_of(said, len(ids), settings),
    }


def _choice(
    number: int,
    said: Said,
    ids: Ids,
    whole: Whole | None,
    asked: CompletionAsked,
    writer: Writer,
    call: Call,
) -> Json:
    text = text_of(writer.spelling.data, said)
    if asked.echo:
        plain = Writer(writer.spelling, "text")
        given = asked.prompt
        text = (given if isinstance(given, str) else plain.text(ids)) + text
    logprobs = None
    if asked.top is not None and "no-logprobs" not in call.provider.quirks:
        lists = Lists(writer, asked.top)
        if asked.echo and whole is not None:
            echoed(lists, whole)
        lists.add_said(said)
        logprobs = lists.json()
    choice: Json = {
        "index": number,
        "text": text,
        "logprobs": logprobs,
        "finish_reason": "stop" if said.ended else "length",
        "stop_reason": None,
    }
    if asked.prompt_top is not None and whole is not None:
        choice["prompt_logprobs"] = prompt_logprobs(whole, asked.prompt_top, writer.spelling)
    if asked.with_ids:
        choice["prompt_token_ids"] = list(ids)
        choice["token_ids"] = [step.token for step in said.steps]
    return choice
