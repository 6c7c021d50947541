"""Sampling from servers that answer from the tiny models: files, runs, and what goes wrong."""

from __future__ import annotations

import json
import threading

import msgspec
import pytest

from kl_core.emulator.server import running
from kl_core.emulator.settings import FAULTS, Provider, Settings
from kl_core.errors import InputError, ModelError, RunCancelled, RunError, RunWaiting
from kl_core.formats.sampling_config import JudgeConfig, ModelConfig, PromptSource
from kl_core.jobs import again, sample_plan, worker
from kl_core.store import queries, runs, spending
from kl_core.store.sampled import read_sampled
from kl_core.store.summary import run_summary
from tests.jobs.gemini import SAMPLES
from tests.jobs.sampling import MODEL, PROMPTS, config, contents, entries, start, texts

TINY = SAMPLES.parents[1] / "models"
PASSING = tuple(fault for fault in FAULTS if fault not in ("no-logprobs", "other-model", "blocked"))


@pytest.fixture(scope="module")
def server():
    with running() as started:
        yield started


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("SAMPLE_TEST_KEY", "sk-test-123456789")


@pytest.fixture
def quiet(server):
    server.settings = Settings()
    server.reset()
    return server


def asked(server) -> int:
    """Calls for responses so far."""
    routes = server.stats()["routes"]
    return sum(routes.get(f"/v1/{name}", 0) for name in ("chat/completions", "completions"))


def model(server, name=MODEL, **more) -> ModelConfig:
    more.setdefault("base_url", f"{server.base_url}/v1")
    return ModelConfig(name=name, key_env="SAMPLE_TEST_KEY", **more)


def rows(run_dir) -> list[dict]:
    return run_summary(run_dir)["problems"]


def test_every_prompt_gets_a_file_a_model_that_the_reader_reads_whole(tmp_path, quiet):
    """Two models, three prompts, two samples: six files, each with its lists at each token."""
    run_dir = start(tmp_path / "r", config(tmp_path / "o", quiet.base_url, (MODEL, "tiny-tuned")))
    found = entries(tmp_path / "o")
    assert len(found) == 6
    for entry in found.values():
        assert len(entry.responses) == 2
        for response in entry.responses:
            assert response.error is None
            assert all(len(p.dist.tokens) >= 5 for p in response.positions)
            assert "".join(p.token.text for p in response.positions if not p.token.special)
    assert {name.split("/")[0] for name in found} == {MODEL, "tiny-tuned"}
    assert asked(quiet) == 12
    assert runs.read_status(run_dir).state == "done"


def test_the_run_shows_what_is_on_disk(tmp_path, quiet):
    """Its responses are those of the files, under their names, and counted."""
    run_dir = start(tmp_path / "r", config(tmp_path / "o", quiet.base_url))
    cursor = queries.open_run(run_dir).cursor()
    shown = cursor.execute("SELECT file, slot, text FROM response_rows ORDER BY file, slot")
    on_disk = [
        (name, slot, text)
        for name, each in sorted(texts(tmp_path / "o").items())
        for slot, text in enumerate(each)
    ]
    assert shown.fetchall() == on_disk
    [counted] = read_sampled(run_dir)
    assert (counted.wanted, counted.responses, counted.kept, counted.failed) == (6, 6, 0, 0)
    summary = run_summary(run_dir)
    assert summary["output_dir"] == str(tmp_path / "o")
    assert summary["models"][0]["by_provider"] == {"Emulator": 6}
    assert summary["calls"]["made"] == 6
    assert summary["cost"] == 0
    assert not summary["problems"]


