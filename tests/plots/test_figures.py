"""What each figure draws, from rows of known content."""

from __future__ import annotations

import json
import math

import pyarrow as pa
import pytest
from scipy import stats

from kl_core.plots import cumulative, histogram, inert, means, positions, scatter, words
from kl_core.plots.registry import CHARTS
from tests.plots import charted

FLOOR, FULL, RAW = {"measure": "floor"}, {"measure": "full"}, {"measure": None}


def mean_row(**changed):
    row = {
        "low": 0.0,
        "high": 0.05,
        "mean": 0.5,
        "se": 0.1,
        "prompts": 3,
        "tokens": 10,
        "with_value": 9,
        "infinite": 1,
        "missing": 0,
        "share_tokens": 0.5,
        "share_total": 1.0,
        "name": "Alpha",
        "responses": 2,
    }
    return row | changed


def table(*rows):
    return pa.Table.from_pylist(list(rows))


def test_bars_along_responses_stand_at_their_bins_with_intervals():
    """Each bar is in the middle of its bin, carries its row, its interval and its counts."""
    figure = means.relative(table(mean_row(), mean_row(low=0.95, high=1.0, mean=0.2)), FLOOR)
    bars = figure.data[0]
    assert list(bars.x) == pytest.approx([2.5, 97.5])
    assert list(bars.y) == [0.5, 0.2]
    assert list(bars.error_y.array) == pytest.approx([0.1 * stats.t.ppf(0.975, 2)] * 2)
    assert [data[0] for data in bars.customdata] == [0, 1]
    assert bars.customdata[0][3] == "9"
    assert "≈" in bars.hovertemplate


def test_only_estimates_are_marked_as_such():
    """Whole vocabularies and surprisal are exact: no sign."""
    for summary, marked in ((FLOOR, True), (FULL, False), (RAW, False)):
        figure = means.relative(table(mean_row()), summary)
        assert ("≈" in figure.data[0].hovertemplate) == marked
    assert words.value(RAW) == "surprisal"


def test_tokens_without_a_list_are_no_bucket():
    """The row without edges is left to the caption; the others keep their row number."""
    rows = (mean_row(low=0.5, high=0.75), mean_row(low=None, high=None))
    figure = means.probability(table(*rows), FLOOR)
    assert len(figure.data[0].y) == 1
    assert figure.layout.xaxis.ticktext[0].startswith("0.5–0.75<br>50 %<br>100 %")


def test_names_of_providers_are_drawn_and_never_obeyed():
    """Markup, formulas, templates and invisible characters of a name become plain text."""
    figure = means.groups(table(mean_row(name=charted.HOSTILE), mean_row(name=None)), FLOOR)
    drawn, unnamed = figure.layout.yaxis.ticktext
    assert not set("<>$%") & set(drawn)
    assert drawn.startswith("&lt;a href=")
    assert unnamed == inert.UNNAMED
    text = json.dumps(figure.to_plotly_json(), default=str)
    assert "<a" not in text
    assert "\u202e" not in inert.label("a\u202eb\x00c")
    assert inert.label("a\nb") == "a b"


def test_groups_lie_on_the_side_with_their_row_numbers():
    """The most tokens on top; the interval is along the bar; at most twelve."""
    rows = [mean_row(mean=float(n)) for n in range(15)]
    bars = means.groups(table(*rows), FLOOR).data[0]
    assert list(bars.x) == [float(n) for n in range(means.MOST_GROUPS)]
    assert [data[0] for data in bars.customdata] == list(range(means.MOST_GROUPS))
    assert bars.error_x.array[0] > 0
    assert "%{x" in bars.hovertemplate


def bin_row(low, high, tokens):
    return {"kind": "bin", "low": low, "high": high, "tokens": tokens, "share": None}


def mark(share, value):
    return {"kind": "percentile", "low": value, "high": value, "tokens": None, "share": share}


def test_the_histogram_keeps_zero_and_infinity_in_its_end_bars():
    """Nothing is dropped: every bin is a bar, percentiles are labelled lines."""
    rows = [
        bin_row(0.0, 1e-6, 7),
        bin_row(0.1, 0.1 * 10**0.125, 5),
        bin_row(100.0, math.inf, 1),
        mark(0.5, 0.1),
        mark(0.99, 0.11),
        mark(0.999, math.inf),
    ]
    figure = histogram.histogram(table(*rows), FLOOR)
    bars = figure.data[0]
    assert list(bars.y) == [7, 5, 1]
    assert [data[0] for data in bars.customdata] == [0, 1, 2]
    assert bars.customdata[2][2] == "∞"
    assert len(figure.layout.shapes) == 2
    texts = [a.text for a in figure.layout.annotations]
    assert texts[1:] == ["50 %", "99 %"]
    heights = [a.yshift for a in figure.layout.annotations[1:]]
    assert heights[0] != heights[1]


