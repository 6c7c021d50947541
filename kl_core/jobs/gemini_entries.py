"""Entries on their way through calls: what to ask of each, and what becomes of the answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from kl_core.formats.kl_results import ResultWriter
from kl_core.jobs.finishing import Finishing
from kl_core.jobs.reading import Input, Numbered, numbered
from kl_core.jobs.worker import Worker
from kl_core.records import ScoredEntry
from kl_core.sources.budget import (
    Budget,
    Drawable,
    drawable,
    entry_estimate,
    response_estimate,
)
from kl_core.sources.calls import Context
from kl_core.sources.contexts import PreparedEntry, prepared
from kl_core.sources.remote import Assembler, Lookup


@dataclass(frozen=True, slots=True)
class Sampling:
    """How an entry's positions were drawn, so that its mean can be estimated.

    Attributes:
        drawn: per response, in the order of the draws.
    """

    drawables: tuple[Drawable, ...]
    drawn: tuple[tuple[int, ...], ...]
    cap: float


@dataclass(frozen=True, slots=True)
class Item:
    """One entry with the calls that are to be made for it.

    Attributes:
        contexts: the different contexts to ask.
        asked: per response the positions to score; None for all of them.
        sampling: where the positions were drawn by chance.
    """

    numbered: Numbered
    prepared: PreparedEntry
    contexts: Sequence[Context]
    asked: tuple[frozenset[int] | None, ...] = ()
    sampling: Sampling | None = None

    @property
    def prompt_id(self) -> int:
        """Its number in the run."""
        return self.numbered.prompt_id


def items(
    source: Input, worker: Worker, budget: Budget | None, finished_too: bool = False
) -> Iterator[Item]:
    """Every entry in order; those whose results are on disk only where wanted."""
    for each in numbered(source, worker):
        if finished_too or each.prompt_id not in worker.finished:
            yield item_of(each, budget)


def item_of(each: Numbered, budget: Budget | None) -> Item:
    """One entry with the calls that a budget, or none, allows it."""
    ready = prepared(each.source)
    if budget is None:
        return Item(each, ready, tuple(ready.contexts()))
    sampling = sample(ready, budget)
    asked = tuple(frozenset(drawn) for drawn in sampling.drawn)
    return Item(each, ready, contexts_at(ready, asked), asked, sampling)


def sample(ready: PreparedEntry, budget: Budget) -> Sampling:
    """The draws of a budget from an entry."""
    each = zip(ready.entry.responses, ready.responses, strict=True)
    drawables = [drawable(response, calls.askable) for response, calls in each]
    drawn = budget.plan(ready.entry.file, ready.entry.index, drawables)
    return Sampling(tuple(drawables), drawn, budget.cap)


def contexts_at(
    ready: PreparedEntry, asked: Sequence[frozenset[int] | None]
) -> tuple[Context, ...]:
    """The different contexts of some positions."""
    found: dict[bytes, Context] = {}
    for calls, chosen in zip(ready.responses, asked, strict=True):
        for n, context in enumerate(calls.contexts):
            if context is not None and (chosen is None or n in chosen):
                found.setdefault(context.key, context)
    return tuple(found.values())


class Finisher(Finishing):
    """Turns answered items into scored entries.

    Args:
        look_up: the journal.
    """

    def __init__(
        self, worker: Worker, writer: ResultWriter | None, assembler: Assembler, look_up: Lookup
    ) -> None:
        super().__init__(worker, writer)
        self._assembler = assembler
        self._look_up = look_up

    def __call__(self, item: Item, failures: Mapping[bytes, str]) -> None:
        """One item whose calls are over; its result is on disk soon after."""
        scored = self._scored(item, failures)
        self.write(item.numbered, scored, self._assembler.problems())

    def look(self, item: Item, failures: Mapping[bytes, str]) -> ScoredEntry:
        """The entry as known so far; nothing is written, and no problem noted."""
        scored = self._scored(item, failures)
        self._assembler.problems()
        return scored

    def _scored(self, item: Item, failures: Mapping[bytes, str]) -> ScoredEntry:
        """The entry with model 2's lists and, where positions were drawn, its estimates."""
        scored = self._assembler.assemble(item.prepared, self._look_up, failures, item.asked)
        return scored if item.sampling is None else estimated(scored, item.sampling)


def estimated(scored: ScoredEntry, sampling: Sampling) -> ScoredEntry:
    """The same with estimates of the mean KL from the draws."""
    values = [response.measures.headline for response in scored.responses]
    each = zip(scored.responses, sampling.drawables, sampling.drawn, values, strict=True)
    responses = tuple(
        replace(response, estimate=response_estimate(one, drawn, kl, sampling.cap))
        for response, one, drawn, kl in each
    )
    whole = entry_estimate(sampling.drawables, sampling.drawn, values, sampling.cap)
    return replace(scored, responses=responses, estimate=whole)