def test_sampled_files_can_be_scored(tmp_path, quiet):
    """The model that wrote them gives back its own log-probabilities: KL zero, all positions."""
    from kl_core.jobs import score
    from kl_core.jobs.scoring import ScoringOptions
    from kl_core.models.load import ModelSpec

    one = PromptSource(texts=PROMPTS[:1])
    start(tmp_path / "r", config(tmp_path / "o", quiet.base_url, prompts=one))
    options = ScoringOptions(tmp_path / "o" / MODEL)
    frozen, title, work = score.prepare(score.ScoreRequest(options, ModelSpec(str(TINY / MODEL))))
    run_dir = worker.folder_for("score", frozen, tmp_path / "s", title)
    worker.carry_out(run_dir, work)
    summary = run_summary(run_dir)
    assert summary["scored_tokens"] == summary["tokens"] > 0
    assert summary["max_kl"] == pytest.approx(0.0, abs=1e-4)


def test_what_is_in_the_folder_is_not_asked_again(tmp_path, quiet):
    """A second run with the same settings makes no call and shows the same responses."""
    wanted = config(tmp_path / "o", quiet.base_url)
    start(tmp_path / "r", wanted)
    before = contents(tmp_path / "o")
    calls = quiet.stats()["routes"]
    second = start(tmp_path / "r", wanted)
    assert quiet.stats()["routes"] == calls
    assert contents(tmp_path / "o") == before
    assert run_summary(second)["responses"] == 6
    assert read_sampled(second)[0].kept == 6


def test_more_samples_complete_the_files(tmp_path, quiet):
    """Only the missing numbers are asked; the others stay as they were."""
    start(tmp_path / "r", config(tmp_path / "o", quiet.base_url, samples=2))
    before = texts(tmp_path / "o")
    run_dir = start(tmp_path / "r", config(tmp_path / "o", quiet.base_url, samples=3))
    assert asked(quiet) == 9
    after = texts(tmp_path / "o")
    assert all(after[name][:2] == before[name] and len(after[name]) == 3 for name in before)
    [counted] = read_sampled(run_dir)
    assert (counted.wanted, counted.responses, counted.kept) == (9, 9, 6)


def test_a_hole_in_a_file_is_filled_with_the_sample_of_that_number(tmp_path, quiet):
    """With a seed the very same response comes back."""
    wanted = config(tmp_path / "o", quiet.base_url)
    start(tmp_path / "r", wanted)
    before = contents(tmp_path / "o")
    path = next((tmp_path / "o" / MODEL).glob("*.json"))
    record = msgspec.json.decode(path.read_bytes())
    del record["responses"][0]
    path.write_bytes(msgspec.json.encode(record))
    start(tmp_path / "r", wanted)
    assert asked(quiet) == 7
    assert contents(tmp_path / "o") == before


def test_files_with_other_settings_are_left_and_named(tmp_path, quiet):
    """Nothing is asked for them, both values are said, and --overwrite asks again."""
    start(tmp_path / "r", config(tmp_path / "o", quiet.base_url))
    before = contents(tmp_path / "o")
    other = config(tmp_path / "o", quiet.base_url, temperature=0.5)
    run_dir = start(tmp_path / "r", other)
    assert asked(quiet) == 6
    assert contents(tmp_path / "o") == before
    said = rows(run_dir)
    assert len(said) == 3
    assert "temperature 1.0, now 0.5" in said[0]["reason"]
    start(tmp_path / "r", other, overwrite=True)
    assert asked(quiet) == 12
    after = contents(tmp_path / "o")
    assert all(each["sampling"]["temperature"] == 0.5 for each in after.values())


def test_a_file_that_sample_did_not_write_is_never_touched(tmp_path, quiet):
    """It stays byte for byte, with a row; the other prompts are sampled."""
    wanted = config(tmp_path / "o", quiet.base_url)
    start(tmp_path / "r", wanted)
    path = next((tmp_path / "o" / MODEL).glob("*.json"))
    path.write_text('{"something": "else"}')
    run_dir = start(tmp_path / "r", wanted)
    assert path.read_text() == '{"something": "else"}'
    assert "not written by sample" in rows(run_dir)[0]["reason"]


