"""Figures as the pages print them."""

import math

import pytest

from kl_core.ui import figures


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
