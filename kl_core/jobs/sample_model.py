"""One model of a run of `sample`: what its files hold, and what is still to be asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from kl_core.formats.sampled_files import SampledFile
from kl_core.formats.sampling_config import ModelConfig, SamplingConfig, sampling_of
from kl_core.jobs.sample_counts import ModelCounts
from kl_core.jobs.sample_prices import UNKNOWN
from kl_core.jobs.sample_prompts import Asked
from kl_core.sources.pricing import Price
from kl_core.sources.sample_ask import Place
from kl_core.sources.sample_question import SampleQuestion
from kl_core.sources.sample_settings import Keys, Settings


@dataclass(frozen=True, slots=True)
class Ticket:
    """One file: what is asked for it.

    Attributes:
        kept: numbers of the samples that were in the file before this run.
        contexts: the samples to ask, those included that the journal knows.
        room: how many ids its responses have.
        refusal: why the file is left as it is.
    """

    prompt_id: int
    first_response_id: int
    asked: Asked
    kept: frozenset[int]
    contexts: tuple[SampleQuestion, ...]
    room: int
    refusal: str | None = None


@dataclass(slots=True)
class SampledBy:
    """One model with its files.

    Attributes:
        model, settings, place, price: whom to ask, how, where, and for how much.
        folder: where its files are.
        named: what files call the model.
        tickets: of its prompts, those finished in earlier starts left out.
        failed: why it cannot be asked (any more), "" while it can.
        passing: that may pass, such as a server that does not answer at present.
        latency_s: how long a call takes.
        scale: tokens the server counts for one that is guessed.
        known_good: a question that was answered.
    """

    model: ModelConfig
    settings: Settings
    place: Place
    folder: Path
    sampling: dict[str, Any]
    counts: ModelCounts
    price: Price = UNKNOWN
    tickets: list[Ticket] = field(default_factory=list)
    failed: str = ""
    passing: bool = False
    latency_s: float = 0.0
    scale: float = 1.0
    known_good: SampleQuestion | None = None

    @classmethod
    def of(cls, config: SamplingConfig, model: ModelConfig, place: Place) -> SampledBy:
        """One of a configuration's models."""
        settings = Settings.of(config, model)
        folder = Path(config.output_dir) / model.folder
        wanted = bool(settings.top_logprobs)
        counts = ModelCounts(named(model), model.folder, wanted, settings.samples)
        return cls(model, settings, place, folder, sampling_of(config, model), counts)

    @property
    def keys(self) -> Keys:
        """Of its questions."""
        return Keys.of(self.model, self.sampling, self.place.address)

    @property
    def max_concurrent(self) -> int | None:
        """Most calls at once, where the model itself sets a limit."""
        return 1 if self.model.api == "local" else None

    def empty(self, asked: Asked) -> SampledFile:
        """A file without responses."""
        named_so = self.counts.name
        return SampledFile(asked.prompt, named_so, self.sampling, {}, asked.origin)

    def filled(self, asked: Asked, bodies: Mapping[int, bytes]) -> SampledFile:
        """A file with the responses of these answers' bodies."""
        found = {number: msgspec.json.decode(body) for number, body in bodies.items()}
        return replace(self.empty(asked), responses=found)


def named(model: ModelConfig) -> str:
    """What files call a model: its name, of a local folder the last part alone."""
    path = Path(model.name).expanduser()
    local = model.api == "local" and path.is_dir()
    return path.resolve().name if local else model.name