def test_responses_without_logprobs_are_kept_counted_and_named_with_their_provider(tmp_path, quiet):
    """One row a provider, the plan warns before the yes, the texts are there."""
    quiet.settings = Settings(providers=(Provider("Quietco", ("no-logprobs",)),))
    run_dir = start(tmp_path / "r", config(tmp_path / "o", quiet.base_url))
    [counted] = read_sampled(run_dir)
    assert counted.without_logprobs == {"Quietco": 6}
    [row] = rows(run_dir)
    assert "6 of 6 responses by Quietco came without log-probabilities" in row["reason"]
    [warning] = spending.read_plan(run_dir).warnings
    assert "Quietco" in warning
    assert MODEL in warning
    assert run_summary(run_dir)["responses"] == 6
    assert all(text for each in _raw_texts(tmp_path / "o") for text in each)


def test_pinned_providers_that_give_no_logprobs_are_refused_by_require_parameters(tmp_path, quiet):
    """Rather than dropping them in silence, as the call demands."""
    quiet.settings = Settings(providers=(Provider("Quietco", ("no-logprobs",)), Provider("Loud")))
    both = config(tmp_path / "o", quiet.base_url, (model(quiet, providers=("Quietco", "Loud")),))
    run_dir = start(tmp_path / "r", both)
    assert read_sampled(run_dir)[0].by_provider == {"Loud": 6}
    one = config(tmp_path / "p", quiet.base_url, (model(quiet, providers=("Quietco",)),))
    with pytest.raises(ModelError, match="tiny-base could not be asked"):
        start(tmp_path / "r", one)


def test_without_logprobs_asked_for_none_are_missed(tmp_path, quiet):
    """No row, no warning."""
    run_dir = start(tmp_path / "r", config(tmp_path / "o", quiet.base_url, top_logprobs=0))
    assert read_sampled(run_dir)[0].without_logprobs == {}
    assert not rows(run_dir)


def test_one_model_that_fails_for_good_does_not_stop_the_others(tmp_path, quiet):
    """The run ends failed, naming it; resumed when the model is there, it asks that one alone."""
    wanted = config(tmp_path / "o", quiet.base_url, (MODEL, "no-such-model"))
    with pytest.raises(RunError, match=r"no-such-model could not be asked: .*404"):
        start(tmp_path / "r", wanted)
    [run_dir] = runs.run_folders(tmp_path / "r")
    assert runs.read_status(run_dir).state == "failed"
    assert len(entries(tmp_path / "o")) == 3
    assert run_summary(run_dir)["responses"] == 6
    before = asked(quiet)
    with pytest.raises(RunError, match="no-such-model"):
        start(tmp_path / "r", wanted)
    assert runs.run_folders(tmp_path / "r") == [run_dir]
    assert asked(quiet) == before + 1


def test_a_refused_key_is_one_sentence_before_anything_else_is_asked(tmp_path, quiet, monkeypatch):
    """A server that nobody listens at, too, says so at once."""
    monkeypatch.delenv("SAMPLE_TEST_KEY")
    with pytest.raises(InputError, match="SAMPLE_TEST_KEY"):
        start(tmp_path / "r", config(tmp_path / "o", quiet.base_url))
    monkeypatch.setenv("SAMPLE_TEST_KEY", "sk-test-123456789")
    with pytest.raises(RunError, match="start the server there first"):
        start(tmp_path / "r", config(tmp_path / "o", "http://127.0.0.1:9"))
    assert asked(quiet) == 0


def test_with_a_fifth_of_the_calls_failing_the_files_are_the_same(tmp_path, quiet):
    """Every fault that can pass passes, and nothing that was answered is asked again."""
    many = PromptSource(texts=tuple(f"Tell me about {n} islands." for n in range(20)))
    start(tmp_path / "a", config(tmp_path / "calm", quiet.base_url, prompts=many, max_tokens=4))
    quiet.reset()
    quiet.settings = Settings(
        fault_rate=0.2, faults=PASSING, hang_s=0.5, retry_after_s=0.05, seed=3
    )
    stormy = config(tmp_path / "stormy", quiet.base_url, prompts=many, max_tokens=4)
    run_dir = start(tmp_path / "b", stormy, timeout_s=1.0)
    assert contents(tmp_path / "calm") == contents(tmp_path / "stormy")
    stats = spending.read_stats(run_dir)
    assert (stats.made, stats.failed) == (40, 0)
    assert stats.retried >= 5
    assert quiet.stats()["contexts_repeated"] == 0


