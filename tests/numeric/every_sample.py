"""All ordered samples of a small population, so that promises hold exactly and not on average."""

from __future__ import annotations

from itertools import permutations

import numpy as np

from kl_core.numeric.ordered_sampling import draws


def every_sample(values, weights, count):
    """(probability, Draws) of every ordered sample, chances by hand."""
    for order in permutations(range(len(values)), count):
        left, chance = weights.sum(), 1.0
        for place in order:
            chance *= weights[place] / left
            left -= weights[place]
        yield chance, draws(values[list(order)], weights, np.array(order))
