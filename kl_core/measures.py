"""Records and distributions in, scored records out.

The one place that applies `numeric` to tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kl_core.numeric import divergence, topk
from kl_core.numeric.lower_bound import lower_kl
from kl_core.numeric.topk import EMPTY, TopK
from kl_core.records import (
    Floats,
    Ints,
    Measure,
    Position,
    Response,
    ScoredResponse,
    Token,
    TokenDist,
    TokenMeasures,
)

MAX_CHUNK = 1_000_000  # candidate pairs compared at a time
SAME_LOGPROB = 1e-3  # one value, written twice by a server, may differ by this much
MAX_UNIDENTIFIED = 0.01  # share of a list; above it the lists cannot be compared


@dataclass(frozen=True, slots=True)
class KnownOfModel2:
    """What a source knows of model 2 beside its lists, [T] each, NaN (rank: -1) unknown."""

    logprob: Floats
    rank: Ints
    entropy: Floats


@dataclass(frozen=True, slots=True)
class WholeVocabulary:
    """Exact figures of two whole distributions, [T] each, nats; P is model 1."""

    kl: Floats
    reverse: Floats
    js: Floats
    entropy1: Floats
    entropy2: Floats
    logprob1: Floats
    logprob2: Floats
    rank1: Ints
    rank2: Ints


def unscored(response: Response) -> ScoredResponse:
    """A response without a second model: model 1's surprisal and entropy only."""
    count = len(response.positions)
    return score(response, (None,) * count, tuple(p.reason for p in response.positions), None)


def score(
    response: Response,
    dists2: Sequence[TokenDist | None],
    reasons: Sequence[str | None],
    measure: Measure | None = "floor",
    known2: KnownOfModel2 | None = None,
    exact: WholeVocabulary | None = None,
    spans: Sequence[tuple[int, int] | None] = (),
    span_logprob2: Floats | None = None,
) -> ScoredResponse:
    """Apply every measure at every position where both sides are known.

    Args:
        response: model 1's side, T positions.
        dists2: model 2's list per position, None where there is none.
        reasons: why a position cannot be scored; None where it can. A position whose
            distribution is missing on a side never gets a number.
        measure: `full` needs `exact`; None for a response without a second model.
        known2: values model 2 gave beside its list.
        exact: whole-vocabulary figures; they replace the truncated headline.
        spans: alignment spans, see ScoredResponse.
        span_logprob2: [T] log Q of a whole span on its first position, NaN elsewhere.

    Returns:
        The scored response; nats, P = model 1, Q = model 2.
    """
    positions = response.positions
    values = _empty(len(positions))
    _fill_side1(values, positions)
    rows = [
        index
        for index, (position, dist) in enumerate(zip(positions, dists2, strict=True))
        if position.dist is not None and dist is not None and reasons[index] is None
    ]
    for chunk in _chunks(rows, positions, dists2):
        _fill_pair(values, chunk, positions, dists2)
    _fill_side2(values, positions, dists2, known2)
    if exact is not None:
        _use_exact(values, exact, [index for index, r in enumerate(reasons) if r is None])
    _fill_log_ratio(values, spans, span_logprob2)
    why = list(reasons)
    if exact is None:
        for index in rows:
            why[index] = _unidentified(positions[index].dist, dists2[index])
        _blank_headlines(values, [index for index in rows if why[index]])
    return ScoredResponse(
        response=response,
        dists2=tuple(dists2),
        reasons=tuple(why),
        measures=TokenMeasures(**values),
        measure=measure,
        spans=tuple(spans),
    )


def identity(token: Token) -> tuple[Any, ...]:
    """What makes two candidates the same token: bytes where known, else the piece.

    Special tokens live in a namespace of their own.
    """
    if token.special:
        return ("special", token.piece)
    return ("bytes", token.data) if token.data is not None else ("piece", token.piece)


def identified(token: Token) -> bool:
    """False where the file does not tell which vocabulary entry a candidate is.

    Its bytes are not known (part of a character, written as U+FFFD), or it is a special
    token without a name.
    """
    return bool(token.piece) if token.special else token.data is not None


def position_keys(scored: ScoredResponse) -> Iterator[tuple[list[int], list[int]]]:
    """Both sides' candidate keys per position; equal keys are the same token.

    A key of -2 or less stands for a candidate of unknown identity and is never equal.
    """
    intern = _Interner()
    for position, dist2 in zip(scored.response.positions, scored.dists2, strict=True):
        yield intern.keys(position.dist), intern.keys(dist2)


