"""Samples from a local transformers model, in the shape an OpenAI-shaped server gives."""

from __future__ import annotations

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import msgspec

from kl_core.errors import KLExplorerError
from kl_core.formats.sampling_config import ModelConfig
from kl_core.formats.vocabulary import Vocabulary
from kl_core.models.load import (
    LoadedModel,
    ModelSpec,
    added_text_ids,
    encode_prompt,
    load_model,
    vocabulary_pieces,
)
from kl_core.sources.calls import Answer, CallError
from kl_core.sources.sample_question import SampleQuestion
from kl_core.sources.sample_settings import Settings
from kl_core.sources.sample_words import unexpected

if TYPE_CHECKING:
    from kl_core.models.sample import Sampled

Json = dict[str, Any]
PROVIDER = "local"


def spec_of(model: ModelConfig) -> ModelSpec:
    """What to load for a local model."""
    return ModelSpec(
        model.name,
        model.revision,
        model.dtype,
        model.device,
        adapter=model.adapter,
        trust_remote_code=model.trust_remote_code,
        chat_template=model.chat_template,
        raw=model.raw,
    )


class LocalSampler:
    """Draws one sample at a time in a thread of its own; the model is loaded at the first."""

    def __init__(self, model: ModelConfig, settings: Settings) -> None:
        self._model, self._settings = model, settings
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sampler")
        self._loaded: tuple[LoadedModel, Vocabulary] | None = None

    async def __call__(self, question: SampleQuestion) -> Answer:
        """Draw one response.

        Raises:
            CallError: the model cannot be loaded or fails (denied), or cannot take the prompt
                (refused).
        """
        loop = asyncio.get_running_loop()
        try:
            loaded, vocabulary = await loop.run_in_executor(self._thread, self._load)
        except KLExplorerError as error:
            raise CallError("model", str(error), "denied") from error
        except Exception as error:  # whatever it is, other models go on
            raise unexpected("the model", self._model.name, error) from error
        try:
            return await loop.run_in_executor(
                self._thread, self._draw, loaded, vocabulary, question
            )
        except KLExplorerError as error:
            raise CallError("bad prompt", str(error), "refused") from error
        except Exception as error:  # out of memory, as a rule
            raise unexpected("the model", self._model.name, error) from error

    async def close(self) -> None:
        """Let the model go."""
        await asyncio.to_thread(self._thread.shutdown)
        self._loaded = None

    def _load(self) -> tuple[LoadedModel, Vocabulary]:
        if self._loaded is None:
            loaded = load_model(spec_of(self._model))
            pieces, special = vocabulary_pieces(loaded)
            self._loaded = loaded, Vocabulary(pieces, special, added_text_ids(loaded))
        return self._loaded

    def _draw(self, loaded: LoadedModel, vocabulary: Vocabulary, asked: SampleQuestion) -> Answer:
        from kl_core.models.sample import sample

        settings = self._settings
        seed = settings.seed_of(asked.number)
        prompt_ids = encode_prompt(loaded, asked.prompt)
        [drawn] = sample(
            loaded,
            prompt_ids,
            1,
            settings.max_tokens,
            settings.temperature,
            settings.top_logprobs,
            secrets.randbits(62) if seed is None else seed,
            settings.top_p,
        )
        name = self._model.name.rstrip("/").rsplit("/", 1)[-1]
        item = response_item(drawn, vocabulary, name, settings.top_logprobs)
        return Answer(
            model=name,
            input_tokens=len(prompt_ids),
            output_tokens=len(drawn.ids),
            finish="stop" if drawn.stopped else "length",
            body=msgspec.json.encode(item),
        )


def response_item(drawn: Sampled, vocabulary: Vocabulary, model: str, top_logprobs: int) -> Json:
    """One draw as a chat completion with token ids and bytes; the end token has its position.

    The log-probabilities are those of the untruncated distribution at temperature 1, natural
    logs.
    """
    scores = drawn.scores
    content = []
    for n, token in enumerate(drawn.ids if top_logprobs else ()):
        listed = zip(scores.top_ids[n].tolist(), scores.top_logprobs[n].tolist(), strict=True)
        top = [_token(vocabulary, other, logprob) for other, logprob in listed]
        one = _token(vocabulary, token, float(scores.chosen[n]))
        content.append(one | {"top_logprobs": top})
    text = b"".join(vocabulary.text_bytes(drawn.ids)).decode("utf-8", "replace")
    choice = {
        "index": 0,
        "finish_reason": "stop" if drawn.stopped else "length",
        "message": {"role": "assistant", "content": text},
        "logprobs": {"content": content} if content else None,
    }
    return {"provider": PROVIDER, "model": model, "choices": [choice]}


def _token(vocabulary: Vocabulary, number: int, logprob: float) -> Json:
    token = vocabulary.token(number)
    return {
        "token": token.text,
        "token_id": number,
        "logprob": min(logprob, 0.0),
        "bytes": list(token.data) if token.data is not None and not token.special else None,
    }