def test_labels_that_would_touch_stand_in_rows_of_their_own():
    """Far labels share the lowest row, close ones climb."""
    assert histogram.label_rows([0.1, 0.5, 0.9]) == [0, 0, 0]
    assert histogram.label_rows([0.1, 0.12, 0.14, 0.5]) == [0, 1, 2, 0]


def point(x, mean, **changed):
    row = {"kind": "response", "x": float(x), "mean": mean, "se": None, "responses": 1}
    row |= {"tokens": 10, "infinite": 0, "prompts": None}
    return row | changed


def test_points_carry_their_rows_and_the_line_its_intervals():
    """Points first, then the means of the bins, which lead nowhere."""
    bins = [
        point(1, 0.2, kind="bin", se=0.01, prompts=5, responses=8),
        point(3, 0.3, kind="bin", se=None, prompts=1, responses=8),
    ]
    figure = scatter.entropy(table(point(1, 0.1), point(3, 0.4), *bins), FLOOR)
    points, line = figure.data
    assert [data[0] for data in points.customdata] == [0, 1]
    assert [data[0] for data in line.customdata] == [-1, -1]
    assert list(line.y) == [0.2, 0.3]
    assert line.error_y.array[1] is None
    assert len(scatter.entropy(table(point(1, 0.1)), FLOOR).data) == 1


def test_length_has_whole_numbers_on_a_logarithmic_axis():
    """Also when all responses are equally long."""
    for lengths in ((40, 40), (3, 90), (10, 90_000)):
        figure = scatter.length(table(*(point(x, 0.1) for x in lengths)), FLOOR)
        axis = figure.layout.xaxis
        assert axis.type == "log"
        assert 1 <= len(axis.tickvals) <= 10
        assert all("." not in text for text in axis.ticktext)


def test_the_curve_of_shares_goes_through_the_stored_points():
    """In percent, with the threshold of each; equal tokens would lie on the dotted line."""
    rows = [
        {"tokens": 1, "share_tokens": 0.01, "share_total": 0.6, "value": 3.0},
        {"tokens": 100, "share_tokens": 1.0, "share_total": 1.0, "value": 0.0},
    ]
    equal, curve = cumulative.cumulative(table(*rows), FLOOR).data
    assert list(curve.x) == list(equal.y) == [1.0, 100.0]
    assert list(curve.y) == [60.0, 100.0]
    held = cumulative.held_by(table(*rows))
    assert held is not None
    assert held["share_total"] == 0.6
    nothing = [row | {"share_total": None} for row in rows]
    assert cumulative.held_by(table(*nothing)) is None


def test_infinite_positions_are_hatched_and_missing_ones_counted():
    """A hatched bar above the highest one; None draws nothing."""
    values = [0.1, "inf", None, 2.0, math.inf, "-inf"]
    bars = positions.by_position(values, 1.0).data[0]
    assert list(bars.x) == list(bars.customdata) == [0, 1, 3, 4, 5]
    assert [y > 2.0 for y in bars.y] == [False, True, False, True, False]
    assert bars.y[4] < -2.0
    assert list(bars.marker.pattern.shape) == ["", "/", "", "/", "/"]
    assert bars.text[1] == "infinite"
    assert positions.counts(values) == (3, 1)
    assert list(positions.by_position([math.inf], 1.0).data[0].y) == [1.0]


def test_long_responses_show_the_highest_of_each_stretch():
    """No more than MAX_BARS bars, and the extreme is among them."""
    values = [0.01] * 1000
    values[777] = -5.0
    places, heights = positions.binned(values)
    assert len(places) <= positions.MAX_BARS
    assert heights[places.index(777)] == -5.0


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    return charted.write(tmp_path_factory.mktemp("figures"), charted.entries())


@pytest.mark.parametrize("name", CHARTS)
def test_every_chart_of_the_registry_draws_its_own_rows(run_dir, name):
    """Query and figure fit together, with rows and without, and export as a page."""
    chart = CHARTS[name]
    rows = chart.query().table(charted.cursor(run_dir))
    figure = chart.figure(rows, FLOOR)
    assert any(len(trace.y) for trace in figure.data)
    page = chart.standalone(rows, FLOOR).to_html(include_plotlyjs=False)
    assert chart.title in page
    assert "<a href" not in page
    assert not any(len(trace.y) for trace in chart.figure(rows.slice(0, 0), FLOOR).data)


def test_an_interval_of_a_divergence_is_drawn_no_further_than_zero():
    """The arm below stops at 0; the one above, and what the hover says, is the whole half."""
    rows = table(mean_row(mean=0.1, se=0.1), mean_row(mean=3.0, se=0.1))
    bars = means.relative(rows, FLOOR).data[0]
    half = 0.1 * stats.t.ppf(0.975, 2)
    assert list(bars.error_y.array) == pytest.approx([half, half])
    assert list(bars.error_y.arrayminus) == pytest.approx([0.1, half])
    assert bars.customdata[0][2] == f" ± {half:.2g}"
