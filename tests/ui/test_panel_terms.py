"""What candidates add to the KL, against the measures and against whole distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kl_core.numeric.lower_bound import lower_kl
from kl_core.store import queries, runs
from kl_core.store.build import build_database
from kl_core.store.parts import PartWriter
from kl_core.ui import panel_data, panel_terms
from tests import factories


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    """Rows of a stored run whose models lie ever further apart."""
    run = runs.create_run(tmp_path_factory.mktemp("terms"), "import", {"request": {}})
    with PartWriter(run) as writer:
        for number in range(4):
            writer.add(number, 2 * number, factories.entry(number))
    build_database(run)
    cursor = queries.open_run(run).cursor()
    return [queries.token(cursor, response, place) for response in range(8) for place in range(12)]


def test_the_contributions_add_up_to_the_estimate(tokens) -> None:
    """At every position the terms' sum is the stored floor estimate."""
    for token in tokens:
        terms = panel_terms.terms(token, "floor")
        assert sum(terms.of.values()) == pytest.approx(token["kl"], abs=1e-12)
        shown = panel_data.build(token, "a", "b", "floor")["rows"]
        assert sum(row["term"] is not None for row in shown) == len(terms.of) > 4


def test_assumed_terms_are_those_outside_one_of_the_lists(tokens) -> None:
    """A term is hatched exactly where a list's smallest entry stands in."""
    for token in tokens:
        first, second = ({c["key"] for c in token[name]} for name in ("top1", "top2"))
        assert panel_terms.terms(token, "floor").assumed == first ^ second


def test_known_contributions_and_the_others_add_up_to_an_exact_kl(tokens) -> None:
    """Under whole vocabularies the terms are p·ln(p/q), and the rest is named."""
    for token in tokens:
        terms = panel_terms.terms(token, "full")
        assert sum(terms.of.values()) + terms.others == pytest.approx(token["kl"])
        second = {c["key"]: c["logprob"] for c in token["top2"]}
        for one in token["top1"]:
            if one["key"] in second:
                lp, lq = one["logprob"], second[one["key"]]
                assert terms.of[one["key"]] == pytest.approx(math.exp(lp) * (lp - lq))


def test_the_bound_from_a_row_is_the_stored_bound(tokens) -> None:
    """The arrays made of a row are those the bound was computed from."""
    for token in tokens:
        bound = lower_kl(panel_terms.side(token["top1"]), panel_terms.side(token["top2"]))
        assert bound[0] == pytest.approx(token["kl_lower"], abs=1e-12)


def listed(logp, k):
    return [
        {"token": f"w{i}", "token_id": int(i), "key": int(i), "logprob": float(logp[i]),
         "listed": True, "special": False}
        for i in np.argsort(-logp)[:k]
    ]  # fmt: skip


@given(seed=st.integers(0, 10_000), apart=st.floats(0.1, 3), k=st.integers(2, 8))
def test_a_contribution_lies_in_its_interval(seed: int, apart: float, k: int) -> None:
    """Whatever is cut off, the true p·ln(p/q) of each candidate is within what is said."""
    first, second = factories.distributions(np.random.default_rng(seed), apart)
    top1, top2 = listed(first, k), listed(second, k)
    for row in panel_data.align(top1, top2):
        key = row["candidate"]["key"]
        truth = math.exp(first[key]) * (first[key] - second[key])
        least, most = panel_terms.interval(row)
        assert least <= truth + 1e-12
        assert most is None or truth <= most + 1e-12


def scored(first, second, k1, k2):
    top1, top2 = listed(first, k1), listed(second, k2)
    bound = lower_kl(panel_terms.side(top1), panel_terms.side(top2))[0]
    return {"top1": top1, "top2": top2, "kl_lower": float(bound), "kl": 1.0}


def logs(*probabilities: float) -> np.ndarray:
    values = np.array(probabilities)
    return np.log(values / values.sum())


def test_candidates_that_model_2_does_not_list_are_asked_for() -> None:
    """Where model 1's mass lies outside model 2's list, that is what is missing."""
    first = logs(0.5, 0.4, 0.05, 0.02, 0.02, 0.01)
    second = logs(0.01, 0.05, 0.1, 0.3, 0.28, 0.26)
    best = panel_terms.lever(scored(first, second, 5, 2))
    assert best is not None and best.where == "ask2"
    assert best.count == 3 and best.mass == pytest.approx(0.95)


def test_a_short_list_of_model_1_asks_for_a_longer_one() -> None:
    """Where most of model 1 is unseen and model 2's list holds what it shows, list more."""
    first = logs(*[0.06] * 16)
    second = logs(*[0.06] * 16)
    token = scored(first, second, 2, 16)
    best = panel_terms.lever(token)
    assert best is not None and best.where in ("longer", "ask1")
    assert best.bound > token["kl_lower"]


def test_nothing_is_asked_for_where_everything_is_known() -> None:
    """Two whole lists leave nothing to tighten."""
    first, second = logs(0.5, 0.3, 0.2), logs(0.2, 0.3, 0.5)
    assert panel_terms.lever(scored(first, second, 3, 3)) is None


def test_the_lever_never_lowers_the_bound(tokens) -> None:
    """More knowledge can only raise what is certain."""
    found = [panel_terms.lever(token) for token in tokens]
    assert any(found)
    for token, best in zip(tokens, found, strict=True):
        assert best is None or best.bound > token["kl_lower"]


def test_candidates_of_unknown_identity_are_not_asked_for() -> None:
    """Nobody can ask for a token that is not named; its mass stays unseen."""
    token = scored(logs(0.5, 0.4, 0.05, 0.05), logs(0.5, 0.1, 0.2, 0.2), 2, 1)
    named = panel_terms.lever(token)
    assert named is not None and (named.where, named.count) == ("ask2", 1)
    token["top1"][1]["key"] = -2
    bound = lower_kl(panel_terms.side(token["top1"]), panel_terms.side(token["top2"]))
    best = panel_terms.lever(token | {"kl_lower": float(bound[0])})
    assert best is None or best.where != "ask2"
