"""Figures as the pages print them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kl_core.ui import figures, tokens_data
from kl_core.ui.colour_scale import Scale


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.14159, "0.142"),
        (4.0, "4.00"),
        (12.34, "12.3"),
        (123.4, "123"),
        (1234.5, "1,234"),
        (0.0, "0"),
        (-0.5, "−0.500"),
        (0.00012, "1.20e−4"),
        (None, "–"),
        (math.nan, "–"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (9.999, "10.0"),
        (0.09996, "0.100"),
    ],
)
def test_nats_have_three_significant_digits(value: float | None, text: str) -> None:
    """Missing is a dash, infinite a sign, and a true minus stands before negatives."""
    assert figures.nats(value) == text


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        (2.3759, "2.37", "2.38"),
        (2.38, "2.38", "2.38"),
        (0.05, "0.0500", "0.0500"),
        (9.999, "9.99", "10.0"),
        (-0.1234, "−0.124", "−0.123"),
        (0.00012345, "1.23e−4", "1.24e−4"),
        (999.6, "999", "1,000"),
        (1234.5, "1,234", "1,235"),
        (-0.0, "0", "0"),
        (0.0, "0", "0"),
        (math.inf, "∞", "∞"),
        (-math.inf, "−∞", "−∞"),
        (math.nan, "–", "–"),
        (None, "–", "–"),
    ],
)
def test_bounds_are_rounded_to_their_own_side(value, least: str, most: str) -> None:
    """≥ is never followed by more than the value, ≤ never by less."""
    assert (figures.at_least(value), figures.at_most(value)) == (least, most)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_what_is_rounded_to_a_side_stays_on_it(value: float) -> None:
    """But for float rounding, and never by more than a step of what is printed."""
    slack = 1e-9 * abs(value)
    low, high = figures.down(value), figures.up(value)
    assert low <= value + slack and high >= value - slack
    assert high - low <= max(0.01 * abs(value), 5e-324) + slack
    assert figures.nats(low) == figures.at_least(value)


def test_the_list_of_tokens_certifies_no_more_than_the_bound() -> None:
    """Its column ≥ certified is rounded down."""
    row = dict.fromkeys(("provider", "data", "prompt"), None) | {
        "token": "a", "score": 3.0, "kl": 3.0, "kl_lower": 2.3759, "slot": 0, "position": 4,
        "prompt_id": 0, "response_id": 0, "context": [{"position": 4, "token": "a", "data": b"a"}],
    }  # fmt: skip
    scale = Scale(low=0.0, top=4.0, threshold=1.0, log=False, said="")
    assert tokens_data.token_rows([row], "kl", scale)[0]["cells"]["bound"] == "2.37"


@pytest.mark.parametrize(("value", "text"), [(1.0, "100 %"), (0.99999, "99.9 %"), (0.5, "50 %")])
def test_a_share_is_never_rounded_up_to_everything(value: float, text: str) -> None:
    """99.999 % scored is not 100 %."""
    assert figures.percent(value) == text


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("meta/llama", "meta/llama"),
        ("/data/models/mine/", "mine"),
        ("tiny", "tiny"),
        (None, ""),
        ("sample_data/models/tiny-base", "tiny-base"),
        ("./mine", "mine"),
    ],
)
def test_a_model_path_shows_as_its_last_part(name: str | None, shown: str) -> None:
    """Hub ids stay whole, folders are named by their last part."""
    assert figures.model_name(name) == shown


@pytest.mark.parametrize(
    ("rank", "text"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (11, "11th"), (22, "22nd")]
)
def test_ranks_read_as_english(rank: int, text: str) -> None:
    """1st, 2nd, 3rd, 11th."""
    assert figures.ordinal(rank) == text


def test_a_narrow_column_gets_two_digits_where_three_would_not_fit() -> None:
    """Nothing is cut off on the left, where another number would remain."""
    shown = [figures.narrow(v) for v in (0.00915, 6.68e-6, -0.00123, 0.0123, 12.34, 0, None)]
    assert shown == ["0.0092", "6.7e−6", "−0.0012", "0.0123", "12.3", "0", "–"]
