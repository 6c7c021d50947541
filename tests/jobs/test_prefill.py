"""Gemini as model 2, call by call, against a server that answers from the tiny models."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kl_core.emulator.server import running
from kl_core.emulator.settings import FAULTS, Settings
from kl_core.errors import InputError, ModelError, RunCancelled, RunError, RunWaiting
from kl_core.jobs import again, gemini_plan, prefill, scoring, worker
from kl_core.jobs.gemini_job import GeminiRequest
from kl_core.jobs.gemini_options import AskOptions, PoolOptions, SpendOptions
from kl_core.models.load import ModelSpec
from kl_core.records import NOT_ASKED
from kl_core.store import queries, runs, spending
from kl_core.store.summary import run_summary
from tests.jobs.conftest import TWO
from tests.jobs.gemini import MODEL, SAMPLES, ask, results, submit, texts

MODELS = SAMPLES.parents[1] / "models"


@pytest.fixture(scope="module")
def server():
    with running() as started:
        yield started


@pytest.fixture
def quiet(server):
    server.settings = Settings()
    server.reset()
    return server


def local_scores(tmp_path, folder):
    """The same responses under the same weights, scored here."""
    from kl_core.jobs import score

    options = scoring.ScoringOptions(folder, tmp_path / "local")
    spec = ModelSpec(str(MODELS / "tiny-tuned"))
    frozen, title, work = score.prepare(score.ScoreRequest(options, spec))
    worker.carry_out(worker.folder_for("score", frozen, tmp_path / "runs", title), work)
    return results(tmp_path / "local")


def test_asking_position_by_position_gives_what_scoring_the_same_weights_gives(
    tmp_path, quiet, few
):
    """Every position's KL and bound equal those of local scoring within float error."""
    ask(tmp_path / "runs", quiet.base_url, input_dir=few, output_dir=tmp_path / "out")
    remote, local = results(tmp_path / "out"), local_scores(tmp_path, few)
    assert remote.keys() == local.keys() == set(TWO)
    compared = 0
    for name, entry in remote.items():
        for ours, theirs in zip(entry.responses, local[name].responses, strict=True):
            kl = ours.measures.headline
            known = ~np.isnan(kl)
            np.testing.assert_allclose(kl[known], theirs.measures.headline[known], atol=2e-5)
            compared += int(known.sum())
    assert compared > 150


def test_batch_and_online_write_the_same_results_to_the_last_digit(tmp_path, quiet, few):
    """Two roads to the same numbers, through the same journal."""
    ask(tmp_path / "a", quiet.base_url, input_dir=few, output_dir=tmp_path / "online")
    quiet.settings = Settings(batch_shards=3)
    submit(tmp_path / "b", quiet.base_url, input_dir=few, output_dir=tmp_path / "batch")
    assert texts(tmp_path / "online") == texts(tmp_path / "batch")


def test_with_a_fifth_of_the_calls_failing_in_every_way_the_result_is_the_same(
    tmp_path, quiet, few
):
    """To the last digit, and nothing that had succeeded is asked again."""
    ask(tmp_path / "a", quiet.base_url, input_dir=few, output_dir=tmp_path / "calm")
    quiet.reset()
    quiet.settings = Settings(fault_rate=0.2, faults=FAULTS, hang_s=0.5, retry_after_s=0.05, seed=3)
    run_dir = ask(
        tmp_path / "b",
        quiet.base_url,
        input_dir=few,
        output_dir=tmp_path / "stormy",
        timeout_s=1.0,
    )
    assert texts(tmp_path / "calm") == texts(tmp_path / "stormy")
    stats = spending.read_stats(run_dir)
    assert stats.failed == 0
    assert stats.retried >= 20
    assert len(stats.errors) >= 8
    assert quiet.stats()["contexts_repeated"] == 0


