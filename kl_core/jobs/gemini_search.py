"""--top-prompts: rounds of calls that find the most divergent prompts of a directory."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from kl_core.jobs.gemini_entries import Finisher, Item, contexts_at, items, sample
from kl_core.jobs.reading import Input
from kl_core.jobs.worker import Worker
from kl_core.records import ScoredEntry
from kl_core.sources.budget import Budget
from kl_core.sources.contexts import PreparedEntry
from kl_core.sources.remote import Lookup
from kl_core.sources.top_prompts import Place, Stratum, TopPrompts, stratum

Done = Callable[[Item, Mapping[bytes, str]], None]
AskAll = Callable[[Iterator[Item], Done], None]


@dataclass(slots=True)
class Search:
    """The rounds over one input.

    Attributes:
        budget: what is asked of a winner; None for every position.
    """

    source: Input
    worker: Worker
    k: int
    budget: Budget | None
    _planner: TopPrompts | None = None

    def planner(self) -> TopPrompts:
        """The search with all prompts in it, finished ones too; the input is read for it once."""
        if self._planner is None:
            self._planner = TopPrompts(self.k)
            for item in items(self.source, self.worker, None, finished_too=True):
                self._planner.add(item.prompt_id, self._strata(item.prepared))
        return self._planner

    def about(self) -> Iterator[Item]:
        """Items with about the calls a search takes: the first round, and whole prompts.

        As many of the largest prompts are taken whole as may stay in the search.
        """
        planner = self.planner()
        places = planner.ask()
        sizes = sorted((len(found) for found in places.values()), reverse=True)
        whole = sizes[min(2 * self.k + 3, len(sizes)) - 1] if sizes else 0
        for item in items(self.source, self.worker, None, finished_too=True):
            first = places.get(item.prompt_id, [])
            yield item if len(first) >= whole else _only(item, first)

    def run(self, ask_all: AskAll, finisher: Finisher, look_up: Lookup) -> None:
        """All rounds; a prompt is written as soon as nothing more is asked of it.

        Args:
            ask_all: makes the calls of items and hands each over when they are answered.
        """
        planner = self.planner()
        failures: dict[bytes, str] = {}
        written: set[int] = set(self.worker.finished)
        while places := planner.ask():

            def learn(item: Item, failed: Mapping[bytes, str]) -> None:
                failures.update(failed)
                planner.tell(item.prompt_id, _found(finisher.look(item, failed), item.asked))

            ask_all(self._round(places), learn)
            self._write(planner, written, finisher, look_up, failures)
        self._write(planner, written, finisher, look_up, failures)

    def _strata(self, ready: PreparedEntry) -> list[Stratum]:
        count = len(ready.responses)
        wanted = [None] * count if self.budget is None else sample(ready, self.budget).drawn
        each = zip(ready.entry.responses, ready.responses, wanted, strict=True)
        return [stratum(response, calls.contexts, drawn) for response, calls, drawn in each]

    def _round(self, places: Mapping[Hashable, Sequence[Place]]) -> Iterator[Item]:
        for item in items(self.source, self.worker, None, finished_too=True):
            if item.prompt_id in places:
                yield _only(item, places[item.prompt_id])

    def _write(
        self,
        planner: TopPrompts,
        written: set[int],
        finisher: Finisher,
        look_up: Lookup,
        failures: Mapping[bytes, str],
    ) -> None:
        """Results of the prompts that are through: what is known, and a winner's estimate."""
        through = planner.finished() - written
        if not through:
            return
        winners = {each.prompt for each in planner.ranking() if each.won}
        for item in items(self.source, self.worker, None, finished_too=True):
            if item.prompt_id not in through:
                continue
            known = tuple(
                frozenset(
                    n
                    for n, context in enumerate(calls.contexts)
                    if context is not None
                    and (context.key in failures or look_up(context.key) is not None)
                )
                for calls in item.prepared.responses
            )
            budget = self.budget if item.prompt_id in winners else None
            drawn = None if budget is None else sample(item.prepared, budget)
            finisher(replace(item, asked=known, sampling=drawn), failures)
            written.add(item.prompt_id)


def _only(item: Item, places: Sequence[Place]) -> Item:
    """The item with the calls of these places alone."""
    asked = tuple(
        frozenset(n for slot, n in places if slot == number)
        for number in range(len(item.prepared.responses))
    )
    return replace(item, contexts=contexts_at(item.prepared, asked), asked=asked)


def _found(scored: ScoredEntry, asked: Sequence[frozenset[int] | None]) -> dict[Place, float]:
    """KL at the asked places that have one, nats."""
    values = [response.measures.headline for response in scored.responses]
    return {
        (slot, n): float(values[slot][n])
        for slot, chosen in enumerate(asked)
        for n in sorted(chosen or ())
        if not math.isnan(values[slot][n])
    }
