"""The command line that exports what a page shows: for what is too large for a browser.

Each function gives the words after `python -m kl_core export RUN`: run, they write the same
rows in the same order. None where no command does: options cannot say it, or a text in it
would not look like what it is (line breaks, marks that turn the direction of writing).
"""

from __future__ import annotations

import os
import shlex

from kl_core.store.filters import PromptFilter
from kl_core.store.runs import RunInfo
from kl_core.store.schema import NORMALIZED_MIN_KL
from kl_core.ui.table_request import TableRequest
from kl_core.ui.tokens_request import TokenRequest

Words = tuple[str, ...]


def line(info: RunInfo, words: Words, output: str) -> str:
    """The whole command as a shell takes it, the runs folder named where it is not the default."""
    root = ["--runs-dir", str(info.path.parent)] if os.environ.get("KL_RUNS_DIR") else []
    whole = ["python", "-m", "kl_core", "export", info.id, *words, *root, "--output", output]
    return shlex.join(whole)


def prompts(request: TableRequest, tags: tuple[str, ...]) -> Words | None:
    """The prompts of a table; `tags` are what its filter's ids come from."""
    where = request.where
    if where.prompt_ids is not None and not tags:
        return None
    order = ["--view", "prompts", "--sort", request.sort]
    order += [] if request.descending else ["--ascending"]
    return _sound((*order, *_filters(where), *(f"--tag={tag}" for tag in tags)))


def _filters(where: PromptFilter) -> list[str]:
    words = [f"--search={where.text}"] if where.text else []
    words += [f"--provider={name}" for name in where.providers]
    words += [f"--model={name}" for name in where.models]
    words += [f"--finish-reason={name}" for name in where.finish_reasons]
    for bound in where.ranges:
        words += [f"--min={bound.column}={bound.low!r}"] if bound.low is not None else []
        words += [f"--max={bound.column}={bound.high!r}"] if bound.high is not None else []
    return words


def tokens(request: TokenRequest) -> Words | None:
    """The list of tokens, or of tokens grouped by their text."""
    words = _groups(request) if request.sort is not None else _singles(request)
    return _sound((*words, *([f"--search={request.text}"] if request.text else [])))


def _singles(request: TokenRequest) -> list[str]:
    words = ["--view", "top-tokens", "--score", request.score]
    words += [f"--min=score={request.least!r}"] if request.least is not None else []
    words += [f"--max=score={request.most!r}"] if request.most is not None else []
    if request.score == "normalized" and request.min_kl != NORMALIZED_MIN_KL:
        words.append(f"--min-kl={request.min_kl!r}")
    return words


def _groups(request: TokenRequest) -> list[str]:
    words = ["--view", "token-groups", "--score", request.score, "--sort", str(request.sort)]
    words += [] if request.descending else ["--ascending"]
    return [*words, f"--min-count={request.min_count}"] if request.min_count > 1 else words


def _sound(words: Words) -> Words | None:
    return words if all(word.isprintable() for word in words) else None