def test_responses_to_one_prompt_share_the_calls_for_what_they_share(tmp_path, quiet, few):
    """As many successes as there are different contexts; the first position is one call."""
    run_dir = ask(tmp_path, quiet.base_url, input_dir=few)
    summary = run_summary(run_dir)
    assert quiet.stats()["contexts_succeeded"] == summary["calls"]["made"] < summary["tokens"]
    assert summary["calls"]["retried"] == summary["calls"]["failed"] == 0


def test_nothing_is_spent_before_someone_said_yes(tmp_path, quiet, few):
    """The run probes, writes its plan and waits; a yes lets it go on, the probe paid once."""
    run_dir = ask(tmp_path, quiet.base_url, input_dir=few, yes=False)
    assert runs.read_status(run_dir).state == "waiting"
    plan = spending.read_plan(run_dir)
    assert quiet.stats()["calls"] == plan.kept == 2
    assert plan.calls > 100
    spending.confirm(run_dir)
    assert ask(tmp_path, quiet.base_url, input_dir=few, yes=False) == run_dir
    assert runs.read_status(run_dir).state == "done"
    assert quiet.stats()["calls"] == plan.calls + 2
    assert quiet.stats()["contexts_repeated"] == 0


def test_the_plan_knows_how_many_input_tokens_the_calls_take(tmp_path, quiet, few):
    """From what the server counted for two calls, within a tenth."""
    run_dir = ask(tmp_path, quiet.base_url, input_dir=few)
    plan, stats = spending.read_plan(run_dir), spending.read_stats(run_dir)
    assert plan.calls + plan.kept == stats.made
    assert abs(plan.input_tokens / stats.input_tokens - 1) < 0.1


def test_a_plan_dearer_than_the_limit_is_refused_with_both_figures(tmp_path, quiet, few):
    """--max-cost holds before anything but the probe was asked."""
    with pytest.raises(InputError, match=r"about \$\d.*--max-cost is \$0\.00"):
        ask_priced(tmp_path, quiet, few, 0.0)
    assert quiet.stats()["calls"] == 2


def test_a_server_of_this_machine_with_prices_is_not_free(tmp_path, quiet, few):
    """It may be a gateway to a paid one: without a yes it waits."""
    options = AskOptions(few, MODEL, base_url=quiet.base_url)
    spend = SpendOptions(input_price=1.0, output_price=1.0)
    shown = []

    def ask(plan, needed):
        shown.append(needed)
        return False

    request = GeminiRequest(options, PoolOptions(), spend, ask)
    frozen, title, work = prefill.prepare(request)
    run_dir = worker.folder_for("prefill", frozen, tmp_path, title)
    with pytest.raises(RunWaiting, match="--yes"):
        worker.carry_out(run_dir, work)
    assert shown == [True]


def test_spending_stops_at_the_limit_whatever_the_plan_said(tmp_path, quiet, few):
    """The plan is a guess; what is answered is kept, and a higher limit goes on."""

    def start(limit):
        options = AskOptions(few, MODEL, base_url=quiet.base_url)
        spend = SpendOptions(limit, False, 1.0, 1.0)
        frozen, title, work = prefill.prepare(
            GeminiRequest(options, PoolOptions(max_concurrent=4), spend)
        )
        run_dir = worker.folder_for("prefill", frozen, tmp_path, title)
        worker.carry_out(run_dir, work)
        return run_dir

    quiet.settings = Settings(latency_ms=10)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gemini_plan.TokenGuess, "tokens", lambda self, context: 1.0)
        with pytest.raises(RunError, match=r"\$0\.0\d is spent and --max-cost is \$0\.01"):
            start(0.01)
    first = quiet.stats()["contexts_succeeded"]
    assert 2 < first < 376
    assert runs.read_status(start(1.0)).state == "done"
    assert quiet.stats()["contexts_repeated"] == 0


