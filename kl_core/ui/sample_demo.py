"""The demo of the Sample page: prompts and models for a server on this machine."""

from __future__ import annotations

from kl_core.formats.sampling_config import ModelConfig, PromptSource, SamplingConfig
from kl_core.ui import gemini_demo

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


def revive(config: SamplingConfig) -> None:
    """Start the demo server again where it is one of those asked.

    Raises:
        RunError: it does not start, or its port is taken meanwhile.
    """
    for address in {model.base_url or "" for model in config.models}:
        gemini_demo.revive(address)
