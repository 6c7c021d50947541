"""One response to be sampled: what is asked, and what is kept of it."""

from __future__ import annotations

from dataclasses import dataclass

from kl_core.records import Prompt


@dataclass(frozen=True, slots=True)
class SampleQuestion:
    """One draw from one model; a Question of the pool.

    A prompt whose last turn is the assistant's is a started answer to be continued literally.

    The answer's `body` is the JSON of one item of a file's `responses`: an OpenAI-shaped reply
    (`{id, provider, model, choices: […]}`) or one of the Gemini sampling format (`{text,
    logprobs: {content: […]}, finish_reason, model_version}`).

    Attributes:
        key: hash of model, settings, prompt and number.
        number: which of the prompt's samples it is, from 0.
    """

    key: bytes
    prompt: Prompt
    number: int