def test_a_redirect_of_the_environment_is_part_of_the_run(tmp_path, quiet, few, monkeypatch):
    """Answers of two servers never come together in one run."""
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", quiet.base_url)
    first = ask(tmp_path, None, input_dir=few, yes=False)
    assert runs.read_params(first)["request"]["base_url"] == quiet.base_url
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", quiet.base_url.replace("127.0.0.1", "localhost"))
    assert ask(tmp_path, None, input_dir=few, yes=False) != first
    assert callable(
        again.work_of(first)
    )  # resuming asks where the run began, not where it points now


def ask_priced(tmp_path, server, folder, limit):
    options = AskOptions(folder, "tiny-tuned", base_url=server.base_url)
    spend = SpendOptions(limit, yes=True, input_price=1e6, output_price=1.0)
    frozen, title, work = prefill.prepare(GeminiRequest(options, PoolOptions(), spend))
    worker.carry_out(worker.folder_for("prefill", frozen, tmp_path / "r", title), work)


@pytest.mark.parametrize(
    ("settings", "model", "said"),
    [
        (Settings(logprobs=False), "tiny-tuned", "no such log-probabilities"),
        (Settings(prefill=False), "tiny-tuned", "does not continue a text"),
        (Settings(model_version="tiny-base"), "tiny-tuned", "tiny-base answered where tiny-tuned"),
        (Settings(), "tiny-missing", "no such model"),
    ],
)
def test_a_model_that_cannot_do_it_is_refused_in_one_sentence(
    tmp_path, quiet, few, settings, model, said
):
    """By the probe, with nothing else asked."""
    quiet.settings = settings
    with pytest.raises(ModelError, match=said) as caught:
        ask(tmp_path, quiet.base_url, input_dir=few, model2=model)
    assert "\n" not in str(caught.value)
    assert quiet.stats()["calls"] <= 3


def test_another_model_answering_midway_stops_the_run_and_resuming_finishes_it(
    tmp_path, quiet, few
):
    """Nothing of the other model is used, nothing of the right one is lost."""
    ask(tmp_path / "a", quiet.base_url, input_dir=few, output_dir=tmp_path / "calm")
    waiting = ask(
        tmp_path / "b", quiet.base_url, input_dir=few, output_dir=tmp_path / "out", yes=False
    )
    spending.confirm(waiting)
    quiet.settings = Settings(model_version="tiny-base")
    with pytest.raises(RunError, match="tiny-base answered"):
        ask(tmp_path / "b", quiet.base_url, input_dir=few, output_dir=tmp_path / "out", yes=True)
    quiet.settings = Settings()
    assert (
        ask(tmp_path / "b", quiet.base_url, input_dir=few, output_dir=tmp_path / "out") == waiting
    )
    assert texts(tmp_path / "calm") == texts(tmp_path / "out")


def test_a_cancelled_run_keeps_what_was_answered_and_goes_on(tmp_path, quiet, few):
    """The second start asks only what is missing."""
    quiet.settings = Settings(latency_ms=30)
    waiting = ask(tmp_path, quiet.base_url, input_dir=few, yes=False)
    real = worker.Worker.progress

    def cancel_soon(self, done, message="", skipped=0):
        if done > 20:
            runs.request_cancel(self.run_dir)
        real(self, done, message, skipped)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker.Worker, "progress", cancel_soon)
        with pytest.raises(RunCancelled):
            ask(tmp_path, quiet.base_url, input_dir=few, max_concurrent=4)
    first = spending.read_stats(waiting).made
    assert 20 < first < spending.read_plan(waiting).calls
    assert ask(tmp_path, quiet.base_url, input_dir=few) == waiting
    assert quiet.stats()["contexts_repeated"] == 0
    assert run_summary(waiting)["calls"]["made"] == quiet.stats()["contexts_succeeded"]


