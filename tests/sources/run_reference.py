"""A run's estimate from those of its entries, written plainly: what the store's SQL is held to."""

from __future__ import annotations

import math
from collections.abc import Sequence

from kl_core.numeric.rare_sums import rare_sum_interval
from kl_core.records import Estimate


def run_estimate(entries: Sequence[Estimate]) -> Estimate | None:
    """The mean over all positions of the entries, with an approximate 95 % interval.

    Needs only what is stored of each entry. The interval is that of a sum of rare, weighted
    events (Fay & Feuer): not symmetric, and above 0 wide enough for one more event of the
    size of the cap that was missed. Tested by simulation, not proved.

    Returns:
        None without entries. `high` is inf where an entry's is.
    """
    if not entries:
        return None
    of = sum(each.of for each in entries)
    shares = [each.of / of for each in entries]
    mean = sum(share * each.mean for share, each in zip(shares, entries, strict=True))
    variance = sum(
        # from one draw alone there is no estimate; its square is too large by its mean squared
        share**2 * (each.mean**2 if math.isnan(each.variance) else each.variance)
        for share, each in zip(shares, entries, strict=True)
    )
    event = max((_event(each) for each in entries), default=0.0) / of
    if all(each.asked == each.of for each in entries):
        low = high = mean
    else:
        low, high = rare_sum_interval(mean, variance, event)
        if any(math.isinf(each.high) for each in entries):
            high = math.inf
    asked = sum(each.asked for each in entries)
    return Estimate(mean, low, high, variance, asked, of, max(each.cap for each in entries))


def _event(entry: Estimate) -> float:
    """What one position at the cap, had it been drawn, would have added to the entry's total."""
    return 0.0 if entry.asked == entry.of else entry.cap * entry.of / entry.asked
