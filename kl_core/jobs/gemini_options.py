"""What `prefill` and `batch` are asked: what defines the run, and what may change on resuming."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kl_core.errors import InputError
from kl_core.jobs.frozen import freeze, thaw
from kl_core.jobs.reading import Input, open_input

TOP_LOGPROBS = 20
BATCH_FOLDER = "batch"
"""Input files and the ledger of jobs, in the run's folder."""


@dataclass(frozen=True, slots=True)
class AskOptions:
    """What defines a run of calls: two runs with equal options and input are the same.

    Attributes:
        location: of Vertex, None for its default.
        top_logprobs: length of model 2's lists; None asks for 20 and takes as many as model
            1's list has at each position.
        budget: share of the calls to make, None for all.
        top_prompts: how many of the most divergent prompts to find, None for a full run.
        seed: of the draws of a budget.
    """

    input_dir: Path
    model2: str
    output_dir: Path | None = None
    project_id: str | None = None
    location: str | None = None
    top_logprobs: int | None = None
    pattern: str | None = None
    base_url: str | None = None
    max_files: int | None = None
    budget: float | None = None
    top_prompts: int | None = None
    seed: int = 0

    def open(self) -> Input:
        """The input, cut to `max_files`.

        Raises:
            InputError: nothing to read, or options that make no sense.
        """
        if not self.model2.strip():
            raise InputError("--model2 is empty; name the model to ask")
        if self.budget is not None and not 0 < self.budget <= 1:
            raise InputError(f"--budget is {self.budget:g}; give a share above 0 and at most 1")
        source = open_input(self.input_dir, self.pattern, to_score=True)
        return replace(source, files=source.files[: self.max_files])

    def frozen(self, source: Input) -> dict[str, Any]:
        """As JSON; equal paths are equal however they were typed."""
        address = self.base_url.rstrip("/") if self.base_url else None
        return freeze(self, source) | {"base_url": address}

    @classmethod
    def thawed(cls, request: dict[str, Any]) -> AskOptions:
        """The options of a frozen request."""
        return thaw(cls, request)

    @property
    def title(self) -> str:
        """For the list of runs."""
        share = f", {100 * self.budget:g} % of the calls" if self.budget is not None else ""
        top = f", top {self.top_prompts} prompts" if self.top_prompts is not None else ""
        return f"{self.model2} on {self.input_dir.resolve().name}{share}{top}"


@dataclass(frozen=True, slots=True)
class SpendOptions:
    """What may be spent; not part of what defines a run.

    Attributes:
        max_cost: dollars; a dearer plan is refused, a cheaper one needs no other yes.
        input_price, output_price: dollars per million tokens, instead of the table's.
    """

    max_cost: float | None = None
    yes: bool = False
    input_price: float | None = None
    output_price: float | None = None


@dataclass(frozen=True, slots=True)
class PoolOptions:
    """How hard to press; not part of what defines a run.

    Attributes:
        max_concurrent: most calls under way at a time; the limiter stays below it.
        rate_limit: most calls a second, None for no limit.
        max_retries: of a call that may pass later.
        timeout_s: of one call.
        reuse: take answers of finished runs with the same model and settings.
    """

    max_concurrent: int = 50
    rate_limit: float | None = None
    max_retries: int = 8
    timeout_s: float = 60.0
    reuse: bool = False


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """Where a batch job keeps its files.

    Attributes:
        bucket_name: None for `{project}-kl-batch`.
        storage_url: another address of Cloud Storage, for local servers.
        cleanup: remove inputs and outputs from the bucket once the results are here.
        lifecycle_days: have the bucket delete them itself after so many days.
    """

    bucket_name: str | None = None
    storage_url: str | None = None
    cleanup: bool = False
    lifecycle_days: int | None = None
