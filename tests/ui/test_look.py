"""Colour scales, and whether their colours can be told apart and read on."""

import pytest

from kl_core.ui import colour_scale, look, response_grid, token_view_css
from kl_core.ui.reading_measures import MEASURES

QUANTILES = {"p50": 0.0, "p90": 0.0, "p95": 0.3, "p99": 1.7, "p999": 3.1, "top": 9.0}
# the framework's own themes: background, text
LIGHT, DARK = ("#ffffff", "#31333f"), ("#0e1117", "#fafafa")


def test_without_a_choice_full_colour_is_a_readable_number_above_nearly_every_token() -> None:
    """The 99.9th percentile rounded up, at any size; 1 where nothing is known."""
    assert colour_scale.choose(None, QUANTILES).top == 4.0
    assert colour_scale.choose(None, {"p999": 0.0123}).top == 0.015
    assert colour_scale.choose(None, {"p999": 0.2}).top == 0.2
    assert colour_scale.choose(None, {"p999": None}).top == 1.0
    assert colour_scale.choose(None, QUANTILES).said == "fixed for the run"


@pytest.mark.parametrize(
    ("text", "low", "top", "said"),
    [
        ("p99", 0.0, 1.7, "99th percentile of the run"),
        ("max", 0.0, 9.0, "largest value of the run"),
        ("0.1:4", 0.1, 4.0, "yours"),
        ("0:0.5", 0.0, 0.5, "yours"),
    ],
)
def test_a_scale_can_be_a_percentile_the_largest_value_or_ones_own(text, low, top, said) -> None:
    """What the address says is what the legend says."""
    scale = colour_scale.choose(text, QUANTILES)
    assert (scale.low, scale.top, scale.said) == (low, top, said)
    assert low < scale.threshold < top


@pytest.mark.parametrize("text", ["", "p42", "4:1", "1:1", "-1:2", "nan:3", "0:inf", ":", "a:b"])
def test_a_scale_that_makes_no_sense_is_the_automatic_one(text: str) -> None:
    """Nothing in an address can break the colours."""
    assert colour_scale.choose(text, QUANTILES) == colour_scale.choose(None, QUANTILES)


def test_a_percentile_of_zero_gives_no_scale_and_the_legend_says_so() -> None:
    """Where nine tokens of ten have no divergence, their percentile cannot be full colour."""
    scale = colour_scale.choose("p90", QUANTILES)
    assert scale.top == 4.0
    assert scale.said == "fixed for the run, as the 90th percentile of the run is 0"


def test_ranks_begin_at_one_and_grow_by_ratios() -> None:
    """Rank 1 has no colour; the threshold is a whole rank, half-way in ratios."""
    scale = colour_scale.choose(None, {"p999": 90.0}, share=0.5, ranks=True)
    assert (scale.low, scale.top, scale.threshold, scale.log) == (1.0, 100.0, 10.0, True)
    assert colour_scale.choose("0:50", {}, ranks=True).low == 1.0
    assert colour_scale.choose("0:1", {}, ranks=True).said == "fixed for the run"


def test_the_choice_of_scale_names_its_value_in_this_run() -> None:
    """A percentile comes with its figure and unit."""
    assert look.scale_label("p99", MEASURES["kl"], QUANTILES).endswith("of the run: 1.70 nats")
    assert look.scale_label("p99", MEASURES["rank1"], {"p99": 12.0}).endswith("12.0")
    assert look.scale_label("p99", MEASURES["js"], {}).endswith("not known")


@pytest.mark.parametrize("name", ["hot", "cool"])
@pytest.mark.parametrize(
    ("colours", "theme"), [(token_view_css.LIGHT, LIGHT), (token_view_css.DARK, DARK)]
)
def test_text_can_be_read_on_every_shade_of_both_themes(colours, theme, name: str) -> None:
    """At least 4.5 : 1 (WCAG AA) on each step, full colour included."""
    background, text = map(_rgb, theme)
    for step in range(1, token_view_css.HEAT_STEPS + 1):
        share = token_view_css.share_percent(step) / 100
        shade = _mixed(_rgb(colours[name]), background, share)
        strong = step >= token_view_css.STRONG_STEP
        assert _contrast(_rgb(colours["text"]) if strong else text, shade) >= 4.5


def test_the_two_signs_have_underlines_of_different_kinds() -> None:
    """Without colour, a double line still tells model 2 likelier from model 1 likelier."""
    css = token_view_css.CSS
    assert ".up { border-bottom: 2px solid" in css
    assert ".up.minus { border-bottom: 4px double" in css


def test_a_grid_takes_whole_rows_up_to_its_size_and_one_at_least(monkeypatch) -> None:
    """What does not fit is left out row by row, for the caller to count."""
    monkeypatch.setattr(response_grid, "MAX_VALUES", 10)
    rows = [(slot, slot, [0.0] * 4) for slot in range(4)]
    assert len(response_grid.fitting(rows)) == 2
    assert len(response_grid.fitting([(0, 0, [0.0] * 40)])) == 1


def _rgb(colour: str) -> tuple[float, ...]:
    digits = colour.lstrip("#")
    digits = digits if len(digits) == 6 else "".join(digit * 2 for digit in digits)
    return tuple(int(digits[i : i + 2], 16) for i in (0, 2, 4))


def _mixed(one: tuple[float, ...], other: tuple[float, ...], share: float) -> tuple[float, ...]:
    return tuple(share * a + (1 - share) * b for a, b in zip(one, other, strict=True))


def _contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """The WCAG 2.2 contrast ratio of two sRGB colours."""
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: tuple[float, ...]) -> float:
    parts = [value / 255 for value in colour]
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
