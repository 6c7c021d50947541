"""Options, the command they came from, and what cannot be meant."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kl_core.jobs import launch
from kl_core.records import CallStats
from kl_core.store import spending
from kl_core.store.runs import Status
from kl_core.ui import gemini_calls, gemini_credentials, gemini_settings, progress
from kl_core.ui.gemini_calls import job_rows, lines
from kl_core.ui.gemini_credentials import found, sentence
from kl_core.ui.gemini_money import money
from kl_core.ui.gemini_plan import facts, scope_line, short
from tests.ui.made_calls import JOBS, PLAN, STATS, made

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
        "budget",
        "reuse",
        "cleanup",
        "input_price",
    }


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("api.example", "this is no address"),
        ("ftp://x", "this is no address"),
        ("http://exa mple", "this is no address"),
        ("https://key@host", "this is no address"),
        ("https://host/?key=1", "this is no address"),
        ("http://example.com", "use https"),
        ("http://127.0.0.1:99999", "this is no address"),
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
    assert "set GEMINI_API_KEY" in sentence("prefill", {}, none)


def test_only_the_developer_api_cannot_be_tried_without_credentials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Vertex AI may find a service account; a server of this machine, redirects too, needs none."""
    none = gemini_credentials.Credentials()
    needed, doubtful = gemini_credentials.needed, gemini_credentials.doubtful
    monkeypatch.delenv("GOOGLE_GEMINI_BASE_URL", raising=False)
    monkeypatch.delenv("GOOGLE_VERTEX_BASE_URL", raising=False)
    assert "GEMINI_API_KEY" in (needed("prefill", {}, none) or "")
    assert needed("prefill", {"base_url": "https://api.example"}, none)
    for values in ({"project_id": "p"}, {"base_url": "http://127.0.0.1:1"}):
        assert needed("prefill", values, none) is None
    assert doubtful("prefill", {"project_id": "p"}, none) and doubtful("batch", {}, none)
    assert not doubtful("batch", {"base_url": "http://127.0.0.1:1"}, none)
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", "http://127.0.0.1:1")
    assert needed("prefill", {}, none) is None and doubtful("batch", {}, none)


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
    assert "41.2 calls a second" in lines(STATS, PLAN, Status(state="running", unit="jobs"))[-1]
    assert not any("limiter" in line for line in lines(STATS, PLAN, over))
    assert lines(STATS, PLAN, over)[0].startswith("1,204 calls answered")
    assert lines(STATS, PLAN, over)[-1].startswith("≈ $0.04 at these prices · 120,000 tokens in")
    half = Status(state="running", unit="calls", done=50, total=100)
    assert "≈ $0.04 of about $0.23 at these prices" in lines(STATS, PLAN, half)[-2]
    assert lines(replace(STATS, cost=0.0), PLAN, over)[-1].startswith("nothing is charged")
    assert "not known" in lines(replace(STATS, cost=None), PLAN, over)[-1]


def test_a_server_of_this_machine_charges_nothing_at_any_price() -> None:
    """Typed prices are said to be that."""
    over = Status(state="cancelled")
    said = lines(STATS, PLAN, over, local=True)[-1]
    assert said.startswith("nothing is charged (≈ $0.04 at the prices you typed)")
    assert "typed" not in lines(replace(STATS, cost=0.0), PLAN, over, local=True)[-1]


def test_what_failed_says_whether_anything_is_lost() -> None:
    """Repeated with success, given up, or sent once more in a batch."""
    done, ended = Status(state="done"), Status(state="cancelled")
    whole = lines(replace(STATS, failed=0), PLAN, done)
    assert "12 failed attempts, all repeated with success: 429 × 8, timeout × 4" in whole
    assert "with success" not in "".join(lines(STATS, PLAN, done))
    assert "no value until you resume" in lines(STATS, PLAN, ended)[0]
    assert "resume" not in lines(STATS, PLAN, done)[0]
    batch = replace(PLAN, mode="batch")
    again = lines(replace(STATS, retried=44, errors={}), batch, ended)
    assert "44 rows failed and were sent once more" in again


