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
        return prompt_text(prompt)
    if not loaded.tokenizer.chat_template:
        raise ModelError(
            f"{spec.model} has no chat template; pass --raw for a base model or "
            "--chat-template FILE."
        )
    started = ""
    if prompt and prompt[-1].role == "assistant":
        started, prompt = prompt[-1].content, prompt[:-1]
    system = (Message("system", spec.system),) if spec.system else ()
    messages = [{"role": turn.role, "content": turn.content} for turn in system + tuple(prompt)]
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
