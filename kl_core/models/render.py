"""A prompt as the text a model reads, for servers that take text instead of ids."""

from __future__ import annotations

from kl_core.errors import ModelError
from kl_core.models.load import LoadedModel
from kl_core.records import Message, Prompt, prompt_text


def render_prompt(loaded: LoadedModel, prompt: Prompt) -> str:
    """The text of a prompt up to where the response begins, special tokens written out.

    The same as `encode_prompt` encodes: a started answer is continued, raw prompts are plain.

    Raises:
        ModelError: no chat template and not raw, or the template refuses the messages.
    """
    spec = loaded.spec
    if spec.raw:
        return render_raw(prompt)
    if not loaded.tokenizer.chat_template:
        raise ModelError(
            f"{spec.model} has no chat template; pass --raw for a base model or "
            "--chat-template FILE."
        )
    turns, started = _started(prompt)
    system = (Message("system", spec.system),) if spec.system else ()
    messages = [{"role": turn.role, "content": turn.content} for turn in system + turns]
    try:
        text: str = loaded.tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, tokenize=False
        )
    except Exception as error:
        raise ModelError(
            f"The chat template of {spec.model} refused the prompt ({error}); pass "
            "--chat-template FILE or --raw."
        ) from error
    return text + started


def render_raw(prompt: Prompt) -> str:
    """A prompt as plain text without a template; it needs no tokenizer.

    Turns are labelled where there are several; a started answer stands behind them as it is.
    """
    turns, started = _started(prompt)
    return prompt_text(turns) + started


def _started(prompt: Prompt) -> tuple[Prompt, str]:
    """The turns before a started answer, and what it says; all of its turns, in order."""
    end = len(prompt)
    while end and prompt[end - 1].role == "assistant":
        end -= 1
    return tuple(prompt[:end]), "".join([turn.content for turn in prompt[end:]])
