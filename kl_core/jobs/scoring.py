"""What `score` and `compare` share: batches of prompts through a source, results written."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kl_core.formats.kl_results import ResultNames, ResultWriter
from kl_core.formats.reader import read_file
from kl_core.jobs.frozen import freeze, thaw
from kl_core.jobs.reading import Input, Numbered, as_entry, numbered
from kl_core.jobs.worker import Worker
from kl_core.records import Entry, ProblemLog
from kl_core.sources.base import Source
from kl_core.store import runs

NUMBERED = re.compile(r"(.+)_\d+_kl\.json")
GROUP_SECONDS = 5.0
FIRST_GROUP_TOKENS = 1_024
LARGEST_GROUP_TOKENS = 65_536
GROUP_PROMPTS = 256


@dataclass(frozen=True, slots=True)
class ScoringOptions:
    """What `score` and `compare` are both asked.

    Attributes:
        output_dir: where `_kl.json` files go, one per prompt as soon as it is scored.
        top_k: length of the lists; None lets the source decide.
    """

    input_dir: Path
    output_dir: Path | None = None
    top_k: int | None = None
    max_prompts: int | None = None
    pattern: str | None = None
    batch_tokens: int = 8192
    include_reasoning: bool = False

    def frozen(self, source: Input) -> dict[str, Any]:
        """What makes two runs the same, as JSON; equal paths are equal however they were typed."""
        return freeze(self, source)

    @classmethod
    def thawed(cls, request: dict[str, Any]) -> ScoringOptions:
        """The options of a frozen request."""
        return thaw(cls, request)

    @property
    def title(self) -> str:
        """The folder's name, for the title of the run."""
        return self.input_dir.resolve().name


class GroupSize:
    """How many tokens to score between two saves: about GROUP_SECONDS of work.

    A cancel waits for a group, a kill loses one, and the progress moves with each; large
    groups fill batches better. The speed of the model decides.
    """

    def __init__(self) -> None:
        self.tokens = FIRST_GROUP_TOKENS

    def learn(self, tokens: int, seconds: float) -> None:
        """Take in how long a group took; the size at most quadruples at a time."""
        fitting = int(tokens / max(seconds, 1e-3) * GROUP_SECONDS)
        bounded = min(fitting, 4 * self.tokens, LARGEST_GROUP_TOKENS)
        self.tokens = max(bounded, FIRST_GROUP_TOKENS // 8)


def score_all(
    source: Input, worker: Worker, model: Callable[[], Source], options: ScoringOptions
) -> None:
    """Score every entry that is not on disk yet, a group of prompts at a time.

    Args:
        model: loads the source; called once, after the input has been found readable.
    """
    output_dir, max_prompts = options.output_dir, options.max_prompts
    if output_dir is not None:
        refuse_shared_names(source)
    worker.stage("loading the model", None, "")
    loaded = model()
    worker.check_cancel()
    runs.update_params(worker.run_dir, **loaded.identity)
    writer = ResultWriter(output_dir) if output_dir is not None else None
    total = source.size_bytes if max_prompts is None else max_prompts
    worker.stage("scoring", total, "bytes" if max_prompts is None else "prompts")
    tokens = prompts = skipped = 0
    size = GroupSize()
    for group in groups(source, worker, max_prompts, size):
        began = time.monotonic()
        fresh = [item for item in group if item.prompt_id not in worker.finished]
        scored = loaded.score([item.source for item in fresh])
        worker.parts.add_problems(loaded.problems())
        if writer is not None:
            for item in group:
                writer.names.claim(item.source)
        for item, entry in zip(fresh, scored, strict=True):
            if writer is not None:
                writer.write(entry)
            worker.parts.add(item.prompt_id, item.first_response_id, entry)
        if fresh:
            worker.parts.flush()
            size.learn(sum(count_tokens(item.source) for item in fresh), time.monotonic() - began)
        tokens += sum(count_tokens(item.source) for item in group)
        prompts += len(group)
        done = group[-1].read_bytes if max_prompts is None else prompts
        skipped = done if not fresh else skipped
        worker.progress(done, f"{prompts:,} prompts, {tokens:,} tokens", skipped=skipped)
    worker.progress(total)


def refuse_shared_names(source: Input) -> None:
    """Two files whose results would have one name are found before anything is computed.

    Raises:
        InputError: naming both.
    """
    names = ResultNames()
    stems = {}
    for file in source.files:
        stems[names.claim(Entry(file.name, 0, 1, (), None, ()))] = file
    for name, file in stems.items():
        numbered_name = NUMBERED.fullmatch(name)
        other = stems.get(f"{numbered_name[1]}_kl.json") if numbered_name else None
        if other is not None:  # a_0.json beside a.json: only its content tells
            both = ResultNames()
            for entry in (*read_file(other, ProblemLog()), *read_file(file, ProblemLog())):
                both.claim(as_entry(entry))


def groups(
    source: Input, worker: Worker, max_prompts: int | None, limit: GroupSize
) -> Iterator[list[Numbered]]:
    """Neighbouring prompts with enough tokens together; cancelling is checked between."""
    group: list[Numbered] = []
    size = 0
    for item in numbered(source, worker, max_prompts):
        group.append(item)
        size += count_tokens(item.source)
        if size >= limit.tokens or len(group) >= GROUP_PROMPTS:
            yield group
            group, size = [], 0
    if group:
        yield group


def count_tokens(entry: Entry) -> int:
    """Tokens to score, guessed from the text where a file does not list them."""
    return sum(len(r.positions) or len(r.text) // 4 for r in entry.responses)
