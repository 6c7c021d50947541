"""A local transformers model as model 2: every saved token scored in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kl_core import measures
from kl_core.errors import ModelError
from kl_core.formats.align import Alignment, align, resolve_dist
from kl_core.models.engine import PrefixCacheEngine
from kl_core.models.load import LoadedModel, ModelSpec, encode_text, load_model
from kl_core.models.work import Scores, Work
from kl_core.records import (
    Entry,
    Ints,
    Position,
    Problem,
    Response,
    ScoredEntry,
    ScoredResponse,
    Token,
    TokenDist,
    with_error,
)
from kl_core.sources.base import DEFAULT_TOP_K
from kl_core.sources.context import display_name, grouped, require_template, vocabulary_of
from kl_core.sources.dists import dist_of, id_matrix

NO_CONTEXT = "the first token has nothing before it: an empty prompt gives no distribution"
LOW_COVERAGE = 0.9
MAX_TOP_K = 100  # longer lists of a file are followed by asking for their candidates only


@dataclass(frozen=True, slots=True)
class Prepared:
    """One response ready for the engine.

    Attributes:
        response: its candidates resolved to local ids (`keys`) where they could be.
        local: the local position of each file position matched one to one, -1 otherwise.
        wanted: [T_local, m] candidates of model 1 to ask model 2 for.
    """

    response: Response
    alignment: Alignment
    local: Ints
    wanted: Ints


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
        self._vocab = vocabulary_of(loaded)
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
        return rows

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
                ready = [(number, i, self._prepare(entry, entry.responses[i])) for i in group.slots]
                places.append(ready)
                ids = tuple(p.alignment.ids for _, _, p in ready)
                work.append(Work(group.prompt_ids, ids, tuple(p.wanted for _, _, p in ready)))
        if self._match_lists:
            self._engine.top_k = _top_k_for(entries)
        for ready, scores in zip(places, self._engine.score(work), strict=True):
            for (number, slot, prepared), one in zip(ready, scores, strict=True):
                results[number][slot] = self._scored(entries[number], prepared, one)
        return [
            ScoredEntry(entry, _model1(entry), display_name(self._loaded), tuple(scored))
            for entry, scored in zip(entries, results, strict=True)
        ]

    def _prepare(self, entry: Entry, response: Response) -> Prepared:
        alignment = align(
            [position.token for position in response.positions],
            self._vocab,
            lambda text: encode_text(self._loaded, text),
            response.text,
        )
        local = np.full(len(response.positions), -1, dtype=np.int64)
        for segment in alignment.segments:
            if segment.one_to_one:
                local[segment.api_start] = segment.local_start
        positions = []
        rows: list[list[int]] = [[] for _ in alignment.ids]
        for position, place in zip(response.positions, local.tolist(), strict=True):
            dist = None if position.dist is None else resolve_dist(position.dist, self._vocab)
            positions.append(replace(position, dist=dist))
            if dist is not None and dist.keys is not None and place >= 0:
                rows[place] = [key for key in dist.keys if 0 <= key < len(self._vocab.pieces)]
        self._note_coverage(entry, response, alignment)
        wanted = id_matrix(rows, len(rows))
        return Prepared(replace(response, positions=tuple(positions)), alignment, local, wanted)

    def _scored(self, entry: Entry, prepared: Prepared, scores: Scores) -> ScoredResponse:
        response, alignment = prepared.response, prepared.alignment
        if scores.error:
            self._note(entry, response, scores.error, "Shorten the response or use another model.")
            return measures.unscored(with_error(response, scores.error))
        count = len(response.positions)
        reasons = list(alignment.reasons)
        spans: list[tuple[int, int] | None] = [None] * count
        span_logprob2 = np.full(count, np.nan)
        for segment in alignment.segments:
            if segment.one_to_one:
                continue
            start, end = segment.api_start, segment.api_end
            spans[start:end] = [(start, end)] * (end - start)
            reasons[start:end] = [_span_reason(end - start)] * (end - start)
            local = scores.chosen[segment.local_start : segment.local_end]
            span_logprob2[start] = local.sum()
        dists2: list[TokenDist | None] = [None] * count
        known = measures.KnownOfModel2(
            np.full(count, np.nan), np.full(count, -1, dtype=np.int64), np.full(count, np.nan)
        )
        for index, row in enumerate(prepared.local.tolist()):
            reasons[index] = response.positions[index].reason or reasons[index]
            if row < 0 or reasons[index] is not None:
                continue
            if np.isnan(scores.chosen[row]):
                reasons[index] = NO_CONTEXT
                continue
            known.logprob[index] = scores.chosen[row]
            known.rank[index] = scores.rank[row]
            known.entropy[index] = scores.entropy[row]
            chosen_id = alignment.ids[row]
            dists2[index] = self._listed_like(
                response.positions[index].dist,
                dist_of(scores, row, self._vocab, chosen_id, prepared.wanted),
            )
        return measures.score(
            response,
            dists2,
            _explained(response.positions, reasons),
            "floor",
            known2=known,
            spans=spans,
            span_logprob2=span_logprob2,
        )

    def _listed_like(self, dist1: TokenDist | None, dist2: TokenDist) -> TokenDist:
        """Model 2's list no longer than model 1's, unless a length was asked for."""
        if not self._match_lists or dist1 is None:
            return dist2
        return replace(dist2, listed=min(dist1.listed, dist2.listed))

    def _refuse(self, entry: Entry, results: list[ScoredResponse], reason: str) -> None:
        self._problems.append(
            Problem(entry.file, f"$[{entry.index}]", reason, "The prompt was not scored.")
        )
        for slot, response in enumerate(entry.responses):
            results[slot] = measures.unscored(with_error(response, response.error or reason))

    def _note_coverage(self, entry: Entry, response: Response, alignment: Alignment) -> None:
        if alignment.coverage >= LOW_COVERAGE:
            return
        share = (
            f"only {100 * alignment.coverage:.0f} % of its tokens could be matched with tokens of "
        )
        tokens = [position.token for position in response.positions]
        unknown = sum([token.data is None for token in tokens])
        cause = "the tokenizers differ"
        hint = "Score with a model that has the same tokenizer for a full comparison."
        if unknown and self._lost_by_bytes(tokens, alignment):
            cause = f"the file does not give the bytes of {unknown} of its {len(tokens)} tokens"
            hint = "Save the responses with the bytes or ids of their tokens."
        self._note(entry, response, f"{share}{display_name(self._loaded)}: {cause}", hint)

    def _lost_by_bytes(self, tokens: Sequence[Token], alignment: Alignment) -> bool:
        """Whether every token of known bytes up to the first lost one is a local token."""
        reasons = alignment.reasons
        end = next((n for n, reason in enumerate(reasons) if reason), len(reasons))
        known = [token for token in tokens[:end] if token.data is not None]
        return all(self._vocab.resolve(token) for token in known)

    def _note(self, entry: Entry, response: Response, reason: str, hint: str) -> None:
        place = f"$[{entry.index}].responses[{response.index}]"
        self._problems.append(Problem(entry.file, place, reason, hint))


def _explained(
    positions: Sequence[Position], reasons: Sequence[str | None]
) -> tuple[str | None, ...]:
    """A reason wherever model 1's own list is missing."""
    missing = "model 1's list of candidates is missing here"
    return tuple(
        reason or (missing if position.dist is None else None)
        for position, reason in zip(positions, reasons, strict=True)
    )


def _span_reason(count: int) -> str:
    if count == 1:
        return "several tokens of model 2: only the log-ratio is known"
    return f"aligned as a span of {count} tokens: only its log-ratio is known"


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
