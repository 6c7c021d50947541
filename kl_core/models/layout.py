"""Where each response lives in flat row tables, and what cannot be scored at all.

A row is one predicted token. All responses of a call share flat tables of N rows, so
that the vocabulary projection can take rows of any response in one chunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kl_core.errors import VocabularyMismatchError
from kl_core.models.work import Floats, Ints, Scores, Work


@dataclass(frozen=True)
class Job:
    """One response to run, at least one token long.

    Attributes:
        start: row of its first token; no two jobs share one.
        item: place of its prompt in the work list.
    """

    prompt_ids: tuple[int, ...]
    response: tuple[int, ...]
    start: int
    item: int = 0

    @property
    def skip(self) -> int:
        """Leading tokens that nothing predicts."""
        return 0 if self.prompt_ids else 1

    @property
    def first_row(self) -> int:
        """Row of the first token that can be scored."""
        return self.start + self.skip

    @property
    def inputs(self) -> tuple[int, ...]:
        """Prompt and response without its last token, which predicts nothing asked."""
        return (self.prompt_ids + self.response)[:-1]


@dataclass(frozen=True)
class Limits:
    """What a model can take: ids below `vocabulary`, at most `positions` tokens."""

    name: str
    vocabulary: int
    positions: int | None

    def refuse(self, prompt_ids: tuple[int, ...], response: tuple[int, ...]) -> str | None:
        """One sentence when the response cannot be scored, None when it can."""
        length = len(prompt_ids) + len(response) - 1
        if response and self.positions is not None and length > self.positions:
            return (
                f"Prompt and response need {length} positions and {self.name} has "
                f"{self.positions}; use a model with a longer context or a shorter text."
            )
        for token in (*prompt_ids, *response):
            if not 0 <= token < self.vocabulary:
                return (
                    f"Token id {token} is outside the {self.vocabulary} ids of {self.name}; "
                    "tokenise the text with this model's own tokenizer."
                )
        return None


@dataclass(frozen=True)
class Layout:
    """Flat targets of one call.

    Attributes:
        starts: first row of each response, per work item.
        errors: why a response is not scored, same shape as `starts`.
        jobs: the responses to run.
        targets: [N] token ids; 0 where a row is not scored.
        wanted: [N, M] candidate ids, -1 for none.
    """

    starts: list[list[int]]
    errors: list[list[str | None]]
    jobs: list[Job]
    targets: Ints
    wanted: Ints


def lay_out(
    work: Sequence[Work],
    limits: Sequence[Limits],
    prompts: Sequence[Sequence[tuple[int, ...]]] = (),
) -> Layout:
    """Give every response its rows and refuse those that a model cannot take.

    Args:
        work: what is to be scored.
        limits: of each model that will run it.
        prompts: prompt ids per model and work item; the work's own when left out.

    Raises:
        VocabularyMismatchError: a wanted id lies outside the vocabulary.
    """
    views = prompts or [[item.prompt_ids for item in work]] * len(limits)
    starts: list[list[int]] = []
    errors: list[list[str | None]] = []
    jobs: list[Job] = []
    row = 0
    for place, item in enumerate(work):
        starts.append([])
        errors.append([])
        for response in item.responses:
            reasons = [
                limit.refuse(view[place], response)
                for limit, view in zip(limits, views, strict=True)
            ]
            error = next((reason for reason in reasons if reason), None)
            starts[-1].append(row)
            errors[-1].append(error)
            if response and error is None:
                jobs.append(Job(item.prompt_ids, response, row, place))
            row += len(response)
    targets, wanted = _targets(work, errors, row)
    _check_wanted(wanted, limits)
    return Layout(starts, errors, jobs, targets, wanted)


def _targets(work: Sequence[Work], errors: list[list[str | None]], rows: int) -> tuple[Ints, Ints]:
    asked = [w for item in work for w in item.wanted if w is not None]
    width = max((w.shape[1] for w in asked), default=0)
    targets = np.zeros(rows, np.int64)
    wanted = np.full((rows, width), -1, np.int64)
    row = 0
    for item, reasons in zip(work, errors, strict=True):
        for index, response in enumerate(item.responses):
            end = row + len(response)
            ids = item.wanted_of(index)
            if reasons[index] is None:
                targets[row:end] = response
            if ids is not None:
                wanted[row:end, : ids.shape[1]] = ids
            row = end
    return targets, wanted


def _check_wanted(wanted: Ints, limits: Sequence[Limits]) -> None:
    highest = int(wanted.max(initial=-1))
    for limit in limits:
        if highest >= limit.vocabulary:
            raise VocabularyMismatchError(
                f"Candidate id {highest} was asked for and {limit.name} has "
                f"{limit.vocabulary} ids; align the candidates with this model's tokenizer."
            )


@dataclass(frozen=True)
class RowTable:
    """Scores of N rows as they are computed; NaN and -1 until then."""

    chosen: Floats
    rank: Ints
    top_ids: Ints
    top_logprobs: Floats
    entropy: Floats
    wanted: Floats

    @classmethod
    def empty(cls, rows: int, top_k: int, wanted: int) -> RowTable:
        """A table in which nothing is scored yet."""
        return cls(
            np.full(rows, np.nan),
            np.full(rows, -1, np.int64),
            np.full((rows, top_k), -1, np.int64),
            np.full((rows, top_k), np.nan),
            np.full(rows, np.nan),
            np.full((rows, wanted), np.nan),
        )

    def cut(self, start: int, length: int, wanted: int, error: str | None) -> Scores:
        """The rows of one response, with the `wanted` columns it asked for."""
        rows = slice(start, start + length)
        return Scores(
            self.chosen[rows],
            self.rank[rows],
            self.top_ids[rows],
            self.top_logprobs[rows],
            self.entropy[rows],
            self.wanted[rows, :wanted],
            error,
        )
