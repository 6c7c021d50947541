"""Both models' lists of one response with the identities that settle most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kl_core.records import Response, TokenDist
from kl_core.sources.shared_ids import both_keyed, same_vocabulary


def paired_by_id(
    response: Response, dists2: Sequence[TokenDist | None]
) -> tuple[Response, list[TokenDist | None]]:
    """Lists with ids for identities where both models have one vocabulary.

    Args:
        response: model 1's side, T positions.
        dists2: model 2's list per position.

    Returns:
        Both as they were where the ids are missing or mean different tokens.
    """
    if not same_vocabulary([position.dist for position in response.positions], dists2):
        return response, list(dists2)
    positions, others = [], []
    for position, other in zip(response.positions, dists2, strict=True):
        dist = position.dist
        if dist is not None and other is not None:
            dist, other = both_keyed(dist, other)  # noqa: PLW2901 - the pair goes on together
        positions.append(replace(position, dist=dist))
        others.append(other)
    return replace(response, positions=tuple(positions)), others
