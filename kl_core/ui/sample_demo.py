"""The demo of the Sample page: prompts and models for a server on this machine."""

from __future__ import annotations

from kl_core.formats.sampling_config import ModelConfig, PromptSource, SamplingConfig

PROMPTS = (
    "What is the capital of Merrow?",
    "Who built the Long Bridge?",
    "What colour is the lamp of the lighthouse?",
    "How many bells hang in the clock tower?",
    "How do bees make wax?",
    "What is a good gift for a friend?",
)
MODELS = ("tiny-base", "tiny-tuned")
_ROOT = "/v1"


def config(address: str) -> SamplingConfig:
    """What the demo asks of the demo server at an address."""
    models = tuple(ModelConfig(name=name, base_url=address + _ROOT) for name in MODELS)
    return SamplingConfig(
        output_dir="",
        models=models,
        prompts=PromptSource(texts=PROMPTS),
        samples=3,
        max_tokens=96,
        top_p=0.9,
    )


def addresses(config: SamplingConfig) -> list[str]:
    """Where a configuration asks, each address once."""
    return sorted({model.base_url or "" for model in config.models})