class _Interner:
    """Small integers for identities; aligned lists keep the keys they came with.

    Readers share one Token object per vocabulary entry, so objects are told apart by
    `id` first: hashing a token's fields for every candidate took a fifth of an import.
    The tokens outlive the interner, they belong to the lists it is given.
    """

    def __init__(self) -> None:
        self._tokens: dict[int, int] = {}
        self._identities: dict[tuple[Any, ...], int] = {}
        self._unknown = EMPTY

    def keys(self, dist: TokenDist | None) -> list[int]:
        if dist is None:
            return []
        if dist.keys is not None:
            return list(dist.keys)
        return [self.key(token) for token in dist.tokens]

    def key(self, token: Token) -> int:
        known = self._tokens.get(id(token))
        if known is None:
            if not identified(token):
                self._unknown -= 1
                return self._unknown
            known = self._identities.setdefault(identity(token), len(self._identities))
            self._tokens[id(token)] = known
        return known


def _empty(count: int) -> dict[str, Any]:
    floats = (
        "headline",
        "reverse",
        "js",
        "lower",
        "tail",
        "rank_kl",
        "entropy1",
        "entropy2",
        "entropy1_full",
        "entropy2_full",
        "logprob1",
        "logprob2",
        "rest1",
        "rest2",
    )
    values: dict[str, Any] = {name: np.full(count, np.nan) for name in floats}
    values |= {name: np.full(count, -1, dtype=np.int64) for name in ("rank1", "rank2")}
    values["censored"] = np.zeros(count, dtype=np.bool_)
    return values


def _fill_side1(values: dict[str, Any], positions: Sequence[Position]) -> None:
    for index, position in enumerate(positions):
        if position.logprob is not None:
            values["logprob1"][index] = position.logprob
    rows = [index for index, position in enumerate(positions) if position.dist is not None]
    if rows:
        side = arrays([positions[index].dist for index in rows])
        values["entropy1"][rows] = topk.listed_entropy(side)
        values["rest1"][rows] = topk.rest(side)
    for index in rows:
        values["rank1"][index] = _rank(positions[index])


def _fill_pair(
    values: dict[str, Any],
    rows: list[int],
    positions: Sequence[Position],
    dists2: Sequence[TokenDist | None],
) -> None:
    p, q = paired_arrays([positions[i].dist for i in rows], [dists2[i] for i in rows])
    logp, logq = topk.union(p, q)
    values["headline"][rows] = divergence.kl(logp, logq)
    values["reverse"][rows] = divergence.kl(logq, logp)
    values["js"][rows] = divergence.jensen_shannon(logp, logq)
    values["lower"][rows] = lower_kl(p, q)
    values["tail"][rows] = topk.tail_kl(p, q)
    values["rank_kl"][rows] = topk.rank_kl(*_ranked(p, q))


def _fill_side2(
    values: dict[str, Any],
    positions: Sequence[Position],
    dists2: Sequence[TokenDist | None],
    known2: KnownOfModel2 | None,
) -> None:
    rows = [index for index, dist in enumerate(dists2) if dist is not None]
    if rows:
        side = arrays([dists2[index] for index in rows])
        values["entropy2"][rows] = topk.listed_entropy(side)
        values["rest2"][rows] = topk.rest(side)
    if known2 is not None:
        values["logprob2"], values["rank2"] = known2.logprob.copy(), known2.rank.copy()
        values["entropy2_full"] = known2.entropy.copy()
        rows = [index for index in rows if np.isnan(known2.logprob[index])]
    for index in rows:
        dist, token = dists2[index], positions[index].token
        assert dist is not None
        if not identified(token):
            continue
        wanted = identity(token)
        place = next((i for i, t in enumerate(dist.tokens) if identity(t) == wanted), None)
        if place is None:
            values["censored"][index] = True
        elif known2 is None:
            values["logprob2"][index] = dist.logprobs[place]
            values["rank2"][index] = place + 1 if place < dist.listed else -1


def _fill_log_ratio(
    values: dict[str, Any], spans: Sequence[tuple[int, int] | None], span_logprob2: Floats | None
) -> None:
    values["log_ratio"] = divergence.log_ratio(values["logprob1"], values["logprob2"])
    for index, span in enumerate(spans):
        if span is not None and span_logprob2 is not None and span[0] == index:
            whole = values["logprob1"][span[0] : span[1]].sum()
            values["log_ratio"][index] = whole - span_logprob2[index]


def _use_exact(values: dict[str, Any], exact: WholeVocabulary, rows: list[int]) -> None:
    pairs = {
        "headline": exact.kl,
        "lower": exact.kl,
        "reverse": exact.reverse,
        "js": exact.js,
        "entropy1": exact.entropy1,
        "entropy2": exact.entropy2,
        "entropy1_full": exact.entropy1,
        "entropy2_full": exact.entropy2,
        "logprob1": exact.logprob1,
        "logprob2": exact.logprob2,
        "rank1": exact.rank1,
        "rank2": exact.rank2,
    }
    for name, array in pairs.items():
        values[name][rows] = np.asarray(array)[rows]
    values["censored"][rows] = False


