"""A model that knows its own token ids beside a saved response: the response scored by ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kl_core import measures
from kl_core.formats.align import Alignment, Vocabulary, align, resolve_dist
from kl_core.models.work import Scores
from kl_core.records import (
    Entry,
    Ints,
    Position,
    Problem,
    Response,
    ScoredResponse,
    Token,
    TokenDist,
    with_error,
)
from kl_core.sources.dists import dist_of, id_matrix

NO_CONTEXT = "the first token has nothing before it: an empty prompt gives no distribution"
NO_LIST = "model 2's server gave no list here"
LOW_COVERAGE = 0.9


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


class ByIds:
    """Responses in the ids of model 2's tokenizer, and its scores beside them; Q is model 2.

    Args:
        vocab: of model 2.
        encode: text to its ids, without special tokens.
        model2: what tables call it.
        match_lists: model 2's list is taken no longer than model 1's at each position.
    """

    def __init__(
        self,
        vocab: Vocabulary,
        encode: Callable[[str], tuple[int, ...]],
        model2: str,
        match_lists: bool,
    ) -> None:
        self._vocab = vocab
        self._encode = encode
        self._model2 = model2
        self._match_lists = match_lists
        self._problems: list[Problem] = []

    def problems(self) -> list[Problem]:
        """Rows since the last call."""
        rows, self._problems = self._problems, []
        return rows

    def prepare(self, entry: Entry, response: Response) -> Prepared:
        """The response in local ids; low coverage becomes a problem."""
        alignment = align(
            [position.token for position in response.positions],
            self._vocab,
            self._encode,
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

    def scored(self, entry: Entry, prepared: Prepared, scores: Scores) -> ScoredResponse:
        """The response with model 2's lists; `scores` are of `prepared.alignment.ids`."""
        response, alignment = prepared.response, prepared.alignment
        if scores.error:
            self.note(entry, response, scores.error, "Shorten the response or use another model.")
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
            if not scores.top_ids.shape[1] or scores.top_ids[row, 0] < 0:
                reasons[index] = NO_LIST
                continue
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
        self.note(entry, response, f"{share}{self._model2}: {cause}", hint)

    def _lost_by_bytes(self, tokens: Sequence[Token], alignment: Alignment) -> bool:
        """Whether every token of known bytes up to the first lost one is a local token."""
        reasons = alignment.reasons
        end = next((n for n, reason in enumerate(reasons) if reason), len(reasons))
        known = [token for token in tokens[:end] if token.data is not None]
        return all(self._vocab.resolve(token) for token in known)

    def note(self, entry: Entry, response: Response, reason: str, hint: str) -> None:
        """One problem of one response."""
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
