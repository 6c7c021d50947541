"""Which sequences run together: least padding under a budget of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kl_core.errors import ModelError


@dataclass
class Budget:
    """How much is held at once; halved when the device runs out of memory.

    Attributes:
        tokens: sequences times (cached prefix + padded length) of one forward pass.
        rows: rows of the vocabulary projection held at once.
    """

    tokens: int
    rows: int

    def halve_tokens(self) -> None:
        """Make batches smaller.

        Raises:
            ModelError: they are as small as they can be.
        """
        if self.tokens <= 1:
            raise ModelError(
                "One sequence alone does not fit into the device's memory; use a smaller "
                "dtype, a device_map over several devices, or the CPU."
            )
        self.tokens //= 2

    def halve_rows(self) -> None:
        """Make projection chunks smaller.

        Raises:
            ModelError: one row alone does not fit.
        """
        if self.rows <= 1:
            raise ModelError(
                "One row of the vocabulary does not fit into the device's memory; free "
                "some of it or use the CPU."
            )
        self.rows //= 2


def plan_batches(
    lengths: Sequence[int], prefix: int, budget: int, overhead: int
) -> list[list[int]]:
    """Split sequences into right-padded batches of least total cost.

    A batch of n sequences padded to L tokens costs n·L + overhead token steps. Among
    all ways to cut the length-sorted list, the cheapest is taken (exact, by dynamic
    programming).

    Args:
        lengths: tokens of each sequence, each at least 1.
        prefix: tokens of cache that every sequence of a batch holds besides its own.
        budget: most that n·(prefix + L) may be; one sequence is always allowed.
        overhead: what starting a batch costs, in token steps.

    Returns:
        Indices into `lengths`, one list a batch, longest sequences first.
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    costs: list[int] = [0]
    cuts: list[int] = [0]
    for end in range(1, len(order) + 1):
        best, cut = -1, end - 1
        for start in range(end - 1, -1, -1):
            count, longest = end - start, lengths[order[start]]
            if count > 1 and count * (prefix + longest) > budget:
                break
            cost = costs[start] + count * longest + overhead
            if best < 0 or cost < best:
                best, cut = cost, start
        costs.append(best)
        cuts.append(cut)
    return _unwind(order, cuts)


def _unwind(order: list[int], cuts: list[int]) -> list[list[int]]:
    batches: list[list[int]] = []
    end = len(order)
    while end > 0:
        batches.append(order[cuts[end] : end])
        end = cuts[end]
    return batches[::-1]