def arrays(dists: Sequence[TokenDist | None]) -> TopK:
    """Lists of one side as arrays; identities are only places in the row."""
    width = max((len(dist.tokens) for dist in dists if dist), default=1)
    ids = np.full((len(dists), width), EMPTY, dtype=np.int64)
    logp = np.full((len(dists), width), -np.inf)
    listed = np.zeros((len(dists), width), dtype=np.bool_)
    for row, dist in enumerate(dists):
        if dist is None:
            continue
        size = len(dist.logprobs)
        ids[row, :size] = np.arange(size)
        logp[row, :size] = dist.logprobs
        listed[row, : dist.listed] = True
    return TopK(ids, logp, listed)


def paired_arrays(
    dists1: Sequence[TokenDist | None], dists2: Sequence[TokenDist | None]
) -> tuple[TopK, TopK]:
    """Both sides as arrays with identities that agree across them."""
    intern = _Interner()
    sides = []
    for dists in (dists1, dists2):
        side = arrays(dists)
        for row, dist in enumerate(dists):
            keys = intern.keys(dist)
            # EMPTY is reserved: aligners number what they cannot resolve from -2 down
            side.ids[row, : len(keys)] = keys
        sides.append(side)
    return sides[0], sides[1]


def _ranked(p: TopK, q: TopK) -> tuple[Floats, Floats]:
    """Listed log-probabilities in falling order, both cut to P's k, NaN past an end."""
    width = max(int(p.listed.sum(axis=-1).max(initial=0)), 1)

    def cut(side: TopK) -> Floats:
        values = np.where(side.listed, side.logp, -np.inf)
        ordered = -np.sort(-values, axis=-1)[:, :width]
        ordered = np.pad(ordered, ((0, 0), (0, width - ordered.shape[1])), constant_values=-np.inf)
        return np.where(np.isneginf(ordered), np.nan, ordered)

    return cut(p), cut(q)


def _rank(position: Position) -> int:
    dist, token = position.dist, position.token
    if dist is None:
        return -1
    wanted = identity(token)
    known = identified(token)
    for place, candidate in enumerate(dist.tokens[: dist.listed]):
        same = candidate is token or identity(candidate) == wanted
        if same and (known or _has_logprob(position, dist.logprobs[place])):
            return place + 1
    return -1


def _has_logprob(position: Position, logprob: float) -> bool:
    return position.logprob is not None and abs(position.logprob - logprob) <= SAME_LOGPROB


def _unidentified(dist1: TokenDist | None, dist2: TokenDist | None) -> str | None:
    """Why two lists cannot be compared: too much of one is of unknown identity."""
    for number, dist in ((1, dist1), (2, dist2)):
        assert dist is not None
        unknown = [n for n in range(dist.listed) if _unknown_at(dist, n)]
        if not unknown:
            continue
        mass = np.exp(dist.logprobs[: dist.listed])
        held = float(mass[unknown].sum())
        if held > MAX_UNIDENTIFIED * mass.sum():
            return _unidentified_reason([dist.tokens[n] for n in unknown], held, number)
    return None


def _unknown_at(dist: TokenDist, place: int) -> bool:
    return not identified(dist.tokens[place]) if dist.keys is None else dist.keys[place] < EMPTY


def _unidentified_reason(tokens: Sequence[Token], held: float, number: int) -> str:
    one = len(tokens) == 1
    parts = all("\ufffd" in token.piece for token in tokens)
    what = ("part of a character" if one else "parts of characters") if parts else "not named"
    tail = " that the file does not identify" if parts else " in the file"
    return (
        f"{len(tokens)} candidate{'' if one else 's'} with {100 * held:.0f} % of model "
        f"{number}'s probability {'is' if one else 'are'} {what}{tail}"
    )


def _blank_headlines(values: dict[str, Any], rows: list[int]) -> None:
    for name in ("headline", "reverse", "js"):
        values[name][rows] = np.nan


def _chunks(
    rows: list[int], positions: Sequence[Position], dists2: Sequence[TokenDist | None]
) -> Iterator[list[int]]:
    """Rows in groups whose pairwise comparison stays small."""
    widths = [len(d.tokens) for d in dists2 if d is not None]
    widths += [len(p.dist.tokens) for p in positions if p.dist is not None]
    pairs = max(widths, default=1) ** 2
    step = max(MAX_CHUNK // pairs, 1)
    for start in range(0, len(rows), step):
        yield rows[start : start + step]
