"""Which positions a budget asks, and what is said about those it does not ask."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kl_core.errors import InputError
from kl_core.records import Estimate, Position, Response, Token, TokenDist
from kl_core.sources.budget import (
    Budget,
    Drawable,
    drawable,
    entry_estimate,
    response_estimate,
)
from tests.numeric.full_results import full_results
from tests.sources.run_reference import run_estimate

NAN = math.nan


def plain(count, slot=0, entropy=None):
    entropy = np.linspace(0, 2, count) if entropy is None else entropy
    return Drawable(slot, tuple(range(count)), entropy, np.zeros(count))


def sample_prompts():
    return [
        (
            [
                Drawable(slot, tuple(range(len(r.kl))), r.entropy1, r.surprisal1)
                for slot, r in enumerate(prompt)
            ],
            [r.kl for r in prompt],
        )
        for prompt in full_results()
    ]


def test_the_same_place_and_seed_draw_the_same_positions():
    """A resumed run asks what it would have asked; another seed, file or entry does not."""
    responses = [plain(60, 0), plain(40, 1)]
    budget = Budget(0.2, seed=5)
    drawn = budget.plan("a.json", 0, responses)
    assert budget.plan("a.json", 0, responses) == drawn
    assert Budget(0.2, seed=6).plan("a.json", 0, responses) != drawn
    assert budget.plan("b.json", 0, responses) != drawn
    assert budget.plan("a.json", 1, responses) != drawn


def test_a_smaller_budget_asks_a_part_of_what_a_larger_one_asks():
    """The order of the draws does not depend on how many there are."""
    small = Budget(0.1).plan("a.json", 0, [plain(200)])[0]
    large = Budget(0.3).plan("a.json", 0, [plain(200)])[0]
    assert large[: len(small)] == small
    assert len(set(large)) == len(large) == 60


def test_the_share_holds_over_an_entry():
    """To within one position, whatever the lengths; and on average over entries."""
    sizes = [7, 33, 51, 4, 18, 90]
    counts = []
    for index in range(200):
        responses = [plain(size, slot) for slot, size in enumerate(sizes)]
        counts.append(sum(map(len, Budget(0.17).plan("f", index, responses))))
    assert max(abs(count - 0.17 * sum(sizes)) for count in counts) <= 1
    assert abs(np.mean(counts) - 0.17 * sum(sizes)) < 4 * 0.5 / math.sqrt(200)


def test_every_response_is_asked_once_at_least():
    """A tiny share of short responses; one without askable positions is asked nothing."""
    responses = [plain(5, 0), plain(0, 1), plain(1, 2)]
    assert [len(drawn) for drawn in Budget(0.01).plan("f", 0, responses)] == [1, 0, 1]


def test_only_askable_positions_are_drawn():
    """Positions with a reason against them stay out."""
    odd = Drawable(0, (3, 5, 8), np.ones(10), np.ones(10))
    assert set(Budget(1.0).plan("f", 0, [odd])[0]) == {3, 5, 8}


@pytest.mark.parametrize("share", [0, -0.1, 1.5, NAN])
def test_a_share_that_is_none_is_refused(share):
    """The message names the value."""
    with pytest.raises(InputError, match="--budget"):
        Budget(share)
    with pytest.raises(InputError, match="nats"):
        Budget(0.5, cap=0)


def test_a_full_budget_is_exact():
    """Everything asked: no interval, no variance, the plain mean."""
    kl = np.random.default_rng(0).gamma(0.1, 3, 30)
    drawn = Budget(1.0).plan("f", 0, [plain(30), plain(30, 1)])
    found = response_estimate(plain(30), drawn[0], kl)
    assert (found.low, found.mean, found.high) == (found.mean,) * 3
    assert found.mean == pytest.approx(kl.mean())
    assert (found.variance, found.asked, found.of) == (0, 30, 30)
    both = entry_estimate([plain(30), plain(30, 1)], drawn, [kl, 2 * kl])
    assert both.low == both.high == both.mean == pytest.approx(1.5 * kl.mean())
    assert run_estimate([both, both]).high == pytest.approx(1.5 * kl.mean())


def test_failed_draws_are_left_out_as_if_not_there():
    """They leave both the draws and the population; undrawn values are not looked at."""
    kl = np.full(10, NAN)
    kl[[2, 7]] = 1.0, 3.0
    found = response_estimate(plain(10, entropy=np.ones(10)), (7, 4, 2), kl)
    assert (found.asked, found.of) == (2, 9)
    assert found.mean == pytest.approx((3 + (3 + 1 * 8) / 9) / 2)
    kl[0] = 100
    assert response_estimate(plain(10, entropy=np.ones(10)), (7, 4, 2), kl) == found


def test_nothing_answered_is_no_estimate():
    """Not 0: None. An entry goes on with its other responses."""
    lost = np.full(6, NAN)
    assert response_estimate(plain(6), (1, 2), lost) is None
    assert entry_estimate([plain(6)], [(1, 2)], [lost]) is None
    found = entry_estimate([plain(6), plain(4, 1)], [(1, 2), (0, 3)], [lost, np.ones(4)])
    assert (found.asked, found.of) == (2, 4)
    assert run_estimate([]) is None


def test_a_value_above_the_cap_shows_in_every_upper_limit():
    """inf for the response, its entry and the run; the mean stands."""
    kl = np.full(20, 0.5)
    kl[3] = 25.0
    one = response_estimate(plain(20), (3, 4, 9), kl)
    entry = entry_estimate([plain(20), plain(20, 1)], [(3, 4), (5, 6)], [kl, kl])
    assert one.high == entry.high == run_estimate([entry]).high == math.inf
    assert response_estimate(plain(20), (3, 4, 9), kl, cap=30).high < 30
    assert one.low > 25 / 20


def test_weights_come_from_the_lists_of_model_1():
    """`drawable` reads entropy and surprisal off a response; a lost list leaves NaN."""
    token = Token("a", b"a", None, "a")
    other = Token("b", b"b", None, "b")
    dist = TokenDist((token, other), (math.log(0.5), math.log(0.5)), 2)
    response = Response(3, "aa", (Position(token, -0.7, dist), Position(token, -1.5, None)))
    made = drawable(response, [0, 1])
    assert made.slot == 3
    assert made.entropy1[0] == pytest.approx(math.log(2))
    assert math.isnan(made.entropy1[1])
    assert made.surprisal1.tolist() == [0.7, 1.5]


def test_estimates_of_the_sample_are_unbiased_and_covered():
    """21 prompts, a fifth of the calls, 6 seeds: the mean error within 4 standard errors;
    response and prompt intervals cover 95 %, runs hardly less."""
    prompts = sample_prompts()
    errors, responses, entries, runs = [], [], [], []
    truth = float(np.concatenate([kl for _, kls in prompts for kl in kls]).mean())
    for seed in range(6):
        budget, stored = Budget(0.2, seed), []
        for index, (drawables, kl) in enumerate(prompts):
            drawn = budget.plan("f", index, drawables)
            found = response_estimate(drawables[0], drawn[0], kl[0])
            responses.append(found.low <= kl[0].mean() <= found.high)
            stored.append(entry_estimate(drawables, drawn, kl))
            entries.append(stored[-1].low <= np.concatenate(kl).mean() <= stored[-1].high)
        run = run_estimate(stored)
        errors.append(run.mean - truth)
        runs.append(run.low <= truth <= run.high)
    assert abs(np.mean(errors)) < 4 * np.std(errors) / math.sqrt(len(errors))
    for inside in (responses, entries, runs):
        assert np.mean(inside) >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / len(inside))


def test_a_run_of_rare_spikes_is_covered_where_the_normal_interval_is_not():
    """1 position in 500 with 8 nats, a tenth asked: 400 runs of 12 entries."""
    rng = np.random.default_rng(3)
    gamma = normal = 0
    for _ in range(400):
        stored = []
        for spiked in [True] * 4 + [False] * 8:
            hit = rng.random() < 0.1
            values = np.zeros(20)
            values[0] = 8.0 if spiked and hit else 0.0
            spread = values.var(ddof=1) / 20
            stored.append(Estimate(values.mean(), 0, 20, spread, 20, 200, 20))
        truth = 4 * 8 / 2400
        run = run_estimate(stored)
        gamma += run.low <= truth <= run.high
        normal += abs(run.mean - truth) <= 1.96 * math.sqrt(run.variance)
    assert gamma / 400 >= 0.95 - 3 * math.sqrt(0.95 * 0.05 / 400)
    assert normal / 400 < 0.8


def test_entries_with_one_draw_alone_do_not_make_the_run_look_sure():
    """Their variance is not known; the square of their mean stands in."""
    one = Estimate(2.0, 0, 20, NAN, 1, 30, 20)
    run = run_estimate([one, one])
    assert run.variance == pytest.approx(2 * 0.25 * 4)
    assert run.low < run.mean < run.high
