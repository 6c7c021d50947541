"""Counting one model's responses while they come in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kl_core.records import Problem
from kl_core.sources.gemini_wire import same_model
from kl_core.sources.sample_reply import has_logprobs, is_end, provider_of
from kl_core.store.sampled import SampledModel


@dataclass(slots=True)
class ModelCounts:
    """What is on disk of one model.

    Attributes:
        asked_logprobs: whether log-probabilities are asked for; without, none are missing.
        samples: responses asked for a prompt.
        shown: the name, with the folder where another model has the same; for sentences.
        wanted, prompts, responses, kept, failed: as SampledModel.
        without: responses without log-probabilities, by provider.
        by_others: responses that name another model than was asked for, by its name.
    """

    name: str
    folder: str
    asked_logprobs: bool
    samples: int
    shown: str = ""
    wanted: int = 0
    prompts: int = 0
    responses: int = 0
    kept: int = 0
    failed: int = 0
    without: Counter[str] = field(default_factory=Counter)
    by_provider: Counter[str] = field(default_factory=Counter)
    by_others: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.shown = self.shown or self.name

    def add(self, items: Mapping[int, Mapping[str, Any]], kept: int, failed: int) -> None:
        """Count one file's responses."""
        self.prompts += bool(items)
        self.responses += len(items)
        self.kept += kept
        self.failed += failed
        self.wanted += sum(number >= self.samples for number in items)
        for item in items.values():
            provider = provider_of(item)
            self.by_provider[provider] += 1
            if self.asked_logprobs and not has_logprobs(item) and not is_end(item):
                self.without[provider] += 1
            said = item.get("model")
            if isinstance(said, str) and said and not _same(self.name, said):
                self.by_others[said] += 1

    def record(self) -> SampledModel:
        """As the store keeps it."""
        return SampledModel(
            self.name,
            self.folder,
            self.wanted,
            self.prompts,
            self.responses,
            self.kept,
            self.failed,
            dict(self.without),
            dict(self.by_provider),
        )

    def problems(self) -> list[Problem]:
        """One row a provider that gave responses without log-probabilities, or another model."""
        rows = [
            Problem(
                self.folder,
                self.shown,
                f"{count} of {self.responses} responses say that they are by {other}",
                "They are kept. It may be another name of the model that was asked for, or "
                "another model.",
            )
            for other, count in sorted(self.by_others.items())
        ]
        for provider, count in sorted(self.without.items()):
            of = self.by_provider[provider]
            who = provider or "a provider that is not named"
            rows.append(
                Problem(
                    self.folder,
                    self.shown,
                    f"{count} of {of} responses by {who} came without log-probabilities",
                    "They are kept and have text alone. Choose providers that give "
                    "log-probabilities, or leave this model out.",
                )
            )
        return rows


def _same(asked: str, said: str) -> bool:
    """Whether a reply's model is the one asked for; OpenRouter's `:free` is a way of paying."""
    return same_model(asked.partition(":")[0], said.partition(":")[0])
