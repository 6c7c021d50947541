"""Continue from here, without a browser: the form, what is written, every state of a try."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from kl_core.formats.sampling_config import read_config
from kl_core.jobs import launch
from kl_core.store import runs, spending
from kl_core.store.runs import State, Status
from kl_core.store.spending import CallPlan
from tests.pages.conftest import opened, texts
from tests.ui import made_runs

TOKEN = {"prompt": "3", "response": "0", "position": "5"}  # of made_runs.planted: " Lyon"
ANSWER = "The capital of France is"


@pytest.fixture
def begun(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[dict[str, str], Path]]:
    """What the section starts: options and the run's folder; the worker itself is left out."""
    asked: list[tuple[dict[str, str], Path]] = []

    def start(kind: str, options: dict[str, str], nonce: str) -> Path:
        assert kind == "sample"
        command = ["python", "-m", "kl_core", *launch.arguments(kind, options)]
        params = {"request": {}, "title": "sample", "command": command}
        run_dir = runs.create_run(root, kind, params, f"made{len(asked):04d}")
        asked.append((options, run_dir))
        return run_dir

    monkeypatch.setattr(launch, "start", start)
    return asked


def unfolded(app: AppTest) -> AppTest:
    """The same with the section open."""
    app.session_state["continue_box"] = True
    return app.run()


def button(app: AppTest, label: str):
    """The button with a label."""
    return next(each for each in app.button if each.label == label)


def labels(app: AppTest) -> list[str]:
    """Labels of all buttons."""
    return [each.label for each in app.button]


def ended(run_dir: Path, state: State = "done", **status: object) -> None:
    """The run as its worker leaves it."""
    runs.write_status(run_dir, Status(state=state, updated=time.time(), **status))


def said(options: dict[str, str], label: str, words: list[list[str]], logprob: float) -> None:
    """A model's file of responses, as `sample` writes it."""
    folder = Path(options["config"]).parent / "responses" / label
    folder.mkdir(parents=True)
    responses = []
    for number, tokens in enumerate(words):
        content = [
            {"token": word, "logprob": logprob, "bytes": list(word.encode()), "top_logprobs": []}
            for word in tokens
        ]
        message = {"role": "assistant", "content": "".join(tokens)}
        choice = {"message": message, "finish_reason": "stop", "logprobs": {"content": content}}
        responses.append({"sample": number, "choices": [choice]})
    turns = [{"role": "user", "content": "x"}, {"role": "assistant", "content": ANSWER}]
    record = {"prompt": turns, "model": label, "sampling": {}, "responses": responses}
    (folder / "x.json").write_text(json.dumps(record))


def test_nothing_is_drawn_before_the_section_is_opened(root: Path) -> None:
    """A token's click costs nothing more while the section is folded."""
    app = opened(run=made_runs.planted(root).name, **TOKEN)
    assert "continue_start" not in [each.key for each in app.button]
    assert any(each.label == "Continue from here with both models" for each in app.expander)
    assert button(unfolded(app), "Start")


def test_a_start_writes_the_place_and_the_settings_and_begins_one_run(
    root: Path, begun: list[tuple[dict[str, str], Path]]
) -> None:
    """Text before the token, joined by bytes, both sample models, and what was typed."""
    app = unfolded(opened(run=made_runs.planted(root).name, **TOKEN))
    app.number_input(key="continue_samples").set_value(2)
    app.number_input(key="continue_temperature").set_value(0.0).run()
    second = next(each for each in app.text_input if each.label == "Folder, or hub id")
    assert second.value == "sample_data/models/tiny-base"
    other = [each for each in app.text_input if each.label == "Folder, or hub id"][-1]
    other.set_value("sample_data/models/tiny-tuned").run()
    button(app, "Start").click().run()
    assert not app.exception
    ((options, _),) = begun
    entry = json.loads(Path(options["from_tokens"]).read_text())["entries"][0]
    assert entry["prefix_response"] == ANSWER and entry["token"] == " Lyon"
    assert entry["prompt"] == "What is the capital of France?"
    assert (entry["response_idx"], entry["token_position"]) == (0, 5)
    config = read_config(Path(options["config"]), from_tokens=True)
    assert [m.name for m in config.models] == [
        "sample_data/models/tiny-base",
        "sample_data/models/tiny-tuned",
    ]
    assert (config.samples, config.max_tokens, config.temperature) == (2, 40, 0.0)
    assert config.judge is None and "Start" not in labels(app)
    assert Path(options["config"]).is_relative_to(root.parent / "uploads")
    assert options["yes"] is True  # both on this machine: nothing is charged


