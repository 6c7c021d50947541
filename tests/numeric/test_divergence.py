"""Whole-distribution measures against hand-worked and published values."""

import numpy as np
import pytest
from hypothesis import given

from kl_core.errors import DistributionError
from kl_core.numeric.divergence import entropy, jensen_shannon, kl, log_ratio, normalized_kl
from tests.numeric.strategies import log_prob_pairs


def zipf(size, exponent):
    weights = np.arange(1, size + 1) ** -exponent
    return np.log(weights / weights.sum())


def test_kl_of_the_zipf_pair_has_its_known_value():
    """V = 3000, exponents 1.5 and 1.2: KL = .160840 and E|g| = .448657."""
    p, q = zipf(3000, 1.5), zipf(3000, 1.2)
    assert kl(p, q) == pytest.approx(0.160840, abs=5e-7)
    assert (np.exp(p) * abs(p - q)).sum() == pytest.approx(0.448657, abs=5e-7)


def test_kl_is_directed_from_the_first_argument_to_the_second():
    """P = (.8, .2), Q = (.5, .5): the two directions differ, each by its own formula."""
    p, q = np.log([0.8, 0.2]), np.log([0.5, 0.5])
    assert kl(p, q) == pytest.approx(0.8 * np.log(1.6) + 0.2 * np.log(0.4))
    assert kl(q, p) == pytest.approx(0.5 * np.log(0.625) + 0.5 * np.log(2.5))


def test_a_zero_in_p_adds_nothing_and_a_zero_in_q_makes_it_infinite():
    """0 log 0 = 0; a token that P can emit and Q cannot has infinite divergence."""
    with np.errstate(divide="ignore"):
        p, q = np.log([1.0, 0.0]), np.log([0.5, 0.5])
    assert kl(p, q) == pytest.approx(np.log(2))
    assert kl(q, p) == np.inf
    assert jensen_shannon(p, q) == pytest.approx(
        0.5 * np.log(4 / 3) + 0.25 * np.log(2 / 3) + 0.25 * np.log(2)
    )


def test_an_unnormalised_input_shows_instead_of_being_clipped():
    """Nothing is clamped at zero: a negative value tells that an input is wrong."""
    assert kl(np.log([0.2, 0.2]), np.log([0.5, 0.5])) < 0


@given(pair=log_prob_pairs(vocab=9))
def test_jensen_shannon_is_symmetric_and_at_most_ln_2(pair):
    """JS(p, q) = JS(q, p), between 0 and ln 2."""
    p, q = pair
    value = jensen_shannon(p, q)
    assert value == pytest.approx(jensen_shannon(q, p), abs=1e-12)
    assert -1e-12 <= value <= np.log(2) + 1e-12


def test_entropy_of_a_uniform_row_is_the_log_of_its_size():
    """H = ln V, and 0 for a certain token."""
    assert entropy(np.log(np.full(7, 1 / 7))) == pytest.approx(np.log(7))
    assert entropy(np.array([0.0, -np.inf])) == 0


def test_normalised_kl_divides_by_both_entropies_and_is_undefined_without_any():
    """KL/(H1+H2); two certain models give NaN, not infinity."""
    assert normalized_kl(np.array([0.6]), np.array([1.0]), np.array([2.0]))[0] == pytest.approx(0.2)
    assert np.isnan(normalized_kl(np.array([3.0]), np.array([0.0]), np.array([0.0]))[0])


def test_log_ratio_is_positive_where_model_1_is_surer():
    """log P − log Q of the sampled token, unknown where either is."""
    values = log_ratio(np.log([0.5, 0.1, 0.1]), np.array([np.log(0.25), np.log(0.2), np.nan]))
    assert values[:2] == pytest.approx([np.log(2), -np.log(2)])
    assert np.isnan(values[2])


def test_shapes_that_differ_are_refused_with_both_named():
    """A mismatch names both shapes."""
    with pytest.raises(DistributionError, match=r"\(3,\).*\(2,\)"):
        kl(np.zeros(3), np.zeros(2))