def test_a_budget_makes_its_share_of_the_calls_and_says_that_it_estimates(tmp_path, quiet, few):
    """Every prompt and response gets an estimate that holds the full answer in its interval."""
    ask(tmp_path / "a", quiet.base_url, input_dir=few, output_dir=tmp_path / "all")
    everything = quiet.stats()["calls"]
    quiet.reset()
    run_dir = ask(
        tmp_path / "b", quiet.base_url, input_dir=few, output_dir=tmp_path / "some", budget=0.2
    )
    assert quiet.stats()["calls"] <= 0.2 * everything + 12
    full, some = results(tmp_path / "all"), results(tmp_path / "some")
    for name, entry in some.items():
        truth = np.concatenate([r.measures.headline for r in full[name].responses])
        assert entry.estimate.low <= np.nanmean(truth) <= entry.estimate.high
        assert all(response.estimate is not None for response in entry.responses)
        assert any(NOT_ASKED in response.reasons for response in entry.responses)
    assert run_summary(run_dir)["estimate"]["asked"] < run_summary(run_dir)["estimate"]["of"]


def test_the_most_divergent_prompts_are_found_with_part_of_the_calls(tmp_path, quiet):
    """The two planted prompts of the sample folder win; they are asked in full."""
    run_dir = ask(tmp_path, quiet.base_url, top_prompts=2)
    summary = run_summary(run_dir)
    first = [row["prompt"] for row in summary["top_prompts"]][:2]
    assert set(first) == {
        "Which town is the capital of Merrow?",
        "Why is the bread of Merrow sweet?",
    }
    assert summary["calls"]["made"] < 0.8 * summary["tokens"]
    cursor = queries.open_run(run_dir).cursor()
    rows = queries.prompts(cursor, "mean_kl", limit=20).to_pylist()
    assert sum(row["mean_kl"] is not None for row in rows) <= 3  # the K and the next one


def test_answers_of_finished_runs_are_taken_only_when_asked_for(tmp_path, quiet, few):
    """A repeated run asks again, since the API may have changed; --reuse does not."""
    ask(tmp_path, quiet.base_url, input_dir=few)
    calls = quiet.stats()["calls"]
    again = ask(tmp_path, quiet.base_url, input_dir=few)
    assert quiet.stats()["calls"] == 2 * calls
    reused = ask(tmp_path, quiet.base_url, input_dir=few, reuse=True)
    assert len({again, reused}) == 2
    assert quiet.stats()["calls"] == 2 * calls + 2  # the probe
    assert run_summary(reused)["calls"] == {
        "made": 2,
        "reused": calls - 2,
        "failed": 0,
        "retried": 0,
    }


def test_a_sampled_token_outside_the_list_is_censored_counted_and_listed(tmp_path, quiet, few):
    """With a list of 2, many are; none of them gets a made-up log-probability."""
    run_dir = ask(tmp_path, quiet.base_url, input_dir=few, top_logprobs=2)
    summary = run_summary(run_dir)
    assert summary["censored_tokens"] > 0
    assert any("not among model 2's top" in row["reason"] for row in summary["problems"])


def test_a_position_that_fails_for_good_has_its_reason_and_the_others_their_values(
    tmp_path, quiet, few
):
    """Per-position errors stay per position."""
    quiet.settings = Settings(fault_rate=0.45, faults=("blocked",), seed=1)
    run_dir = ask(tmp_path, quiet.base_url, input_dir=few)
    summary = run_summary(run_dir)
    assert summary["state"] == "done"
    assert 0 < summary["tokens"] - summary["scored_tokens"] < summary["tokens"] / 3
    assert any("blocked" in row["reason"] for row in summary["problems"])


def test_settings_that_change_nothing_about_the_run_resume_it(tmp_path, quiet, few):
    """Another --max-concurrent is the same run; another --budget is not."""
    first = ask(tmp_path, quiet.base_url, input_dir=few, yes=False)
    assert ask(tmp_path, quiet.base_url, input_dir=few, yes=False, max_concurrent=3) == first
    assert ask(tmp_path, quiet.base_url, input_dir=few, yes=False, budget=0.5) != first
    assert json.loads((first / "params.json").read_text())["settings"]["max_concurrent"] == 3