def test_an_ended_run_keeps_the_total_where_the_plan_covers_all_of_it(tmp_path: Path) -> None:
    """Not where prompts were finished before the plan, nor for a search."""
    run_dir = made(tmp_path, "cancelled", stats=STATS)
    assert gemini_calls.whole(run_dir, PLAN) is None
    events = run_dir / "events.jsonl"
    events.write_text('{"event": "start", "resumed_prompts": 0}\n{"event": "stage"}\n')
    assert gemini_calls.whole(run_dir, PLAN) == 3_900
    status = Status(state="cancelled")
    assert gemini_calls.brief(run_dir, status) == "1,204 of 3,900 calls"
    assert lines(STATS, PLAN, status, 3_900)[0].startswith("1,204 of 3,900 calls answered")
    events.write_text('{"event": "start", "resumed_prompts": 4}\n')
    assert gemini_calls.whole(run_dir, PLAN) is None
    assert gemini_calls.brief(run_dir, status) == "1,204 calls"


def test_a_batch_says_which_jobs_it_waits_for() -> None:
    """Those that are over are left out, and a row has no rate."""
    over = {"id": "1", "state": "SUCCEEDED"}
    jobs = (over, *JOBS, {"id": "3", "state": "QUEUED"})
    said = gemini_calls.waiting(CallStats(jobs=jobs))
    assert said == "waiting for 3 jobs (running, queued)"
    assert gemini_calls.waiting(CallStats(jobs=(over,))) == ""
    status = Status(state="running", unit="rows", done=787, total=831, rate=12.0, eta_s=3.0)
    one = progress.detail_line(status, "waiting for 1 job (queued)")
    assert one == "787 of 831 rows · waiting for 1 job (queued)"


def test_the_last_calls_are_counted_not_timed() -> None:
    """No `about 0 s left` while calls hang."""
    status = Status(state="running", unit="calls", done=988, total=1_000, rate=88.0, eta_s=0.14)
    assert progress.detail_line(status).endswith("waiting for the last 12")


def test_a_job_is_shown_by_the_last_part_of_its_name() -> None:
    """The number tells them apart, not the project in front of it."""
    name = "projects/p/locations/us-central1/batchPredictionJobs/4711"
    assert job_rows(CallStats(jobs=({"id": name},)))[0]["job"] == "4711"


def test_a_runs_headline_is_what_it_is_at(tmp_path: Path) -> None:
    """The model by name; after the yes nothing is said to be estimated; how long it took."""
    run_dir = made(tmp_path, "running")
    for stage, said in (
        ("probing the model", "Probing some-model"),
        ("estimating the cost", "Estimating the cost"),
        ("asking", "Asking some-model"),
    ):
        status = Status(state="running", stage=stage)
        assert gemini_calls.headline(run_dir, status).startswith(said)
    spending.confirm(run_dir)
    estimating = Status(state="running", stage="estimating the cost")
    assert gemini_calls.headline(run_dir, estimating) == "Preparing"
    (run_dir / "events.jsonl").write_text('{"elapsed_s": 30.2}\n{"elapsed_s": 5.9}\n')
    assert gemini_calls.headline(run_dir, Status(state="done")) == "Done in 36 s"


def test_the_figures_of_a_plan_add_up_and_claim_no_more_than_is_known() -> None:
    """Shared answers make up the rest; estimates are rounded; times and searches are bounds."""
    plan = replace(PLAN, positions=5_415, unscorable=35, calls=4_795, kept=2)
    said = scope_line(plan)
    assert "583 share an answer with another position" in said
    assert "35 cannot be asked (inside a character" in said and "2 answered by the probe" in said
    assert "share" not in scope_line(plan, partial=True)
    assert "9 answered already" in scope_line(replace(plan, kept=9))
    online = {name: value for name, value, _ in facts(plan, 0.4, False, False)}
    assert online["Time"] == "41 s or more" and online["Input tokens"] == "≈ 1.24 million"
    small = {n: v for n, v, _ in facts(replace(plan, input_tokens=377_342), 0.4, True, False)}
    assert small["Input tokens"] == "up to ≈ 377,000" and small["Calls"] == "up to 4,795"
    batch = replace(plan, mode="batch", seconds=None)
    assert facts(batch, 0.4, False, False)[-1][1] == "72 h queue + 24 h run at most"
    assert "Time" not in [name for name, *_ in facts(batch, 0.0, False, True)]


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