def test_samples_that_are_refused_for_good_are_missing_with_their_reason(tmp_path, quiet):
    """The others of the file are kept; a later run asks for the missing ones alone."""
    quiet.settings = Settings(fault_rate=0.5, faults=("blocked",), seed=4)
    wanted = config(tmp_path / "o", quiet.base_url, samples=8)
    run_dir = start(tmp_path / "r", wanted)
    [counted] = read_sampled(run_dir)
    assert counted.failed > 0
    assert counted.responses + counted.failed == 24
    assert any("samples did not come" in row["reason"] for row in rows(run_dir))
    quiet.settings = Settings()
    quiet.reset()
    start(tmp_path / "r", wanted)
    assert asked(quiet) == counted.failed
    assert sum(map(len, texts(tmp_path / "o").values())) == 24


def test_replies_by_another_model_or_without_lists_are_kept_and_said(tmp_path, quiet):
    """The texts are those of a calm run; each oddity has its row."""
    start(tmp_path / "a", config(tmp_path / "calm", quiet.base_url, samples=6))
    quiet.settings = Settings(fault_rate=0.5, faults=("no-logprobs", "other-model"), seed=1)
    run_dir = start(tmp_path / "b", config(tmp_path / "odd", quiet.base_url, samples=6))
    assert _raw_texts(tmp_path / "calm") == _raw_texts(tmp_path / "odd")
    said = " ".join(row["reason"] for row in rows(run_dir))
    assert "responses say that they are by" in said
    assert "came without log-probabilities" in said
    assert len(rows(run_dir)) == 2


def test_a_cancelled_run_keeps_its_files_and_goes_on(tmp_path, quiet):
    """What was answered is not asked again, and the files equal those of a calm run."""
    start(tmp_path / "a", config(tmp_path / "calm", quiet.base_url, samples=12))
    quiet.reset()
    quiet.settings = Settings(latency_ms=150)
    wanted = config(tmp_path / "o", quiet.base_url, samples=12)

    def yes_and_cancel(plan, needed):
        [run_dir] = runs.run_folders(tmp_path / "r")
        threading.Timer(0.8, runs.request_cancel, (run_dir,)).start()
        return True

    with pytest.raises(RunCancelled):
        start(tmp_path / "r", wanted, ask=yes_and_cancel, max_concurrent=4)
    [run_dir] = runs.run_folders(tmp_path / "r")
    first = quiet.stats()["contexts_succeeded"]
    assert 0 < first < 36
    quiet.settings = Settings()
    spending.confirm(run_dir)
    worker.carry_out(run_dir, again.work_of(run_dir))
    assert quiet.stats()["contexts_succeeded"] == 36
    assert quiet.stats()["contexts_repeated"] == 0
    assert contents(tmp_path / "calm") == contents(tmp_path / "o")
    summary = run_summary(run_dir)
    assert (summary["state"], summary["responses"]) == ("done", 36)
    assert summary["models"][0]["kept"] == 0


def test_nothing_but_the_probe_is_asked_before_a_yes(tmp_path, quiet):
    """The plan says the most it can cost, from the prices the server lists; then it goes on."""
    quiet.settings = Settings(input_price=1.0, output_price=1000.0)
    wanted = config(tmp_path / "o", quiet.base_url, (MODEL, "tiny-tuned"))
    with pytest.raises(RunWaiting, match=r"10 calls for about \$0\.12"):
        start(tmp_path / "r", wanted, yes=False)
    [run_dir] = runs.run_folders(tmp_path / "r")
    plan = spending.read_plan(run_dir)
    assert runs.read_status(run_dir).state == "waiting"
    assert asked(quiet) == plan.kept == 2
    assert plan.output_tokens == 10 * 12
    spending.confirm(run_dir)
    assert start(tmp_path / "r", wanted, yes=False) == run_dir
    stats = spending.read_stats(run_dir)
    assert asked(quiet) == stats.made == 12
    assert stats.cost == pytest.approx((stats.input_tokens + 1000 * stats.output_tokens) / 1e6)
    assert stats.output_tokens == quiet.stats()["output_tokens"]


