"""The Score page by a server, without a browser: the form, the plan and its yes, every state."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from kl_core.errors import RunError
from kl_core.jobs import launch
from kl_core.store import runs
from kl_core.ui import responses_choice
from tests.pages.conftest import opened, texts
from tests.ui import made_runs
from tests.ui.made_calls import PLAN, STATS, made

PAGE = "pages/score.py"
URL = "http://127.0.0.1:8000/v1"
SERVER_PLAN = replace(PLAN, mode="endpoint", responses=63, calls=60, kept=0)


@pytest.fixture
def data(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of responses that may be read, and no key."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("KL_DATA_ROOTS", str(tmp_path))
    for name in ("OPENROUTER_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return folder


def button(app: AppTest, label: str):
    """The button with a label."""
    return next(each for each in app.button if each.label == label)


def labels(app: AppTest) -> list[str]:
    """Labels of all buttons."""
    return [each.label for each in app.button]


def metrics(app: AppTest) -> dict[str, str]:
    """The figures of the plan."""
    return {each.label: each.value for each in app.metric}


def asked(app: AppTest) -> AppTest:
    """The same with a model and a server typed."""
    app.text_input(key="endpoint_model2").set_value("org/m")
    app.text_input(key="endpoint_base_url").set_value(URL)
    return app.run()


def test_every_option_of_the_form_reaches_the_command(data: Path) -> None:
    """What is set is what the worker is asked; what is left alone is left out."""
    app = asked(opened(PAGE, by="server", dir=str(data)))
    plain = f"python -m kl_core endpoint --input-dir {data} --model2 org/m --base-url {URL}"
    assert app.code[0].value == plain
    app.radio(key="endpoint_server").set_value("vllm")
    app.radio(key="endpoint_fallback").set_value("completion")
    for name, value in {
        "tokenizer": "org/t",
        "revision": "v2",
        "pattern": "*.json",
        "output_dir": str(data / "out"),
        "chat_template": "/t.jinja",
        "system": "be brief",
    }.items():
        app.text_input(key=f"endpoint_{name}").set_value(value)
    for name, number in {
        "max_concurrent": 64,
        "rate_limit": 12.5,
        "max_retries": 3,
        "timeout": 9.0,
        "top_logprobs": 5,
        "max_files": 9,
        "input_price": 0.3,
        "output_price": 2.5,
        "max_cost": 1.0,
    }.items():
        app.number_input(key=f"endpoint_{name}").set_value(number)
    for name in ("reuse", "trust_remote_code"):
        app.checkbox(key=f"endpoint_{name}").set_value(True)
    app.run()
    command = app.code[0].value
    for words in (
        "--server vllm",
        "--fallback completion",
        "--tokenizer org/t",
        "--revision v2",
        "--pattern '*.json'",
        f"--output-dir {data / 'out'}",
        "--chat-template /t.jinja",
        "--system 'be brief'",
        "--max-concurrent 64",
        "--rate-limit 12.5",
        "--max-retries 3",
        "--timeout 9.0",
        "--top-logprobs 5",
        "--max-files 9",
        "--input-price 0.3",
        "--output-price 2.5",
        "--max-cost 1.0",
        "--reuse",
        "--trust-remote-code",
    ):
        assert words in command
    assert "--yes" not in command and not button(app, "Probe and estimate").disabled


def test_the_way_is_kept_in_the_address_and_both_ways_share_the_responses(data: Path) -> None:
    """A link leads to a form; going over keeps the folder and what was typed."""
    app = asked(opened(PAGE, by="server", dir=str(data)))
    assert app.query_params == {"by": "server", "input": str(data)} or app.query_params == {
        "by": ["server"],
        "input": [str(data)],
    }
    app.button_group(key="score_by").set_value("machine").run()
    assert "by" not in app.query_params and f"Responses: {data}" in texts(app)
    app.text_input(key="score_model").set_value("m").run()
    assert f"score --input-dir {data}" in app.code[0].value
    app.button_group(key="score_by").set_value("server").run()
    assert f"--base-url {URL}" in app.code[0].value


def test_what_cannot_be_meant_is_said_beside_its_field_and_nothing_starts(data: Path) -> None:
    """Addresses, names, keys and folders are checked before a worker is started."""
    app = opened(PAGE, by="server", dir=str(data))
    app.text_input(key="endpoint_model2").set_value("a model")
    app.text_input(key="endpoint_base_url").set_value("http://example.com/v1")
    app.text_input(key="endpoint_key_env").set_value("sk-or-v1-secret")
    app.text_input(key="endpoint_output_dir").set_value("/etc/out").run()
    said = texts(app)
    assert "no blanks" in said and "use https" in said and "outside the folders" in said
    assert "the name of a variable" in said and "sk-or-v1-secret" not in said
    assert "sk-or-v1-secret" not in app.code[0].value and button(app, "Probe and estimate").disabled


def test_a_key_is_named_and_never_shown(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page says which variable holds it and whether it is set."""
    app = opened(PAGE, by="server", dir=str(data))
    app.text_input(key="endpoint_model2").set_value("org/m")
    app.text_input(key="endpoint_base_url").set_value("https://openrouter.ai/api/v1").run()
    assert "First: set OPENROUTER" in texts(app) and button(app, "Probe and estimate").disabled
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-very-secret")
    app.run()
    assert "is set" in texts(app) and not button(app, "Probe and estimate").disabled
    seen = [*app.text_input, *app.code, *app.text, *app.caption, *app.markdown]
    assert not any("very-secret" in str(each.value) for each in seen)


