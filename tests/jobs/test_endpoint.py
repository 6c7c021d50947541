"""Saved responses scored by a server: one request each, and what the same weights say here."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest

from kl_core.emulator.server import running
from kl_core.emulator.settings import Settings
from kl_core.errors import InputError, ModelError, RunError
from kl_core.jobs.finishing import Finishing
from kl_core.store import runs
from kl_core.store.parts import finished_prompts
from kl_core.store.spending import read_plan, read_stats
from kl_core.store.summary import run_summary
from tests.jobs.endpoint import RESPONSES, TUNED, scored_here, serve
from tests.jobs.gemini import results, texts

TWO = ("how-are-you-today.json", "chat-about-the-lighthouse.json")
FIGURES = ("headline", "reverse", "js", "log_ratio", "logprob2", "rank_kl")
BOUNDS = ("lower", "tail")  # score also asks for model 1's candidates outside the list
PROBES = 2  # one to find out how, one over the standing connection


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Two files in the OpenRouter form."""
    folder = tmp_path_factory.mktemp("two")
    for name in TWO:
        shutil.copy(RESPONSES / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def here(tmp_path_factory, two):
    """The same, scored by the same weights in this process."""
    root = tmp_path_factory.mktemp("here")
    scored_here(root, root / "out", two)
    return results(root / "out")


def responses_of(found):
    """Every response of result files by name and slot."""
    return {
        (name, n): response
        for name, entry in found.items()
        for n, response in enumerate(entry.responses)
    }


def assert_same(found, wanted, within=1e-4):
    """Every figure that a list of twenty can give is what the whole vocabulary gives."""
    ours, theirs = responses_of(found), responses_of(wanted)
    assert ours.keys() == theirs.keys()
    compared = 0
    for place, response in ours.items():
        other = theirs[place]
        assert response.reasons == other.reasons
        for figure in FIGURES:
            left, right = getattr(response.measures, figure), getattr(other.measures, figure)
            np.testing.assert_allclose(left, right, atol=within, err_msg=f"{place} {figure}")
        ranks, wanted_ranks = response.measures.rank2, other.measures.rank2
        told = ranks > 0  # not every server tells the rank of a token outside its list
        assert (ranks[told] == wanted_ranks[told]).all()
        assert (wanted_ranks[~told & (wanted_ranks > 0)] > 20).all()
        for figure in BOUNDS:
            left, right = getattr(response.measures, figure), getattr(other.measures, figure)
            known = np.isfinite(right)
            assert (left[known] <= right[known] + within).all(), f"{place} {figure}"
        compared += int(np.isfinite(response.measures.headline).sum())
    assert compared > 100


def askable(wanted):
    """Different responses that can be asked: with log-probabilities and no error."""
    found = {
        (name, tuple(position.token.piece for position in each.response.positions))
        for (name, _), each in responses_of(wanted).items()
        if each.response.positions
    }
    return len(found)


@pytest.mark.parametrize("kind", ["vllm", "sglang", "echo"])
def test_every_way_of_scoring_gives_what_score_gives_with_the_same_weights(
    tmp_path, two, here, kind
):
    """Found by probing; every figure within 1e-4, and one request a response."""
    with running(Settings(scoring=(kind,))) as server:
        run_dir = serve(tmp_path, server.base_url, input_dir=two, output_dir=tmp_path / "out")
        identity = runs.read_params(run_dir)["identity2"]
        assert identity["server"] == kind
        assert_same(results(tmp_path / "out"), here)
        asked = read_stats(run_dir).made
        assert asked == askable(here)


def test_one_request_is_made_for_one_response(tmp_path, two, here):
    """The server counts: as many requests as responses, besides the two of the probe at most."""
    with running(Settings()) as server:
        serve(tmp_path, server.base_url, input_dir=two, server="vllm")
        assert server.stats()["calls"] == askable(here)
        assert server.stats()["contexts_succeeded"] == askable(here)
        server.reset()
        serve(tmp_path / "auto", server.base_url, input_dir=two)
        assert askable(here) <= server.stats()["calls"] <= askable(here) + PROBES


def test_the_summary_and_the_plan_count_requests(tmp_path, two, here):
    """`calls` are requests, input tokens those of prompts and responses."""
    with running(Settings()) as server:
        run_dir = serve(tmp_path, server.base_url, input_dir=two)
    summary, plan = run_summary(run_dir), read_plan(run_dir)
    assert summary["calls"]["made"] == askable(here)
    assert (summary["server"], summary["asked_by"]) == ("vllm", "response")
    assert summary["measure"] == "floor"
    assert summary["model2"] == "tiny-tuned"
    assert plan is not None
    assert plan.mode == "endpoint"
    assert plan.calls + plan.kept == askable(here)
    assert plan.input_tokens > plan.positions / 2
    assert plan.cost == 0


@pytest.mark.parametrize("mode", ["completion", "chat"])
def test_a_server_that_scores_no_response_is_asked_position_by_position_on_request(
    tmp_path, two, here, mode
):
    """The same KL, by one call a position."""
    with running(Settings(scoring=())) as server:
        run_dir = serve(
            tmp_path, server.base_url, input_dir=two, fallback=mode, output_dir=tmp_path / "out"
        )
        assert runs.read_params(run_dir)["identity2"]["asked_by"] == "position"
        assert read_stats(run_dir).made > 10 * askable(here)
    ours, theirs = responses_of(results(tmp_path / "out")), responses_of(here)
    agreeing = []
    for place, response in ours.items():
        left, right = response.measures.headline, theirs[place].measures.headline
        both = np.isfinite(left) & np.isfinite(right)
        agreeing += (np.abs(left[both] - right[both]) < 1e-4).tolist()
    assert len(agreeing) > 100
    assert np.mean(agreeing) > 0.95  # the text before a position may be cut otherwise


def test_without_a_fallback_it_stops_and_says_what_was_tried(tmp_path, two):
    """One sentence that names every way and the option that helps."""
    with running(Settings(scoring=())) as server, pytest.raises(ModelError) as told:
        serve(tmp_path, server.base_url, input_dir=two)
    said = str(told.value)
    assert "--fallback" in said
    for kind in ("prompt_logprobs", "/generate", "echo"):
        assert kind in said


def test_a_server_that_echoes_text_needs_no_tokenizer(tmp_path, two):
    """Raw prompts, matched by bytes: the same as scored raw here, wherever tokens match."""
    scored_here(tmp_path, tmp_path / "here", two, raw=True)
    with running(Settings(scoring=("echo",))) as server:
        serve(
            tmp_path, server.base_url, input_dir=two, output_dir=tmp_path / "out", raw=True,
            tokenizer=None,
        )  # fmt: skip
    ours = responses_of(results(tmp_path / "out"))
    theirs = responses_of(results(tmp_path / "here"))
    left = np.concatenate([each.measures.headline for each in ours.values()])
    right = np.concatenate([each.measures.headline for each in theirs.values()])
    both = np.isfinite(left) & np.isfinite(right)
    assert both.sum() > 100
    assert both.sum() > 0.9 * np.isfinite(right).sum()
    assert (np.abs(left[both] - right[both]) < 1e-4).mean() > 0.95


def test_a_server_for_ids_without_a_tokenizer_is_refused_in_one_sentence(tmp_path, two):
    """Naming the option."""
    with running(Settings()) as server, pytest.raises(ModelError, match="--tokenizer"):
        serve(tmp_path, server.base_url, input_dir=two, tokenizer=None)


def test_faults_of_every_kind_change_nothing(tmp_path, two):
    """20 % of the attempts fail; the files are equal to the last digit."""
    with running(Settings()) as server:
        serve(tmp_path, server.base_url, input_dir=two, server="vllm", output_dir=tmp_path / "a")
        server.reset()
        server.settings = Settings(fault_rate=0.2, hang_s=0.3, seed=3)
        run_dir = serve(
            tmp_path / "faults", server.base_url, input_dir=two, server="vllm",
            output_dir=tmp_path / "b", timeout_s=2.0,
        )  # fmt: skip
    assert texts(tmp_path / "a") == texts(tmp_path / "b")
    assert read_stats(run_dir).failed == 0


def test_answers_of_a_finished_run_are_taken_on_request_only(tmp_path, two, here):
    """--reuse asks nothing again; without it everything is."""
    with running(Settings()) as server:
        serve(tmp_path, server.base_url, input_dir=two, server="vllm", output_dir=tmp_path / "a")
        server.reset()
        again = serve(
            tmp_path, server.base_url, input_dir=two, server="vllm", reuse=True,
            output_dir=tmp_path / "b",
        )  # fmt: skip
        assert server.stats()["calls"] == PROBES
        assert read_stats(again).reused == askable(here) - PROBES
        serve(tmp_path, server.base_url, input_dir=two, server="vllm", output_dir=tmp_path / "c")
        assert server.stats()["calls"] == PROBES + askable(here)
    assert texts(tmp_path / "a") == texts(tmp_path / "b")


def test_a_run_that_costs_waits_for_a_yes_and_its_probe_is_kept(tmp_path, two, here):
    """Nothing but the probe is asked before; afterwards only the rest."""
    with running(Settings()) as server:
        run_dir = serve(
            tmp_path, server.base_url, input_dir=two, server="vllm", yes=False, input_price=1.0,
            output_price=2.0,
        )  # fmt: skip
        assert runs.read_status(run_dir).state == "waiting"
        assert server.stats()["calls"] == PROBES
        plan = read_plan(run_dir)
        assert plan is not None
        assert plan.cost == pytest.approx((plan.input_tokens + 2 * plan.output_tokens) / 1e6)
        same = serve(
            tmp_path, server.base_url, input_dir=two, server="vllm", input_price=1.0,
            output_price=2.0,
        )  # fmt: skip
        assert same == run_dir
        assert server.stats()["calls"] == askable(here)


def test_responses_without_log_probabilities_keep_their_slots_and_reasons(tmp_path):
    """Nothing to ask is a finished run, not an error."""
    folder = tmp_path / "in"
    folder.mkdir()
    entry = {"prompt": "Hello", "model": "m", "responses": [{"text": "Hi there"}]}
    (folder / "a.json").write_text(json.dumps(entry))
    with running(Settings()) as server:
        run_dir = serve(tmp_path, server.base_url, input_dir=folder)
        assert server.stats()["calls"] == 0
    summary = run_summary(run_dir)
    assert (summary["prompts"], summary["without_logprobs"]) == (1, 1)


def test_a_resumed_run_stops_where_another_model_answers_by_now(tmp_path, two, monkeypatch):
    """One question is asked again; answers of two models never meet in one run."""
    more = {"input_dir": two, "server": "vllm"}
    with running(Settings()) as server:
        with monkeypatch.context() as broken:
            broken.setattr(Finishing, "write", stopping_with(1, Finishing.write))
            with pytest.raises(RunError, match="on purpose"):
                serve(tmp_path, server.base_url, **more)
        [run_dir] = runs.run_folders(tmp_path)
        assert finished_prompts(run_dir), "an entry, its probed responses too, is finished"
        server.settings = Settings(answers="hash")
        with pytest.raises(RunError, match="another model seems to answer"):
            serve(tmp_path, server.base_url, **more)
        server.settings = Settings()
        assert runs.read_status(serve(tmp_path, server.base_url, **more)).state == "done"


def test_a_prompt_that_the_server_refuses_does_not_keep_the_others_from_being_asked(tmp_path, two):
    """By whole responses and by positions alike: its own reason, and figures for the rest."""
    folder = tmp_path / "in"
    shutil.copytree(two, folder)
    entry = json.loads((RESPONSES / TWO[0]).read_text()) | {"prompt": "word " * 600}
    (folder / "a-long-one.json").write_text(json.dumps(entry))
    with running(Settings()) as server:
        for scoring, more in (((), {"fallback": "completion"}), (("vllm",), {})):
            server.settings = Settings(scoring=scoring)
            run_dir = serve(tmp_path, server.base_url, input_dir=folder, **more)
            summary = run_summary(run_dir)
            assert summary["state"] == "done"
            assert summary["scored_tokens"] > 100
            assert any("a-long-one" in row["file"] for row in summary["problems"])


def shortened(responses):
    """Three different responses of a few tokens, cheap enough to be the probe's."""
    kept = []
    for count in (4, 5, 6):
        each = json.loads(json.dumps(responses[0]))
        choice = each["choices"][0]
        choice["logprobs"]["content"] = choice["logprobs"]["content"][:count]
        pieces = [item["token"] for item in choice["logprobs"]["content"]]
        choice["message"]["content"] = "".join(pieces).replace("Ġ", " ")
        kept.append(each)
    return kept


def test_the_probed_question_is_asked_again_though_its_entry_is_finished(tmp_path, monkeypatch):
    """What is left may hold none of the responses that were asked before."""
    folder = tmp_path / "in"
    folder.mkdir()
    for path in sorted(RESPONSES.glob("*.json"))[:4]:
        shutil.copy(path, folder / path.name)
    entry = json.loads((RESPONSES / TWO[0]).read_text())
    entry["responses"] = shortened(entry["responses"])
    (folder / "a-cheap-one.json").write_text(json.dumps(entry))
    more = {"input_dir": folder, "server": "vllm", "max_concurrent": 1}
    with running(Settings(latency_ms=150)) as server:
        with monkeypatch.context() as broken:
            broken.setattr(Finishing, "write", stopping_with(1, Finishing.write))
            with pytest.raises(RunError, match="on purpose"):
                serve(tmp_path, server.base_url, **more)
        server.settings = Settings(answers="hash")
        with pytest.raises(RunError, match="another model seems to answer"):
            serve(tmp_path, server.base_url, **more)


def stopping_with(count, write):
    """In place of writing a result: so many are written, and the last one ends the run."""
    written = []

    def wrapped(*arguments):
        written.append(write(*arguments))
        if len(written) >= count:
            raise RunError("on purpose")

    return wrapped


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"server": "llama"}, "--server is 'llama'"),
        ({"fallback": "x"}, "--fallback is 'x'"),
        ({"raw": True, "system": "Be brief"}, "--raw"),
        ({"fallback": "chat", "raw": True}, "--fallback chat"),
        ({"model2": " "}, "--model2"),
        ({"base_url": "http://10.0.0.1/v1", "key_env": "PATH"}, "unencrypted"),
    ],
)
def test_options_that_make_no_sense_are_refused_before_anything_is_asked(
    tmp_path, two, more, words
):
    """In one sentence."""
    with pytest.raises(InputError, match=re.escape(words)):
        serve(tmp_path, "http://127.0.0.1:1", input_dir=two, **more)