def test_a_dearer_plan_than_the_limit_is_refused_with_both_figures(tmp_path, quiet):
    """Prices of the configuration go before the server's."""
    priced = (model(quiet, input_price=0.0, output_price=10_000.0),)
    with pytest.raises(InputError, match=r"about \$0\.60 .*--max-cost is \$0\.50"):
        start(tmp_path / "r", config(tmp_path / "o", quiet.base_url, priced), max_cost=0.5)
    assert asked(quiet) == 1


def test_spending_stops_at_the_limit_whatever_the_plan_said(tmp_path, quiet, monkeypatch):
    """The input is a guess; what is answered is kept, and a higher limit goes on."""
    monkeypatch.setattr(sample_plan, "guessed_tokens", lambda prompt: 0.0)
    quiet.settings = Settings(latency_ms=20)
    priced = (model(quiet, input_price=1000.0, output_price=0.0),)
    wanted = config(tmp_path / "o", quiet.base_url, priced, samples=20)
    with pytest.raises(RunError, match=r"\$0\.\d+ is spent and --max-cost is \$0\.20"):
        start(tmp_path / "r", wanted, max_cost=0.2, yes=False, max_concurrent=2)
    first = quiet.stats()["contexts_succeeded"]
    assert 1 < first < 60
    run_dir = start(tmp_path / "r", wanted, max_cost=9.0, yes=False)
    assert quiet.stats()["contexts_repeated"] == 0
    stats = spending.read_stats(run_dir)
    assert (stats.made, stats.cost) == (60, pytest.approx(stats.input_tokens / 1000))


def test_a_server_that_goes_down_is_asked_again_by_the_next_start_of_the_run(tmp_path, quiet):
    """Samples given up are no result: the run fails, and resuming it brings the same files."""
    start(tmp_path / "a", config(tmp_path / "calm", quiet.base_url, samples=12))
    quiet.reset()

    def down(plan, needed):
        quiet.settings = Settings(fault_rate=1.0, faults=("503",))
        return True

    wanted = config(tmp_path / "o", quiet.base_url, samples=12)
    with pytest.raises(RunError, match="tiny-base could not be asked: 20 questions in a row"):
        start(tmp_path / "r", wanted, ask=down, max_retries=0)
    [run_dir] = runs.run_folders(tmp_path / "r")
    assert run_summary(run_dir)["responses"] == 0
    quiet.settings = Settings()
    assert start(tmp_path / "r", wanted) == run_dir
    assert contents(tmp_path / "calm") == contents(tmp_path / "o")
    summary = run_summary(run_dir)
    assert (summary["state"], summary["responses"], summary["problems"]) == ("done", 36, [])
    assert summary["calls"]["failed"] == 0


def test_a_local_model_is_sampled_like_a_server(tmp_path, quiet):
    """The same tokens' log-probabilities as a server of the same weights gives, with ids."""
    local = ModelConfig(name=str(TINY / MODEL), api="local", label="here")
    run_dir = start(tmp_path / "r", config(tmp_path / "o", quiet.base_url, (local,)))
    found = entries(tmp_path / "o")
    assert len(found) == 3
    first = next(iter(found.values()))
    assert first.model == MODEL
    assert first.responses[0].positions[0].token.id is not None
    again = config(tmp_path / "p", quiet.base_url, (local,))
    start(tmp_path / "r", again)
    assert texts(tmp_path / "o") == texts(tmp_path / "p")
    assert read_sampled(run_dir)[0].by_provider == {"local": 6}
    assert asked(quiet) == 0