def test_a_run_starts_once_and_the_address_finds_it_again(
    data: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second click asks for the same run; changed settings come back as they were."""
    begun: list[tuple[str, dict[str, object], str]] = []

    def start(kind: str, options: dict[str, object], nonce: str) -> Path:
        begun.append((kind, options, nonce))
        return made(root, "starting", kind=kind, plan=None, options=options | {"project_id": None})

    monkeypatch.setattr(launch, "start", start)
    app = asked(opened(PAGE, by="server", dir=str(data)))
    app.number_input(key="endpoint_max_files").set_value(2).run()
    button(app, "Probe and estimate").click().run()
    assert begun[0][0] == "endpoint" and begun[0][1]["base_url"] == URL
    run_dir = next(each for each in runs.run_folders(root) if "-endpoint-" in each.name)
    again = opened(PAGE, run=run_dir.name)
    assert "By a server: org/m" in texts(again)
    ended = replace(runs.read_status(run_dir), state="failed")
    runs.write_status(run_dir, replace(ended, error="unexpected ValueError: x"))
    again.run()
    assert "did not pass the probe" not in texts(again) and "app itself" in texts(again)
    runs.write_status(run_dir, replace(ended, error="no --tokenizer"))
    again.run()
    assert "did not pass the probe" in texts(again) and "no “Tokenizer”" in texts(again)
    button(again, "Change settings").click().run()
    assert again.text_input(key="endpoint_base_url").value == URL
    assert again.number_input(key="endpoint_max_files").value == 2
    assert again.query_params["by"] in ("server", ["server"])


def test_a_start_that_fails_says_why_and_keeps_the_form(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing typed is lost."""

    def start(*_: object) -> Path:
        raise RunError("the disk is full")

    monkeypatch.setattr(launch, "start", start)
    app = asked(opened(PAGE, by="server", dir=str(data)))
    button(app, "Probe and estimate").click().run()
    assert "the disk is full" in texts(app)
    assert app.text_input(key="endpoint_base_url").value == URL


def test_the_plan_is_shown_and_waits_for_one_yes(
    data: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests, tokens, cost and time; the button names what it spends."""
    agreed: list[Path] = []
    monkeypatch.setattr(launch, "confirm", agreed.append)
    options = {"base_url": "https://host.example/v1", "project_id": None}
    run_dir = made(root, "waiting", kind="endpoint", plan=SERVER_PLAN, options=options)
    app = opened(PAGE, run=run_dir.name)
    assert metrics(app)["Requests"] == "60" and "0.38" in metrics(app)["Cost"]
    assert "whole response in one request" in texts(app)
    assert "3 are equal to others or cannot be asked" in texts(app)
    assert "batch" not in texts(app).lower()
    button(app, "Spend about \\$0.38: start").click().run()
    assert agreed == [run_dir]


def test_a_server_of_this_machine_costs_nothing_and_says_so(data: Path, root: Path) -> None:
    """The start button says it; what the probe found is named with the address."""
    options = {"base_url": URL, "project_id": None}
    plan = replace(SERVER_PLAN, cost=0.0, price_input=0.0, price_output=0.0)
    run_dir = made(root, "waiting", kind="endpoint", plan=plan, options=options)
    found = {"name": "org/m", "base_url": URL, "server": "vllm"}
    runs.update_params(run_dir, identity2=found)
    app = opened(PAGE, run=run_dir.name)
    assert "Start: it costs nothing" in labels(app)
    assert f"Scored by vLLM at {URL}" in texts(app)


@pytest.mark.parametrize("state", ["done", "cancelled", "failed", "died"])
def test_a_run_that_ended_leads_to_its_results(data: Path, root: Path, state: str) -> None:
    """Whatever was finished can be opened; an early end offers to resume."""
    entry = made_runs.entry(0, "What?", [made_runs.response(["a", " b"], {})])
    run_dir = made(
        root,
        state,
        kind="endpoint",
        plan=SERVER_PLAN,
        stats=STATS,
        confirmed=True,
        entries=[entry],
        options={"base_url": URL, "project_id": None},
        error="the server went away" if state == "failed" else "",
    )
    app = opened(PAGE, run=run_dir.name)
    assert "Open in Explore" in labels(app)
    assert ("Resume" in labels(app)) == (state != "done")
    assert ("Score something else" in labels(app)) == (state == "done")
    assert "nothing is charged" in texts(app)


def test_the_demo_fills_the_form_for_the_local_server(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One click: the sample's responses, the address, the model and its tokenizer."""
    monkeypatch.setattr(launch, "demo_server", lambda: "http://127.0.0.1:8123")
    monkeypatch.setattr(launch, "last_demo_address", lambda: "http://127.0.0.1:8123")
    app = opened(PAGE, by="server")
    button(app, "Try it on the demo server").click().run()
    command = app.code[0].value
    assert f"--input-dir {responses_choice.SAMPLE}" in command
    assert "--model2 tiny-tuned --base-url http://127.0.0.1:8123/v1" in command
    assert "--tokenizer sample_data/models/tiny-tuned" in command
    assert "This is a demo" in texts(app) and not button(app, "Probe and estimate").disabled


def test_a_run_that_scored_nothing_leaves_the_form_with_a_reason(data: Path, root: Path) -> None:
    """The address of another kind of run, or of one that is gone."""
    run = made_runs.raw(root).name
    assert "scored nothing" in texts(opened(PAGE, run=run))
    assert "is not here any more" in texts(opened(PAGE, run="20200101-000000-endpoint-gone0000"))
