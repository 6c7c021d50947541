"""A local transformers model as model 2: every saved token scored in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kl_core import measures
from kl_core.errors import ModelError
from kl_core.models.engine import PrefixCacheEngine
from kl_core.models.load import LoadedModel, ModelSpec, encode_text, load_model
from kl_core.models.work import Work
from kl_core.records import (
    Entry,
    Problem,
    ScoredEntry,
    ScoredResponse,
    with_error,
)
from kl_core.sources.base import DEFAULT_TOP_K
from kl_core.sources.by_ids import ByIds, Prepared
from kl_core.sources.context import display_name, grouped, require_template, vocabulary_of

MAX_TOP_K = 100  # longer lists of a file are followed by asking for their candidates only


class LocalScorer:
    """Scores saved responses with one local model; P is the file's model, Q this one."""

    def __init__(
        self,
        loaded: LoadedModel,
        engine: PrefixCacheEngine,
        top_k: int | None,
        include_reasoning: bool,
    ) -> None:
        self._loaded = loaded
        self._engine = engine
        self._include_reasoning = include_reasoning
        self._match_lists = top_k is None
        self._by_ids = ByIds(
            vocabulary_of(loaded),
            lambda text: encode_text(loaded, text),
            display_name(loaded),
            self._match_lists,
        )
        self._problems: list[Problem] = []

    @classmethod
    def load(
        cls, spec: ModelSpec, top_k: int | None, batch_tokens: int, include_reasoning: bool
    ) -> LocalScorer:
        """Load the model and its engine.

        Args:
            top_k: length of model 2's lists. None: at each position as long as the file's
                (at most MAX_TOP_K), so that equal models have a floor KL of 0; what else
                is known of the DEFAULT_TOP_K likeliest stands beside the list.

        Raises:
            ModelError: the model cannot be loaded, or has no chat template and needs one.
        """
        loaded = load_model(spec)
        require_template(loaded)
        engine = PrefixCacheEngine(loaded, top_k or DEFAULT_TOP_K, batch_tokens)
        return cls(loaded, engine, top_k, include_reasoning)

    @property
    def identity(self) -> dict[str, Any]:
        """Model 2 for params.json."""
        name = display_name(self._loaded)
        return {"model2": name, "identity2": self._loaded.identity, "engine": self._engine.kind}

    def problems(self) -> list[Problem]:
        """Rows since the last call."""
        rows, self._problems = self._problems, []
        return rows + self._by_ids.problems()

    def score(self, entries: Sequence[Entry]) -> list[ScoredEntry]:
        """Score the responses that have log-probabilities; the others stay with their reason."""
        results: list[list[ScoredResponse]] = [
            [measures.unscored(response) for response in entry.responses] for entry in entries
        ]
        work: list[Work] = []
        places: list[list[tuple[int, int, Prepared]]] = []
        for number, entry in enumerate(entries):
            slots = [i for i, r in enumerate(entry.responses) if r.positions and not r.error]
            try:
                groups = grouped(self._loaded, entry, slots, self._include_reasoning)
            except ModelError as error:
                self._refuse(entry, results[number], str(error))
                continue
            for group in groups:
                ready = [(number, i, self._by_ids.prepare(entry.responses[i])) for i in group.slots]
                places.append(ready)
                ids = tuple(p.alignment.ids for _, _, p in ready)
                work.append(Work(group.prompt_ids, ids, tuple(p.wanted for _, _, p in ready)))
        if self._match_lists:
            self._engine.top_k = _top_k_for(entries)
        for ready, scores in zip(places, self._engine.score(work), strict=True):
            for (number, slot, prepared), one in zip(ready, scores, strict=True):
                results[number][slot] = self._by_ids.scored(entries[number], prepared, one)
        return [
            ScoredEntry(entry, _model1(entry), display_name(self._loaded), tuple(scored))
            for entry, scored in zip(entries, results, strict=True)
        ]

    def _refuse(self, entry: Entry, results: list[ScoredResponse], reason: str) -> None:
        self._problems.append(
            Problem(entry.file, f"$[{entry.index}]", reason, "The prompt was not scored.")
        )
        for slot, response in enumerate(entry.responses):
            results[slot] = measures.unscored(with_error(response, response.error or reason))


def _top_k_for(entries: Sequence[Entry]) -> int:
    """As long as the longest list of the entries, within bounds."""
    lengths = [
        position.dist.listed
        for entry in entries
        for response in entry.responses
        for position in response.positions
        if position.dist is not None
    ]
    return max(DEFAULT_TOP_K, min(max(lengths, default=0), MAX_TOP_K))


def _model1(entry: Entry) -> str | None:
    return entry.model or next((r.model for r in entry.responses if r.model), None)
