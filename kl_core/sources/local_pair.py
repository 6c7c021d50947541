"""Two local models on the same responses: exact divergences over the whole vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kl_core import measures
from kl_core.errors import ModelError
from kl_core.formats.align import align
from kl_core.models.load import LoadedModel, ModelSpec, encode_text, load_model
from kl_core.models.pair import score_pair
from kl_core.models.vocabulary import common_vocabulary
from kl_core.models.work import PairScores, Scores, Work
from kl_core.records import (
    Entry,
    Position,
    Problem,
    Response,
    ScoredEntry,
    ScoredResponse,
    Token,
    TokenDist,
    with_error,
)
from kl_core.sources.by_ids import NO_CONTEXT
from kl_core.sources.context import display_name, grouped, require_template, vocabulary_of
from kl_core.sources.dists import dist_of

Ids = tuple[int, ...]


class LocalPair:
    """P is model 1, Q is model 2; responses may come without log-probabilities."""

    def __init__(
        self,
        models: tuple[LoadedModel, LoadedModel],
        top_k: int,
        batch_tokens: int,
        include_reasoning: bool,
    ) -> None:
        self._models = models
        self._top_k = top_k
        self._batch_tokens = batch_tokens
        self._include_reasoning = include_reasoning
        self._vocab = vocabulary_of(models[0])
        self._problems: list[Problem] = []

    @classmethod
    def load(
        cls,
        spec1: ModelSpec,
        spec2: ModelSpec,
        top_k: int,
        batch_tokens: int,
        include_reasoning: bool,
    ) -> LocalPair:
        """Load both models.

        Raises:
            ModelError: one of them cannot be loaded, or has no chat template and needs one.
            VocabularyMismatchError: they do not share a tokenizer.
        """
        models = []
        for spec in (spec1, spec2):
            models.append(load_model(spec))
            require_template(models[-1])
        rows = [int(loaded.identity["vocab_size"]) for loaded in models]
        common_vocabulary(models[0], models[1], (rows[0], rows[1]))
        return cls((models[0], models[1]), top_k, batch_tokens, include_reasoning)

    @property
    def identity(self) -> dict[str, Any]:
        """Both models for params.json."""
        first, second = (loaded.identity for loaded in self._models)
        return {
            "model1": display_name(self._models[0]),
            "model2": display_name(self._models[1]),
            "identity1": first,
            "identity2": second,
        }

    def problems(self) -> list[Problem]:
        """Rows since the last call."""
        rows, self._problems = self._problems, []
        return rows

    def score(self, entries: Sequence[Entry]) -> list[ScoredEntry]:
        """Score every response that has any text.

        Raises:
            VocabularyMismatchError: the two models do not share a tokenizer.
        """
        results: list[list[ScoredResponse]] = [
            [measures.unscored(response) for response in entry.responses] for entry in entries
        ]
        work: list[Work] = []
        prompts2: list[Ids] = []
        places: list[list[tuple[int, int]]] = []
        for number, entry in enumerate(entries):
            ids = {n: self._ids(entry, response) for n, response in enumerate(entry.responses)}
            try:
                groups = self._groups(entry, [slot for slot, found in ids.items() if found])
            except ModelError as error:
                self._refuse(entry, results[number], str(error))
                continue
            for first, second, slots in groups:
                work.append(Work(first, tuple(ids[slot] for slot in slots)))
                prompts2.append(second)
                places.append([(number, slot) for slot in slots])
        scored = score_pair(
            *self._models,
            work,
            prompts2=prompts2,
            top_k=self._top_k,
            batch_tokens=self._batch_tokens,
        )
        for item, members, scores in zip(work, places, scored, strict=True):
            for (number, slot), ids_, one in zip(members, item.responses, scores, strict=True):
                results[number][slot] = self._scored(entries[number], slot, ids_, one)
        names = [display_name(loaded) for loaded in self._models]
        return [
            ScoredEntry(entry, names[0], names[1], tuple(scored_responses))
            for entry, scored_responses in zip(entries, results, strict=True)
        ]

    def _groups(self, entry: Entry, slots: list[int]) -> list[tuple[Ids, Ids, tuple[int, ...]]]:
        """(model 1's prompt, model 2's prompt, slots); each model has its own template."""
        sides: list[dict[int, Ids]] = []
        for loaded in self._models:
            groups = grouped(loaded, entry, slots, self._include_reasoning)
            sides.append({slot: group.prompt_ids for group in groups for slot in group.slots})
        joined: dict[tuple[Ids, Ids], list[int]] = {}
        for slot in slots:
            joined.setdefault((sides[0][slot], sides[1][slot]), []).append(slot)
        return [(first, second, tuple(members)) for (first, second), members in joined.items()]

    def _ids(self, entry: Entry, response: Response) -> Ids:
        """The saved tokens where the file has them all, otherwise the text encoded.

        What neither has is named in a problem row: those tokens are left out.
        """
        if not response.positions:
            return self._encode(response.text)
        tokens = [position.token for position in response.positions]
        alignment = align(tokens, self._vocab, self._encode, response.text)
        ids = alignment.ids
        lost = [t for t, why in zip(tokens, alignment.reasons, strict=True) if why is not None]
        if any(not token.special for token in lost):
            from_text = self._encode(response.text)
            if self._bytes(from_text) >= self._bytes(ids):
                end = self._vocab.resolve(tokens[-1])[:1] if tokens[-1].special else ()
                ids = from_text if from_text[-1:] == end else from_text + end
                lost = [
                    t for t in tokens if t.special and not set(self._vocab.resolve(t)) & set(ids)
                ]
        if lost:
            self._note_lost(entry, response, lost)
        return ids

    def _encode(self, text: str) -> Ids:
        return encode_text(self._models[0], text)

    def _bytes(self, ids: Ids) -> int:
        return sum(map(len, self._vocab.text_bytes(ids)))

    def _note_lost(self, entry: Entry, response: Response, lost: Sequence[Token]) -> None:
        names = list(dict.fromkeys(repr(token.piece) for token in lost))
        shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
        self._note(
            entry,
            response,
            f"{len(lost)} of its {len(response.positions)} tokens are none of "
            f"{display_name(self._models[0])}: {shown}",
            "They were left out; what stands around them was compared.",
        )

    def _note(self, entry: Entry, response: Response, reason: str, hint: str) -> None:
        place = f"$[{entry.index}].responses[{response.index}]"
        self._problems.append(Problem(entry.file, place, reason, hint))

    def _scored(self, entry: Entry, slot: int, ids: Ids, scores: PairScores) -> ScoredResponse:
        response = entry.responses[slot]
        if scores.error:
            hint = "Shorten the response or use models with a longer context."
            self._note(entry, response, scores.error, hint)
            return measures.unscored(with_error(response, scores.error))
        first, second = scores.scores1, scores.scores2
        sides = [
            [self._dist(view, other, row, ids[row]) for row in range(len(ids))]
            for view, other in ((first, second), (second, first))
        ]
        reasons = [NO_CONTEXT if np.isnan(value) else None for value in first.chosen]
        positions = tuple(
            Position(
                self._vocab.token(number),
                None if reason else float(first.chosen[row]),
                None if reason else sides[0][row],
                reason,
            )
            for row, (number, reason) in enumerate(zip(ids, reasons, strict=True))
        )
        local = Response(
            response.index,
            response.text,
            positions,
            response.provider,
            response.model,
            response.finish_reason,
            response.reasoning,
            None,
        )
        dists2 = [None if reason else dist for reason, dist in zip(reasons, sides[1], strict=True)]
        known = measures.KnownOfModel2(second.chosen, second.rank, second.entropy)
        return measures.score(local, dists2, reasons, "full", known2=known, exact=_exact(scores))

    def _dist(self, view: Scores, other: Scores, row: int, chosen_id: int) -> TokenDist | None:
        if np.isnan(view.chosen[row]):
            return None
        return dist_of(view, row, self._vocab, chosen_id, other.top_ids)

    def _refuse(self, entry: Entry, results: list[ScoredResponse], reason: str) -> None:
        self._problems.append(
            Problem(entry.file, f"$[{entry.index}]", reason, "The prompt was not compared.")
        )
        for slot, response in enumerate(entry.responses):
            results[slot] = measures.unscored(with_error(response, response.error or reason))


def _exact(scores: PairScores) -> measures.WholeVocabulary:
    first, second = scores.scores1, scores.scores2
    return measures.WholeVocabulary(
        kl=scores.kl,
        reverse=scores.kl_reverse,
        js=scores.js,
        entropy1=first.entropy,
        entropy2=second.entropy,
        logprob1=first.chosen,
        logprob2=second.chosen,
        rank1=first.rank,
        rank2=second.rank,
    )
