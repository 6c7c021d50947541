"""The row of figures above a response."""

from kl_core.ui import response_header

ROW = {
    "tokens": 77,
    "coverage": 1.0,
    "mean_kl": 0.122,
    "mean_lower": 0.137,
    "mean_reverse": 0.2,
    "max_kl": 9.4,
    "median_kl": 0.01,
    "censored": 0,
}


def labels(**changes) -> dict[str, tuple[str, str]]:
    """Label → (value, help)."""
    stats = response_header.stats(ROW | changes, changes.pop("measure", "floor"))
    return {label: (value, text) for value, label, text in stats}


def test_an_estimate_below_the_bound_is_named_so_and_stands_second() -> None:
    """≥ 0.137 beside ≈ 0.122 is explained where it is read."""
    shown = labels()
    assert next(iter(shown.values()))[0] == "≥ 0.137"
    value, text = shown["estimate, runs low here"]
    assert value == "≈ 0.122" and "trust the bound" in text


def test_rounding_is_no_contradiction() -> None:
    """Figures that print alike are not told apart."""
    assert "mean KL, estimate" in labels(mean_kl=0.13699, mean_lower=0.137)
    assert "mean KL, estimate" in labels(mean_kl=0.2)


def test_the_certified_mean_is_rounded_down() -> None:
    """No more is promised than was certified."""
    assert labels(mean_lower=0.13789)["mean KL, certified, nats"][0] == "≥ 0.137"


def test_whole_vocabularies_have_neither_bound_nor_estimate() -> None:
    """No ≥, no ≈, nothing censored."""
    shown = {label: value for value, label, _ in response_header.stats(ROW, "full")}
    assert "censored" not in shown and shown["mean KL(2‖1)"] == "0.200"
    assert not [value for value in shown.values() if value.startswith(("≥", "≈"))]
