"""What the panel claims holds for every pair of full distributions that fits the lists."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from kl_core.numeric import divergence
from kl_core.numeric.lower_bound import lower_kl
from kl_core.ui import panel_data, panel_facts, panel_terms

NAMED = range(6)
SLACK = 1e-8


def candidate(key: int, p: float, listed: bool = True) -> dict[str, Any]:
    return {
        "token": f"w{key}",
        "token_id": None,
        "key": key,
        "logprob": math.log(p),
        "listed": listed,
        "special": False,
    }


def row(top1: list[dict[str, Any]], top2: list[dict[str, Any]]) -> dict[str, Any]:
    """A row of `tokens` with its certified bound; what nobody asks for here is None."""
    bound = lower_kl(panel_terms.side(top1), panel_terms.side(top2))[0]
    rests = [1 - sum(math.exp(one["logprob"]) for one in top) for top in (top1, top2)]
    made: dict[str, Any] = defaultdict(lambda: None)
    made |= {"token": "", "position": 0, "kl": 1.0, "kl_lower": float(bound)}
    return made | {"top1": top1, "top2": top2, "rest1": rests[0], "rest2": rests[1]}


def cut(
    p: np.ndarray, k: int, unnamed: frozenset[int] = frozenset(), beside: int | None = None
) -> list[dict[str, Any]]:
    """The k likeliest of a full distribution, and one more; `unnamed` places lose their key."""
    order = np.argsort(-p)
    top = [
        candidate(-2 - n if n in unnamed else int(i), float(p[i]))
        for n, i in enumerate(order[:k])
        if p[i] > 0
    ]
    more = [] if beside is None or beside in order[:k] or p[beside] <= 0 else [beside]
    return top + [candidate(int(i), float(p[i]), listed=False) for i in more]


def completions(top: list[dict[str, Any]]) -> Iterator[dict[int, float]]:
    """Full distributions that fit a list: probabilities of NAMED, the rest on other tokens."""
    named = {one["key"]: math.exp(one["logprob"]) for one in top if one["key"] >= 0}
    odd = [math.exp(one["logprob"]) for one in top if one["key"] < 0]
    smallest = min(math.exp(one["logprob"]) for one in top if one["listed"])
    free = max(1 - sum(named.values()) - sum(odd), 0.0)
    missing = [key for key in (*NAMED, *range(100, 100 + len(odd))) if key not in named]
    for keys in itertools.permutations(missing, len(odd)):
        fixed = named | dict(zip(keys, odd, strict=True))
        for key in NAMED:
            for share in (0.0, 0.3, 1.0) if key not in fixed else ():
                rest = dict.fromkeys(NAMED, 0.0) | {key: share * min(smallest, free)}
                yield rest | fixed
        yield dict.fromkeys(NAMED, 0.0) | fixed


def number(text: str) -> float:
    return float(text.replace("−", "-").replace("+", "").replace(",", "").replace("∞", "inf"))


def positions(count: int) -> Iterator[tuple[list[dict[str, Any]], list[dict[str, Any]]]]:
    """Lists of six tokens, up to two of them of unknown identity on each side."""
    draw = np.random.default_rng(7)
    for _ in range(count):
        tops = []
        for _ in range(2):
            p = draw.dirichlet(np.full(len(NAMED), draw.choice([0.3, 1.0])))
            k = int(draw.integers(2, 5))
            unnamed = frozenset(n for n in range(1, k) if draw.random() < 0.35)
            tops.append(cut(p, k, frozenset(sorted(unnamed)[:2]), int(draw.integers(6))))
        yield tops[0], tops[1]


def test_every_limit_holds_whatever_the_unidentified_candidates_are() -> None:
    """Caps, one-sided differences and intervals, for every assignment of the candidates."""
    checked: Counter[str] = Counter()
    for tops in positions(150):
        full = [list(completions(top)) for top in tops]
        aligned = panel_data.align(*tops)
        for shown, found in zip(
            panel_data.build(row(*tops), "a", "b", "floor")["rows"], aligned, strict=True
        ):
            key = found["candidate"]["key"]
            if key < 0:
                other = shown["side2" if "lp1" in found else "side1"]
                assert other["text"] == other["log"] == other["rank"] == shown["delta"] == ""
                assert panel_terms.interval(found) is None
                continue
            for side in (1, 2):
                if f"lp{side}" not in found:
                    _check(shown, found, side, [one[key] for one in full[side - 1]])
                    checked[shown["delta"][:1]] += 1
    assert checked["≥"] > 100 and checked["≤"] > 100


def _check(shown: dict[str, Any], found: dict[str, Any], side: int, values: list[float]) -> None:
    """A token missing from one list, against all it may be there."""
    cap, log = (number(shown[f"side{side}"][name][2:]) for name in ("text", "log"))
    known = found[f"lp{3 - side}"]
    least, most = panel_terms.interval(found)
    said = re.search(r"ln\(p/q\) (?:is ≥ (\S+)|lies in (\S+) … (\S+))\.", shown["says"])
    assert number(said[1] or said[2]) <= least + SLACK
    assert (most is None) == (said[3] is None)
    assert most is None or number(said[3]) >= most - SLACK
    for value in values:
        assert value <= cap * (1 + SLACK)
        if value <= 0:
            continue
        assert math.log(value) <= log + SLACK
        p, q = (known, math.log(value)) if side == 2 else (math.log(value), known)
        sign, limit = shown["delta"][0], number(shown["delta"][2:])
        assert p - q >= limit - SLACK if sign == "≥" else p - q <= limit + SLACK
        term = math.exp(p) * (p - q)
        assert term >= least - SLACK and (most is None or term <= most + SLACK)


def test_the_cap_is_reached() -> None:
    """No limit is looser than what one of the distributions has."""
    for tops in positions(150):
        for top in tops:
            reached = max(one[key] for one in completions(top) for key in NAMED if not any(
                other["key"] == key for other in top))  # fmt: skip
            assert math.exp(panel_terms.most(top)) == pytest.approx(reached, rel=1e-6)


def tight_positions(count: int) -> Iterator[tuple[np.ndarray, np.ndarray, dict[str, Any]]]:
    """Full distributions and their row: peaked, flat, whole, or with nothing left for P."""
    draw = np.random.default_rng(11)
    for _ in range(count):
        p = draw.dirichlet(np.full(30, draw.choice([0.05, 0.3, 1.0])))
        q = p * np.exp(draw.normal(size=30) * draw.choice([0.1, 1.0]))
        k1, k2 = (int(k) for k in draw.choice([1, 2, 3, 5, 8, 30], 2))
        likely = np.argsort(-p)[:k1]
        if draw.random() < 0.5:  # model 2 has next to nothing beside model 1's list
            q = np.where(np.isin(np.arange(30), likely), q, q * draw.choice([1e-4, 1e-2, 0.2]))
            k2 = k1
        q = q / q.sum()
        odd = frozenset(n for n in (1, 2) if draw.random() < 0.1)
        top1, top2 = cut(p, k1, odd), cut(q, k2, beside=int(draw.integers(30)))
        yield p, q, row(top1, top2)


def test_each_sentence_on_the_bound_is_true() -> None:
    """What would tighten it or why nothing does, against the full distributions."""
    said: Counter[str] = Counter()
    for p, q, token in tight_positions(600):
        notes = " ".join(panel_facts.build(token, "floor")["notes"])
        keys1, keys2 = ({one["key"] for one in token[name]} for name in ("top1", "top2"))
        both = sorted(keys1 & keys2)
        shared = float(p[both].sum())
        if "the KL itself" in notes:
            said["whole"] += 1
            assert divergence.kl(*_logs(p, q))[0] == pytest.approx(token["kl_lower"], abs=1e-4)
            assert "above" not in notes and "tighten" not in notes
            continue
        assert shared < 1 - 1e-9 and "limits it from above" in notes
        if found := re.search(r"nearly all \((.*) %\)", notes):
            said["shared"] += 1
            assert shared >= 0.95 and number(found[1]) == pytest.approx(100 * shared, abs=0.1)
        elif found := re.search(r"left, ≤ (\S+), for the ≥ (\S+) of", notes):
            said["left"] += 1
            known = sorted(keys2)
            x, y = number(found[2]), number(found[1])
            assert 1 - p[known].sum() >= x * (1 - SLACK)
            assert 1 - q[known].sum() <= y * (1 + SLACK)
            counted = x * math.log(x / y) + (1 - x) * math.log((1 - x) / (1 - y))
            assert y <= 0.11 * x and token["kl_lower"] >= counted - 1e-9
        elif "No single step" in notes:
            said["none"] += 1
        else:
            said["lever"] += 1
            assert "To tighten it" in notes
            continue
        _no_lever(token)
    assert min(said[name] for name in ("whole", "shared", "left", "lever")) > 10, said


def _logs(*distributions: np.ndarray) -> list[np.ndarray]:
    with np.errstate(divide="ignore"):
        return [np.log(one)[None] for one in distributions]


def _no_lever(token: dict[str, Any]) -> None:
    """None of the three steps raises the bound by more than was called little."""
    p, q = panel_terms.side(token["top1"]), panel_terms.side(token["top2"])
    steps = [panel_terms._ask2(p, q), panel_terms._ask1(p, q), panel_terms._longer(p, q)]
    base = token["kl_lower"]
    assert all(step is None or step.bound - base <= max(0.02, 0.02 * base) for step in steps)


@pytest.mark.parametrize(
    ("top1", "top2", "words"),
    [
        ({0: 0.5, 1: 0.3}, {0: 0.6, 1: 0.39}, "≤ 0.0100, for the ≥ 0.200 of model 1's"),
        ({0: 0.35, 1: 0.25}, {0: 0.6, 1: 0.3995}, "≤ 5.00e−4, for the ≥ 0.400 of model 1's"),
        ({0: 0.6, 1: 0.39}, {0: 0.5, 1: 0.48}, "nearly all (99 %)"),
    ],
)
def test_a_bound_that_nothing_tightens_says_why(top1, top2, words: str) -> None:
    """Much of model 1 unseen is not called known; model 2 has nothing left for it."""
    token = row(*([candidate(key, p) for key, p in top.items()] for top in (top1, top2)))
    notes = " ".join(panel_facts.build(token, "floor")["notes"])
    assert words in notes
    assert ("nearly all" in words) == ("nearly all" in notes)


def test_lists_with_all_of_the_probability_give_the_kl_itself() -> None:
    """Nothing is unseen, so the KL is limited from above, by the bound."""
    whole = {0: 0.5, 1: 0.3, 2: 0.2}
    top = [candidate(key, p) for key, p in whole.items()]
    notes = " ".join(panel_facts.build(row(top, top[::-1]), "floor")["notes"])
    assert "is the KL itself" in notes and "above" not in notes
    odd = [*top[:2], candidate(-2, 0.2)]
    notes = " ".join(panel_facts.build(row(odd, top), "floor")["notes"])
    assert "limits it from above" in notes and "does not identify" in notes
