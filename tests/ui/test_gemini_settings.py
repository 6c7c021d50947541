"""Options, the command they came from, and what cannot be meant."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kl_core.jobs import launch
from kl_core.store.runs import Status
from kl_core.ui import gemini_credentials, gemini_settings
from kl_core.ui.gemini_calls import job_rows, lines
from kl_core.ui.gemini_credentials import found, sentence
from kl_core.ui.gemini_money import money
from kl_core.ui.gemini_plan import short
from tests.ui.made_calls import JOBS, PLAN, STATS

FULL = {
    "input_dir": "/data/with space",
    "model2": "m-1",
    "project_id": "my-project",
    "top_logprobs": 5,
    "rate_limit": 12.5,
    "budget": 0.2,
    "pattern": "-x*.json",
    "reuse": True,
    "input_price": 0.0,
}


def test_options_survive_the_way_through_the_command() -> None:
    """Spaces, leading hyphens, flags and zeros included."""
    words = launch.arguments("prefill", FULL)
    assert gemini_settings.from_command(["python", "-m", "kl_core", *words]) == FULL


def test_words_that_are_no_option_are_left_out() -> None:
    """A command of another version, or a broken one, gives what can be read."""
    words = ["--budget", "much", "--new-thing", "3", "--model2", "m", "--yes", "--model2"]
    assert gemini_settings.from_command(words) == {"model2": "m"}


def test_empty_values_and_those_of_the_other_mode_are_left_out() -> None:
    """None, "" and False keep the default; 0 is a value."""
    values = FULL | {"bucket_name": "b-1", "location": "", "seed": None, "cleanup": True}
    assert gemini_settings.options("prefill", values) == FULL
    assert set(gemini_settings.options("batch", values)) == {
        "input_dir",
        "model2",
        "project_id",
        "top_logprobs",
        "pattern",
        "bucket_name",
        "reuse",
        "cleanup",
        "input_price",
    }


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("api.example", "begins with http"),
        ("ftp://x", "begins with http"),
        ("http://exa mple", "begins with http"),
        ("https://key@host", "no user or password"),
        ("https://host/?key=1", "before any"),
        ("http://example.com", "use https"),
        ("http://127.0.0.1:99999", "no address"),
    ],
)
def test_an_address_that_would_leak_or_fail_is_refused(url: str, word: str) -> None:
    """No key in an address, no credentials over http to other machines."""
    assert word in (gemini_settings.url_problem(url) or "")


@pytest.mark.parametrize(
    "url", ["", "https://host/path", "http://127.0.0.1:80", "http://localhost:1", "http://[::1]:1"]
)
def test_an_address_that_can_be_used_is_left_alone(url: str) -> None:
    """Google's own (empty), https anywhere, http on this machine."""
    assert gemini_settings.url_problem(url) is None


def test_names_are_checked_for_their_shape_alone() -> None:
    """Any model may be asked; spaces and addresses are not names."""
    good = {"model2": "publishers/x/models/y@001", "project_id": "my-project", "location": "global"}
    assert gemini_settings.problems("batch", good | {"bucket_name": "a.b_c-1"}) == {}
    bad = {
        "model2": "a b",
        "project_id": "My Project",
        "location": "Iowa!",
        "bucket_name": "gs://b",
    }
    assert set(gemini_settings.problems("batch", bad)) == set(bad)
    assert "model2" in gemini_settings.problems("prefill", {})
    assert "project_id" in gemini_settings.problems("batch", {"model2": "m"})
    assert "project_id" not in gemini_settings.problems("prefill", {"model2": "m"})
    half = gemini_settings.problems("prefill", {"model2": "m", "input_price": 1.0})
    assert "both prices" in half["output_price"]


def test_credentials_are_found_by_name_and_never_read(tmp_path: Path) -> None:
    """Variables and files that Google's clients look at."""
    assert found({}, tmp_path) == gemini_credentials.Credentials()
    assert found({"GOOGLE_API_KEY": "secret"}, tmp_path).key == "GOOGLE_API_KEY"
    assert found({"GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "no")}, tmp_path).missing_file
    folder = tmp_path / ".config" / "gcloud"
    folder.mkdir(parents=True)
    (folder / "application_default_credentials.json").write_text("not json: never read")
    assert "gcloud" in (found({}, tmp_path).default or "")
    assert "secret" not in str(found({"GOOGLE_API_KEY": "secret"}, tmp_path))


def test_the_sentence_on_credentials_fits_what_is_asked() -> None:
    """A local server needs none; a project needs default credentials; else a key."""
    none = gemini_credentials.Credentials()
    assert "needs no credentials" in sentence("prefill", {"base_url": "http://127.0.0.1:1"}, none)
    assert "Vertex AI" in sentence("prefill", {"project_id": "p"}, none)
    assert "Set GEMINI_API_KEY" in sentence("prefill", {}, none)


def test_sums_of_money_are_never_rounded_to_nothing() -> None:
    """A tenth of a cent is said to be less than one."""
    sums = [None, 0, 0.001, 0.5, 3.2, 999.99, 1250.4]
    assert [money(each) for each in sums] == [
        "–",
        "$0",
        "less than $0.01",
        "$0.50",
        "$3.20",
        "$999.99",
        "$1,250",
    ]


def test_large_counts_are_short() -> None:
    """They stand in a row of figures."""
    assert [short(n) for n in (999, 12_400, 1_240_000, 999_900_000, 2_500_000_000)] == [
        "999",
        "12,400",
        "1.24 million",
        "1 billion",
        "2.5 billion",
    ]


def test_the_calls_of_a_run_read_as_lines() -> None:
    """One idea a line; what the status says is not said twice; the limiter only at work."""
    working, over = Status(state="running", unit="calls"), Status(state="cancelled")
    assert len(lines(STATS, PLAN, working)) == 4
    assert not any("calls a second" in line for line in lines(STATS, PLAN, working))
    assert "41.2 calls a second" in lines(STATS, PLAN, Status(state="running", unit="jobs"))[1]
    assert not any("limiter" in line for line in lines(STATS, PLAN, over))
    assert lines(STATS, PLAN, over)[0].startswith("1,204 calls answered")
    assert lines(STATS, PLAN, over)[-1].startswith("$0.04 spent · 120,000 tokens in")
    half = Status(state="running", unit="calls", done=50, total=100)
    assert "$0.04 spent, about $0.23 in all" in lines(STATS, PLAN, half)[-1]
    assert lines(replace(STATS, cost=0.0), PLAN, over)[-1].startswith("free of charge")
    assert "not known" in lines(replace(STATS, cost=None), PLAN, over)[-1]


def test_jobs_become_rows_whatever_a_job_tells() -> None:
    """Missing counts stay empty."""
    rows = job_rows(type(STATS)(jobs=JOBS))
    assert rows[1] == {
        "job": "4711000002",
        "state": "queued",
        "requests": "900",
        "succeeded": "–",
        "failed": "–",
    }