def test_continuations_come_back_with_the_place_in_another_session(
    root: Path, begun: list[tuple[dict[str, str], Path]]
) -> None:
    """A new session finds them by the place alone; another token has none."""
    run = made_runs.planted(root).name
    app = unfolded(opened(run=run, **TOKEN))
    button(app, "Start").click().run()
    options, run_dir = begun[0]
    said(options, "model1", [[" Lyon", "."], [" Paris", "."]], -0.5)
    said(options, "model2", [[" Paris", "!"]], -0.25)
    ended(run_dir)
    app = unfolded(opened(run=run, **TOKEN))
    assert "3 of 6 continuations" in texts(app)
    assert "sample --config" in "\n".join(code.value for code in app.code)
    button(app, "Continue again").click().run()
    assert "Start" in labels(app) and "Back to the last ones" in labels(app)
    other = unfolded(opened(run=run, prompt="3", response="0", position="6"))
    assert "at temperature" not in texts(other) and "Start" in labels(other)


def test_a_run_of_one_model_offers_one_side_and_says_so(
    root: Path, begun: list[tuple[dict[str, str], Path]]
) -> None:
    """Without model 2 there is nothing to compare and nobody to judge."""
    app = unfolded(opened(run=made_runs.raw(root).name, prompt="1", response="0", position="3"))
    assert any(each.label == "Continue from here with this model" for each in app.expander)
    assert "This run knows one model" in texts(app)
    assert not [each for each in app.checkbox if "Judge" in each.label]
    button(app, "Start").click().run()
    assert len(read_config(Path(begun[0][0]["config"]), from_tokens=True).models) == 1


def test_a_side_that_cannot_be_asked_is_named_and_nothing_starts(
    root: Path, begun: list[tuple[dict[str, str], Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server needs an address, a safe one, and its key in the environment."""
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    app = unfolded(opened(run=made_runs.planted(root).name, **TOKEN))
    where = app.button_group[-1]
    where.set_value("openai").run()
    assert "for model 2, type the server's base URL" in texts(app) and button(app, "Start").disabled
    url = next(each for each in app.text_input if each.label == "Base URL")
    url.set_value("http://api.openai.com/v1").run()
    assert "use https for other hosts" in texts(app)
    url.set_value("https://openrouter.ai/api/v1").run()
    assert "set OPENROUTER" in texts(app)
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-very-secret")
    app.run()
    assert not button(app, "Start").disabled and not begun
    seen = [*app.text_input, *app.text, *app.caption, *app.markdown, *app.code]
    assert not any("very-secret" in str(each.value) for each in seen)


def test_a_judge_has_a_place_and_a_template_with_all_its_blanks(
    root: Path, begun: list[tuple[dict[str, str], Path]]
) -> None:
    """The words it is asked by are shown and can be changed; a lost blank is named."""
    app = unfolded(opened(run=made_runs.planted(root).name, **TOKEN))
    app.checkbox(key="continue_judge_on").set_value(True).run()
    assert "for the judge, type a folder" in texts(app)
    app.text_input(key="continue_judge_name").set_value("sample_data/models/tiny-base").run()
    words = app.text_area(key="continue_judge_template")
    assert "{prefix}" in words.value
    words.set_value("Which? {prompt} {a} {b}").run()
    assert "needs {prefix}" in texts(app) and button(app, "Start").disabled
    app.text_area(key="continue_judge_template").set_value("{prompt}{prefix} A {a} B {b}").run()
    button(app, "Start").click().run()
    judge = read_config(Path(begun[0][0]["config"]), from_tokens=True).judge
    assert judge is not None and judge.template == "{prompt}{prefix} A {a} B {b}"
    assert judge.model.name == "sample_data/models/tiny-base"


def test_a_place_inside_a_character_says_why_it_cannot_be_continued(root: Path) -> None:
    """Bytes of half a character are no text to send."""
    run = made_runs.hostile(root).name
    place = str(len(made_runs.HOSTILE) + 2)  # the second of three bytes of a snowman
    app = unfolded(opened(run=run, prompt="0", response="0", position=place))
    assert "ends inside a character" in texts(app) and "Start" not in labels(app)


def test_a_try_that_costs_waits_for_a_yes(
    root: Path, begun: list[tuple[dict[str, str], Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cost stands beside the button that agrees to it; a failed try says why."""
    agreed: list[Path] = []
    monkeypatch.setattr(launch, "confirm", agreed.append)
    run = made_runs.planted(root).name
    app = unfolded(opened(run=run, **TOKEN))
    button(app, "Start").click().run()
    run_dir = begun[0][1]
    spending.write_plan(run_dir, CallPlan("sample", "m", calls=6, cost=0.25))
    ended(run_dir, "waiting")
    app.run()
    assert "6 requests to continue, ≈ $0.25" in texts(app)
    button(app, "Spend \\$0.25: start").click().run()
    assert agreed == [run_dir]
    ended(run_dir, "failed", error="the server is not there")
    app.run()
    assert "the server is not there" in texts(app) and "Continue again" in labels(app)
