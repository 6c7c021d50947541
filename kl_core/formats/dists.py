"""The top-k list of one position, cleaned: what is the list, and what is known besides."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from kl_core.formats.tokens import Identity, Known
from kl_core.measures import SAME_LOGPROB, identified
from kl_core.records import Token, TokenDist

OUTSIDE = -9000.0  # servers write -9999 for "outside the list"
ROUNDING = 1e-4  # a log-probability this far above 0 is a rounded 0
MASS_LIMIT = 1.01
Note = Callable[[str, str, str], None]  # kind, reason, hint


class UnusableError(Exception):
    """A position that cannot be scored; `args[0]` is the reason."""


def read_logprob(value: object) -> float:
    """A log-probability from a file, at most 0; raises `UnusableError` for anything else."""
    if type(value) is float or type(value) is int:
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if number <= 0.0:
            return number
        if math.isnan(number):
            raise UnusableError("a log-probability is NaN, which is not a number")
        if number <= ROUNDING:
            return 0.0
        raise UnusableError(f"a log-probability is {number}, above 0")
    shown = "null" if value is None else f"a {type(value).__name__}"
    raise UnusableError(f"a log-probability is {shown}, not a number")


def _merge_repeats(
    known: list[Known], logprobs: list[float], note: Note
) -> tuple[list[Known], list[float]]:
    """Drop exact repeats; add up the probability of one identity listed twice.

    Candidates that the file does not identify are not the same one, whatever they look like.
    """
    merged: dict[Identity | tuple[int], int] = {}
    kept: list[Known] = []
    values: list[list[float]] = []
    for n, (entry, logprob) in enumerate(zip(known, logprobs, strict=True)):
        at = merged.setdefault((n,) if _nameless(entry) else entry[1], len(kept))
        if at == len(kept):
            kept.append(entry)
            values.append([logprob])
        elif logprob in values[at]:
            note("repeat", f"the candidate {entry[0].piece!r} is listed twice", "Read once.")
        else:
            values[at].append(logprob)
            note(
                "split",
                f"the candidate {entry[0].piece!r} is listed with different log-probabilities",
                "Their probabilities are added up.",
            )
    return kept, [logsumexp(each) for each in values]


def _nameless(entry: Known) -> bool:
    """Whether two such candidates may be two different tokens."""
    return entry[0].id is None and not identified(entry[0])


def logsumexp(values: Sequence[float]) -> float:
    """The log of the sum of exp(values), exact for one value."""
    if len(values) == 1:
        return values[0]
    top = max(values)
    if top == -math.inf:
        return top
    return top + math.log(sum([math.exp(value - top) for value in values]))


def _appended(
    keys: Sequence[object], logprobs: Sequence[float], chosen: object, longer: bool
) -> int | None:
    """Where a server has put the sampled token that is not of the top-k; None if it is.

    First and out of order while the smallest of all (vLLM), or last and smallest of a
    list that is longer than the others of the response.
    """
    if len(keys) < 2:
        return None
    if keys[0] == chosen and min(logprobs) == logprobs[0] < max(logprobs):
        return 0
    if longer and keys[-1] == chosen and min(logprobs) == logprobs[-1]:
        return len(keys) - 1
    return None


def build_dist(
    known: list[Known],
    logprobs: list[float],
    chosen: Known,
    chosen_logprob: float | None,
    *,
    longer: bool,
    note: Note,
) -> tuple[TokenDist, float | None]:
    """Clean one list; also returns the sampled token's log-probability if it is known.

    Args:
        known: the candidates as they stand in the file.
        logprobs: their log-probabilities, nats.
        chosen: the sampled token.
        chosen_logprob: its log-probability, None where not known.
        longer: the list is longer than most of the response.
        note: takes what had to be changed.

    Raises:
        UnusableError: nothing is left of the list, or it has more probability than 1.
    """
    if logprobs and min(logprobs) <= OUTSIDE:
        pairs = [p for p in zip(known, logprobs, strict=True) if p[1] > OUTSIDE]
        known, logprobs = [p[0] for p in pairs], [p[1] for p in pairs]
        note(
            "outside",
            "entries of -9999 (outside the list) stand in the top log-probabilities",
            "They are no probabilities and were left out.",
        )
    if not known:
        raise UnusableError("no top log-probabilities came back at this position")
    if len({entry[1] for entry in known}) != len(known):
        known, logprobs = _merge_repeats(known, logprobs, note)
    with_ids = chosen[0].id is not None and all(entry[0].id is not None for entry in known)
    which, key = (1, chosen[1]) if with_ids else (2, chosen[2])
    keys: list[object] = [entry[which] for entry in known]
    if _nameless(chosen):
        keys = _only_at(keys, logprobs, key, chosen_logprob)
    tokens = [entry[0] for entry in known]
    extra: list[tuple[Token, float]] = []
    at = keys.index(key) if key in keys else -1
    if at < 0:
        if chosen_logprob is not None:
            extra.append((chosen[0], chosen_logprob))
    else:
        if chosen_logprob is None:
            chosen_logprob = logprobs[at]
        elif abs(chosen_logprob - logprobs[at]) > SAME_LOGPROB:
            note(
                "disagree",
                f"the sampled token {chosen[0].piece!r} has log-probability {chosen_logprob} "
                f"but {logprobs[at]} in its own list",
                "Each value is used where it stands; check how the file was made.",
            )
        place = _appended(keys, logprobs, key, longer)
        if place is not None:
            extra.append((tokens.pop(place), logprobs.pop(place)))
    return _sorted_dist(tokens, logprobs, extra), chosen_logprob


def _only_at(
    keys: list[object], logprobs: Sequence[float], key: object, logprob: float | None
) -> list[object]:
    """`keys` with `key` only where it has the sampled token's own log-probability.

    Several candidates may be written as `\ufffd`; which of them was sampled shows in
    their log-probabilities alone.
    """
    near = [
        (abs(value - logprob), n)
        for n, (each, value) in enumerate(zip(keys, logprobs, strict=True))
        if logprob is not None and each == key
    ]
    at = min(near, default=(1.0, -1))
    place = at[1] if at[0] <= SAME_LOGPROB else -1
    return [None if each == key and n != place else each for n, each in enumerate(keys)]


def _sorted_dist(
    tokens: list[Token], logprobs: list[float], extra: list[tuple[Token, float]]
) -> TokenDist:
    falling = sorted(logprobs, reverse=True)
    if falling != logprobs:
        order = sorted(range(len(logprobs)), key=lambda n: -logprobs[n])
        tokens = [tokens[n] for n in order]
    listed = len(tokens)
    for token, logprob in extra:
        tokens.append(token)
        falling.append(logprob)
    mass = sum(map(math.exp, falling))
    if mass > MASS_LIMIT:
        raise UnusableError(f"the listed probabilities add up to {mass:.4g}, more than 1")
    return TokenDist(tuple(tokens), tuple(falling), listed)
