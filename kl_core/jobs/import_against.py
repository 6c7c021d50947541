"""Import with a second folder: a free comparison of what two models have already said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from kl_core.jobs.reading import Input, numbered, open_input
from kl_core.jobs.worker import Worker
from kl_core.records import Problem
from kl_core.sources.second_input import SECOND, SecondInput
from kl_core.sources.shared_contexts import SharedContexts
from kl_core.store import runs

Prepared = tuple[dict[str, Any], str, Callable[[Worker], None]]


def prepare_against(input_dir: Path, pattern: str | None, against: Path) -> Prepared:
    """(frozen request, title, work) of a free comparison; nothing but names is read yet.

    Args:
        input_dir: responses of model 1, P.
        pattern: for the names of the files on both sides.
        against: responses of model 2, Q, to the same prompts.

    Raises:
        InputError: nothing to read in one of them.
    """
    source = open_input(input_dir, pattern, to_score=True)
    second = open_input(against, pattern, to_score=True)
    frozen = {
        "input_dir": str(input_dir.resolve()),
        "pattern": pattern,
        "fingerprint": source.fingerprint,
        "against_fingerprint": second.fingerprint,
        "against": str(against.resolve()),
    }
    title = f"free comparison of {input_dir.resolve().name} with {against.resolve().name}"
    name = against.resolve().stem if against.is_file() else against.resolve().name
    return frozen, title, lambda worker: compare_inputs(source, second, name, worker)


def compare_inputs(source: Input, second: Input, name: str, worker: Worker) -> None:
    """Read the second input, then score the first by it, prompt by prompt.

    Memory holds one file of the first, one part, and what SecondInput keeps. How many
    different contexts were compared is noted in the run's parameters, of a cancelled run too.

    Args:
        name: what model 2 is called where its files do not tell.
    """
    other = SecondInput(second.files, name)
    shared = SharedContexts(other)
    try:
        worker.stage("reading model 2's responses", second.size_bytes, "bytes")
        other.read(worker.progress)
        worker.parts.add_problems(_of_second(second.log.drain()))
        _compare(source, shared, worker)
    finally:
        runs.update_params(worker.run_dir, shared_contexts=shared.contexts)


def _compare(source: Input, shared: SharedContexts, worker: Worker) -> None:
    worker.stage("comparing", source.size_bytes, "bytes")
    tokens = skipped = 0
    for prompts, item in enumerate(numbered(source, worker), 1):
        tokens += sum(len(response.positions) for response in item.source.responses)
        if item.prompt_id in worker.finished:
            shared.count(item.source)
            skipped = item.read_bytes
        else:
            worker.parts.add(item.prompt_id, item.first_response_id, shared.scored(item.source))
        worker.parts.add_problems(shared.problems())
        said = f"{prompts:,} prompts, {tokens:,} tokens, {shared.contexts:,} shared contexts"
        worker.progress(item.read_bytes, said, skipped=skipped)
    worker.parts.add_problems(shared.left_over())
    worker.progress(source.size_bytes)


def _of_second(rows: list[Problem]) -> list[Problem]:
    """Rows about the second folder, told from those about the first."""
    return [replace(row, file=f"{SECOND}: {row.file}" if row.file else SECOND) for row in rows]