def test_gemini_is_sampled_into_its_own_format(tmp_path, quiet):
    """Text, lists with ids, the version that answered; read whole by the reader."""
    gemini = ModelConfig(name="tiny-tuned", api="gemini", base_url=quiet.base_url, reasoning=False)
    run_dir = start(tmp_path / "r", config(tmp_path / "o", quiet.base_url, (gemini,)))
    found = entries(tmp_path / "o")
    assert len(found) == 3
    for entry in found.values():
        for response in entry.responses:
            assert response.model == "tiny-tuned"
            assert response.positions[0].token.id is not None
            assert len(response.positions[0].dist.tokens) >= 5
    assert run_summary(run_dir)["without_logprobs"] == 0


def tokens_file(path, *prefixes) -> None:
    """What the `tokens` command writes: high-KL tokens with the text before them."""
    rows = [
        {
            "prompt": "Who lives in the lighthouse?",
            "prefix_response": prefix,
            "token": " x",
            "score": 3.0,
            "kl_divergence": 3.0,
            "source_file": "lighthouse.json",
            "response_idx": 0,
            "token_position": number,
        }
        for number, prefix in enumerate(prefixes)
    ]
    path.write_text(json.dumps({"score_type": "kl", "num_entries": len(rows), "entries": rows}))


@pytest.mark.parametrize("by", ["chat", "completion"])
def test_started_answers_are_continued_by_every_model(tmp_path, quiet, by):
    """Each file names the token it was taken up at; the text goes on where the prefix ends."""
    tokens_file(tmp_path / "t.json", "A keeper named", "")
    where = {"continue_by": by} | ({"tokenizer": str(TINY / MODEL)} if by == "completion" else {})
    both = tuple(model(quiet, name, **where) for name in (MODEL, "tiny-tuned"))
    wanted = config(tmp_path / "o", quiet.base_url, both, prompts=None, temperature=0.0, samples=1)
    run_dir = start(tmp_path / "r", wanted, from_tokens=tmp_path / "t.json")
    found = entries(tmp_path / "o")
    assert len(found) == 4
    for name, entry in found.items():
        if "-t0-" in name:
            assert entry.prompt[-1].content == "A keeper named"
            assert entry.responses[0].text.startswith(" O")
        else:
            assert entry.responses[0].text.startswith(("A ", "The "))
    assert quiet.stats()["routes"].get("/v1/completions", 0) == (2 if by == "completion" else 0)
    assert run_summary(run_dir)["responses"] == 4


def test_a_judge_reads_the_pairs_after_sampling(tmp_path, quiet):
    """Its answers are kept in judgements.json, and counted and paid for with the others."""
    tokens_file(tmp_path / "t.json", "A keeper named", "The ")
    judge = JudgeConfig(model=model(quiet), max_tokens=8)
    wanted = config(
        tmp_path / "o", quiet.base_url, (MODEL, "tiny-tuned"), prompts=None, judge=judge, samples=3
    )
    run_dir = start(tmp_path / "r", wanted, from_tokens=tmp_path / "t.json")
    record = json.loads((tmp_path / "o" / "judgements.json").read_text())
    pairs = record["summary"]["pairs"]
    assert pairs == 6
    to_ask = pairs - record["summary"]["same"]
    assert asked(quiet) == 12 + to_ask
    assert spending.read_stats(run_dir).made == 12 + to_ask
    assert spending.read_plan(run_dir).calls == 10 + 6
    again = asked(quiet)
    start(tmp_path / "r", wanted, from_tokens=tmp_path / "t.json", overwrite=False)
    assert asked(quiet) - again <= to_ask


def _raw_texts(folder) -> list[list[str]]:
    """The texts of all files, whatever the reader would say about them."""
    return [
        [item["choices"][0]["message"]["content"] for item in record["responses"]]
        for record in contents(folder).values()
    ]