def test_a_system_message_is_part_of_what_is_asked_by_chat_too(tmp_path, two):
    """Not of the saved prompt that the results show."""
    means = []
    with running(Settings(scoring=())) as server:
        for system in (None, "You are a guide to the island of Corrin."):
            run_dir = serve(
                tmp_path, server.base_url, input_dir=two, fallback="chat", system=system,
                max_files=1,
            )  # fmt: skip
            means.append(run_summary(run_dir)["mean_kl"])
    assert means[0] != pytest.approx(means[1])


def test_a_model_that_the_server_does_not_have_is_one_sentence(tmp_path, two):
    """Before anything else is asked."""
    with running(Settings()) as server, pytest.raises(ModelError) as told:
        serve(tmp_path, server.base_url, input_dir=two, model2="no-such-model")
    assert "no-such-model" in str(told.value)


def test_equal_responses_are_asked_once(tmp_path):
    """Ten times the same response is one request."""
    folder = tmp_path / "in"
    folder.mkdir()
    entry = json.loads((RESPONSES / TWO[0]).read_text())
    entry["responses"] = [entry["responses"][0]] * 10
    (folder / "a.json").write_text(json.dumps(entry))
    with running(Settings()) as server:
        run_dir = serve(tmp_path, server.base_url, input_dir=folder, server="vllm")
        assert server.stats()["calls"] == 1
    assert run_summary(run_dir)["responses"] == 10
    assert TUNED
