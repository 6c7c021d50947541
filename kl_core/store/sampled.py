"""How far a run of `sample` is, model by model (sampled.json in the run's folder)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

from kl_core.store.files import read_json, write_json

_NAME = "sampled.json"


@dataclass(frozen=True, slots=True)
class SampledModel:
    """One model's responses so far, those of files that were there before included.

    Attributes:
        name: as the server spells it; folder: its folder of responses.
        prompts, responses: how many are on disk; wanted: responses asked for in all, and those
            that files hold besides.
        kept: responses that this run did not ask for.
        failed: asked for and not answered.
        without_logprobs: by provider ("" where the server names none); asked for and not given.
        by_provider: responses by provider.
    """

    name: str
    folder: str
    wanted: int = 0
    prompts: int = 0
    responses: int = 0
    kept: int = 0
    failed: int = 0
    without_logprobs: dict[str, int] = field(default_factory=dict)
    by_provider: dict[str, int] = field(default_factory=dict)

    @property
    def missing(self) -> int:
        """Responses that are neither there nor failed: still to come, or left out."""
        return max(self.wanted - self.responses - self.failed, 0)


def write_sampled(run_dir: Path, models: list[SampledModel]) -> None:
    """Replace sampled.json as a whole."""
    write_json(run_dir / _NAME, [asdict(model) for model in models])


def read_sampled(run_dir: Path) -> list[SampledModel]:
    """What is known so far; empty before the first response."""
    record = read_json(run_dir / _NAME)
    return [SampledModel(**each) for each in record] if isinstance(record, list) else []
