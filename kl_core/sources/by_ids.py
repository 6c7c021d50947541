"""A model that knows its own token ids beside a saved response: the response scored by ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kl_core import measures
from kl_core.formats.align import Alignment, Segment, Vocabulary, align, resolve_dist
from kl_core.models.work import Scores
from kl_core.records import (
    Entry,
    Floats,
    Ints,
    Position,
    Problem,
    Response,
    ScoredResponse,
    Token,
    TokenDist,
    with_error,
)
from kl_core.sources.by_text import NO_VALUE
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


@dataclass(frozen=True, slots=True)
class Told:
    """What model 2 says about the T_local ids of a response; nats.

    Attributes:
        chosen: [T_local] log-probability of each id, NaN where it is not known.
        rank: [T_local] from 1, -1 unknown.
        entropy: [T_local] over the whole vocabulary, NaN unknown.
        dists: its lists; only those of ids that are one token of the file are read.
        refused: why nothing at all is known at a place; None where something may be.
        unlisted: why there is no list; None says that none was given.
    """

    chosen: Floats
    rank: Ints
    entropy: Floats
    dists: Sequence[TokenDist | None]
    refused: Sequence[str | None]
    unlisted: Sequence[str | None]


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

    def prepare(self, response: Response) -> Prepared:
        """The response in local ids; nothing is noted before it is scored."""
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
        wanted = id_matrix(rows, len(rows))
        return Prepared(replace(response, positions=tuple(positions)), alignment, local, wanted)

    def scored(self, entry: Entry, prepared: Prepared, scores: Scores) -> ScoredResponse:
        """The response with model 2's lists; `scores` are of `prepared.alignment.ids`."""
        if scores.error:
            response = prepared.response
            self.note(entry, response, scores.error, "Shorten the response or use another model.")
            return measures.unscored(with_error(response, scores.error))
        ids = prepared.alignment.ids
        dists: list[TokenDist | None] = [None] * len(ids)
        for row in prepared.local.tolist():
            if row >= 0 and scores.top_ids.shape[1] and scores.top_ids[row, 0] >= 0:
                dists[row] = dist_of(scores, row, self._vocab, ids[row], prepared.wanted)
        refused = [NO_CONTEXT if np.isnan(value) else None for value in scores.chosen]
        nothing = (None,) * len(ids)
        told = Told(scores.chosen, scores.rank, scores.entropy, dists, refused, nothing)
        return self.told(entry, prepared, told)

    def told(self, entry: Entry, prepared: Prepared, told: Told) -> ScoredResponse:
        """The response with what model 2 says; low coverage becomes a problem."""
        response = prepared.response
        self._note_coverage(entry, response, prepared.alignment)
        count = len(response.positions)
        reasons = list(prepared.alignment.reasons)
        spans, span_logprob2 = _spans(prepared.alignment, told, reasons)
        dists2: list[TokenDist | None] = [None] * count
        known = measures.KnownOfModel2(
            np.full(count, np.nan), np.full(count, -1, dtype=np.int64), np.full(count, np.nan)
        )
        for index, row in enumerate(prepared.local.tolist()):
            reasons[index] = response.positions[index].reason or reasons[index]
            if row < 0 or reasons[index] is not None:
                continue
            reasons[index] = told.refused[row]
            if reasons[index] is not None:
                continue
            known.logprob[index] = told.chosen[row]
            known.rank[index] = told.rank[row]
            known.entropy[index] = told.entropy[row]
            dist = told.dists[row]
            if dist is None:
                reasons[index] = told.unlisted[row] or NO_LIST
                continue
            dists2[index] = self._listed_like(response.positions[index].dist, dist)
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


def _spans(
    alignment: Alignment, told: Told, reasons: list[str | None]
) -> tuple[list[tuple[int, int] | None], Floats]:
    """The stretches that are not one to one and their log Q; each has its reason.

    A stretch in which model 2 did not tell one of the probabilities is none.
    """
    count = len(reasons)
    spans: list[tuple[int, int] | None] = [None] * count
    logprobs = np.full(count, np.nan)
    for segment in alignment.segments:
        if segment.one_to_one:
            continue
        start, end, rows = segment.api_start, segment.api_end, slice(*_local(segment))
        whole = told.chosen[rows].sum()
        lost = next((reason for reason in told.refused[rows] if reason), None)
        if lost is None and np.isnan(whole):
            lost = NO_VALUE
        reasons[start:end] = [lost or _span_reason(end - start)] * (end - start)
        if lost is None:
            spans[start:end] = [(start, end)] * (end - start)
            logprobs[start] = whole
    return spans, logprobs


def _local(segment: Segment) -> tuple[int, int]:
    return segment.local_start, segment.local_end


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
