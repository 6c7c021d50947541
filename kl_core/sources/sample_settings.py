"""What all samples of one model have in common, and the key of each."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import msgspec

from kl_core.formats.sampling_config import ModelConfig, SamplingConfig, settled
from kl_core.records import Prompt
from kl_core.sources.sample_question import SampleQuestion


@dataclass(frozen=True, slots=True)
class Settings:
    """How each sample of one model is drawn.

    Attributes:
        samples: responses a prompt.
        top_logprobs: 0 asks for no log-probabilities.
        seed: the first sample's; the others count up from it. None draws anew each time.
    """

    samples: int = 1
    max_tokens: int = 256
    temperature: float = 1.0
    top_p: float = 1.0
    top_logprobs: int = 20
    seed: int | None = None

    @classmethod
    def of(cls, config: SamplingConfig, model: ModelConfig) -> Settings:
        """The model's own settings where it has some, else those for all models."""
        whole = settled(config, model)
        names = ("samples", "max_tokens", "temperature", "top_p", "top_logprobs")
        return cls(**{name: getattr(whole, name) for name in names}, seed=config.seed)

    def seed_of(self, number: int) -> int | None:
        """The seed of one sample of a prompt."""
        return None if self.seed is None else self.seed + number


@dataclass(frozen=True, slots=True)
class Keys:
    """Hands out the keys of one model's questions.

    Attributes:
        base: hash of the model and of what decides its responses.
    """

    base: bytes

    @classmethod
    def of(cls, model: ModelConfig, sampling: dict[str, Any], address: str) -> Keys:
        """Keys for one model.

        Args:
            sampling: what decides which responses it gives (`sampling_of`).
            address: where the calls go, redirects of the environment included.
        """
        named = [model.name, model.folder, address, sampling]
        text = msgspec.json.encode(named, order="deterministic")
        return cls(hashlib.sha256(text).digest())

    def question(self, prompt: Prompt, number: int) -> SampleQuestion:
        """Sample `number` of a prompt."""
        turns = repr([(turn.role, turn.content) for turn in prompt])
        text = self.base + f"{number}:{turns}".encode("utf-8", "surrogatepass")
        return SampleQuestion(hashlib.sha256(text).digest()[:16], prompt, number)


def is_started(prompt: Prompt) -> bool:
    """Whether the prompt ends with an answer that is to be continued."""
    return bool(prompt) and prompt[-1].role == "assistant"
