"""One model of a run of `sample`: what its files hold, and what is still to be asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kl_core.errors import FormatError
from kl_core.formats.sampled_files import SampledFile, difference, existing
from kl_core.formats.sampling_config import ModelConfig, SamplingConfig, sampling_of
from kl_core.jobs.sample_counts import ModelCounts
from kl_core.jobs.sample_prices import UNKNOWN
from kl_core.jobs.sample_prompts import Asked
from kl_core.sources.pricing import Price
from kl_core.sources.sample_ask import Place
from kl_core.sources.sample_question import SampleQuestion
from kl_core.sources.sample_settings import Keys, Settings

Has = Callable[[bytes], bool]


@dataclass(frozen=True, slots=True)
class Ticket:
    """One file: what is asked for it.

    Attributes:
        kept: numbers of the samples that were in the file before this run.
        contexts: the samples to ask, those included that the journal knows.
        refusal: why the file is left as it is.
    """

    prompt_id: int
    first_response_id: int
    asked: Asked
    kept: frozenset[int]
    contexts: tuple[SampleQuestion, ...]
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
    latency_s: float = 0.0
    scale: float = 1.0
    known_good: SampleQuestion | None = None

    @classmethod
    def of(cls, config: SamplingConfig, model: ModelConfig, place: Place) -> SampledBy:
        """One of a configuration's models."""
        settings = Settings.of(config, model)
        folder = Path(config.output_dir) / model.folder
        counts = ModelCounts(named(model), model.folder, bool(settings.top_logprobs))
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

    def survey(
        self,
        prompts: Sequence[Asked],
        first_ids: tuple[int, int],
        finished: set[int],
        has: Has,
        overwrite: bool,
    ) -> Iterator[int]:
        """Look at all files; fills `tickets` and counts what is there.

        Args:
            first_ids: of its first prompt and of its first response.
            has: whether a question's answer is in the run's journal.
            overwrite: what is there and not from this run is not kept.

        Yields:
            After each prompt, the id of the response that follows its own.
        """
        keys, samples = self.keys, self.settings.samples
        prompt_id, response_id = first_ids
        self.counts.wanted = samples * len(prompts)
        for asked in prompts:
            questions = [keys.question(asked.prompt, number) for number in range(samples)]
            found, refusal = self._existing(asked, overwrite)
            own = {each.number for each in questions if has(each.key)}
            there = found.responses if found is not None else {}
            kept = frozenset() if overwrite else frozenset(there.keys() - own)
            if prompt_id in finished:
                self.counts.add(there, len(kept), 0 if refusal else samples - len(there))
            else:
                open_ones = tuple(each for each in questions if each.number not in kept)
                contexts = () if refusal else open_ones
                self.tickets.append(Ticket(prompt_id, response_id, asked, kept, contexts, refusal))
            prompt_id += 1
            response_id += samples if overwrite else max(samples, max(there, default=0) + 1)
            yield response_id

    def _existing(self, asked: Asked, overwrite: bool) -> tuple[SampledFile | None, str | None]:
        """What a prompt's file holds that can be used, and why it cannot be."""
        try:
            found = existing(self.folder / asked.file)
        except FormatError as error:
            return None, None if overwrite else error.reason
        if found is None:
            return None, None
        other = difference(found, self.empty(asked))
        if other is None:
            return found, None
        return None, None if overwrite else other


def named(model: ModelConfig) -> str:
    """What files call a model: its name, of a local folder the last part alone."""
    path = Path(model.name).expanduser()
    local = model.api == "local" and path.is_dir()
    return path.resolve().name if local else model.name
