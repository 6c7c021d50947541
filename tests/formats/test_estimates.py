"""Estimates in result files: what a budget let be asked, and what follows."""

import json
import math
from dataclasses import replace

import pytest

from kl_core.formats.kl_results import result_object
from kl_core.formats.reader import read_entries
from kl_core.records import NOT_ASKED, Estimate, ProblemLog
from tests import factories
from tests.ui import made_runs


def read(tmp_path, raw):
    (tmp_path / "x_kl.json").write_text(json.dumps(raw))
    log = ProblemLog()
    (found,) = read_entries(tmp_path, None, log)
    return found, log.rows


def test_a_file_carries_its_estimates_and_their_means(tmp_path):
    """statistics.mean_kl is the estimate, total_kl that times `of`; extremes are of the asked."""
    entry = made_runs.budgeted(2, "Tell me.", {3: 0.02})
    raw = result_object(entry)
    one, estimate = raw["responses"][0], entry.responses[0].estimate
    assert one["estimate"] == {
        "mean_kl": estimate.mean,
        "low": estimate.low,
        "high": estimate.high,
        "variance": estimate.variance,
        "cap": estimate.cap,
        "asked": estimate.asked,
        "of": estimate.of,
    }
    assert raw["estimate"]["of"] == entry.estimate.of
    statistics = one["statistics"]
    assert statistics["mean_kl"] == estimate.mean
    assert statistics["total_kl"] == pytest.approx(estimate.mean * estimate.of)
    assert statistics["num_scored"] == estimate.asked
    assert statistics["max_kl"] == max(v for v in one["kl_per_token"] if v is not None)
    assert one["token_details"][0]["reason"] in (None, NOT_ASKED)
    found, problems = read(tmp_path, raw)
    assert not problems and found.estimate == entry.estimate
    assert [each.estimate for each in found.responses] == [e.estimate for e in entry.responses]
    assert result_object(found)["responses"] == raw["responses"]


def test_a_file_without_a_budget_has_no_estimate():
    """Nothing new in files that were asked everywhere."""
    raw = result_object(factories.entry(0))
    assert "estimate" not in raw and "estimate" not in raw["responses"][0]
    assert raw["responses"][0]["statistics"]["mean_kl"] is not None


def test_a_part_without_an_estimate_has_no_mean():
    """The mean over the asked alone would follow how they were drawn."""
    entry = made_runs.budgeted(2, "Tell me.", {3: 0.02})
    lost = replace(entry, responses=(replace(entry.responses[0], estimate=None),))
    statistics = result_object(lost)["responses"][0]["statistics"]
    assert statistics["mean_kl"] is statistics["total_kl"] is None
    assert statistics["max_kl"] is not None


def test_what_is_not_known_or_infinite_is_strict_json_and_comes_back(tmp_path):
    """One draw has no variance; a KL above the cap has no upper end."""
    odd = Estimate(0.5, 0.1, math.inf, math.nan, 1, 12, 20.0)
    entry = replace(factories.entry(0, responses=1), estimate=odd)
    raw = result_object(entry)
    assert raw["estimate"]["high"] == "inf" and raw["estimate"]["variance"] is None
    json.dumps(raw, allow_nan=False)
    assert repr(read(tmp_path, raw)[0].estimate) == repr(odd)


@pytest.mark.parametrize(
    "estimate",
    ["much", [], {"mean_kl": 1.0}, {"asked": 5, "of": 3}, {"asked": True, "of": 3}],
)
def test_an_estimate_that_makes_no_sense_is_a_problem_and_left_out(tmp_path, estimate):
    """It is not guessed at, and the rest of the file is read."""
    raw = result_object(factories.entry(0)) | {"estimate": estimate}
    found, problems = read(tmp_path, raw)
    assert found.estimate is None and len(found.responses) == 2
    assert "the estimate was asked at" in problems[0].reason
