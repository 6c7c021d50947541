"""Text to token ids, by the model's own tokenizer and chat template."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kl_core.errors import ModelError
from kl_core.records import Message, Prompt, prompt_text

if TYPE_CHECKING:
    from kl_core.models.load import LoadedModel


def encode_prompt(loaded: LoadedModel, prompt: Prompt) -> tuple[int, ...]:
    """Ids of a prompt as the model expects it, ending where the response begins.

    With a chat template: `spec.system` as a first system message, then the turns, then
    the template's generation prompt; the template writes its own bos. Raw: the plain
    text (turns labelled when there are several) and the bos, if the tokenizer adds one.

    A last turn of the assistant is a started answer: the ids of the turns before it, then
    its text encoded on its own, to the last blank. A template is never given it, because
    many strip what an assistant said, and a response's text is encoded on its own too.

    Raises:
        ModelError: no chat template and not raw, or the template refuses the messages.
    """
    spec = loaded.spec
    if prompt and prompt[-1].role == "assistant":
        begun = encode_text(loaded, prompt[-1].content) if prompt[-1].content else ()
        return encode_prompt(loaded, prompt[:-1]) + begun
    if spec.raw:
        return _encode_raw(loaded.tokenizer, prompt_text(prompt))
    if not loaded.tokenizer.chat_template:
        raise ModelError(
            f"{spec.model} has no chat template; pass --raw for a base model or "
            "--chat-template FILE."
        )
    system = (Message("system", spec.system),) if spec.system else ()
    messages = [{"role": turn.role, "content": turn.content} for turn in system + tuple(prompt)]
    try:
        encoded = loaded.tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, tokenize=True, return_dict=True
        )
    except Exception as error:
        raise ModelError(
            f"The chat template of {spec.model} refused the prompt ({error}); pass "
            "--chat-template FILE or --raw."
        ) from error
    return tuple(int(token) for token in encoded["input_ids"])


def encode_text(loaded: LoadedModel, text: str) -> tuple[int, ...]:
    """Ids of a response's text, without any special tokens added."""
    ids = loaded.tokenizer(text, add_special_tokens=False)["input_ids"]
    return tuple(int(token) for token in ids)


def read_chat_template(value: str) -> str:
    """The template itself, from a file path or from its text.

    Raises:
        ModelError: neither an existing file nor a jinja template.
    """
    if "{{" in value or "{%" in value:
        return value
    path = Path(value).expanduser()
    if not path.is_file():
        raise ModelError(
            f"No chat template at {value}; give the path of a jinja file or the template text."
        )
    return path.read_text(encoding="utf-8")


def _encode_raw(tokenizer: Any, text: str) -> tuple[int, ...]:
    plain = [int(token) for token in tokenizer(text, add_special_tokens=False)["input_ids"]]
    whole = [int(token) for token in tokenizer(text, add_special_tokens=True)["input_ids"]]
    bos = tokenizer.bos_token_id
    adds_bos = bos is not None and whole[:1] == [bos] and plain[:1] != [bos]
    return tuple([bos, *plain] if adds_bos else plain)
