"""The Gemini page without a browser: the form, the plan and its yes, every state of a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from kl_core.errors import RunError
from kl_core.jobs import launch
from kl_core.store import process, runs, spending
from kl_core.store.runs import Status
from kl_core.ui import gemini_plan, responses_choice
from tests import factories
from tests.pages.conftest import opened, picker, texts
from tests.ui import made_runs
from tests.ui.made_calls import JOBS, PLAN, STATS, made

PAGE = "pages/gemini.py"


@pytest.fixture
def data(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of responses that may be read, and no credentials."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("KL_DATA_ROOTS", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_APPLICATION_CREDENTIALS"):
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


def written(app: AppTest) -> str:
    """Texts, captions, the figures of a plan and the buttons."""
    return "\n".join([texts(app), *metrics(app).values(), *labels(app)])


def test_every_option_of_the_online_form_reaches_the_command(data: Path) -> None:
    """What is set is what the worker is asked; what is left alone is left out."""
    app = opened(PAGE, input=str(data))
    app.text_input(key="ask_model2").set_value("some-model").run()
    plain = f"python -m kl_core prefill --input-dir {data} --model2 some-model"
    assert app.code[0].value == plain
    app.text_input(key="ask_project_id").set_value("my-project")
    app.text_input(key="ask_location").set_value("europe-west4")
    app.slider(key="ask_budget").set_value(20)
    app.number_input(key="ask_top_prompts").set_value(7)
    app.number_input(key="ask_max_concurrent").set_value(64)
    app.number_input(key="ask_rate_limit").set_value(12.5)
    app.number_input(key="ask_max_retries").set_value(3)
    app.number_input(key="ask_top_logprobs").set_value(5)
    app.number_input(key="ask_max_files").set_value(9)
    app.number_input(key="ask_seed").set_value(4)
    app.text_input(key="ask_pattern").set_value("*.json")
    app.text_input(key="ask_output_dir").set_value(str(data / "out"))
    app.text_input(key="ask_base_url").set_value("https://api.example")
    app.checkbox(key="ask_reuse").set_value(True)
    app.number_input(key="ask_input_price").set_value(0.3)
    app.number_input(key="ask_output_price").set_value(2.5).run()
    command = app.code[0].value
    for words in (
        "--project-id my-project",
        "--location europe-west4",
        "--budget 0.2",
        "--top-prompts 7",
        "--max-concurrent 64",
        "--rate-limit 12.5",
        "--max-retries 3",
        "--top-logprobs 5",
        "--max-files 9",
        "--seed 4",
        "--pattern '*.json'",
        f"--output-dir {data / 'out'}",
        "--base-url https://api.example",
        "--reuse",
        "--input-price 0.3",
        "--output-price 2.5",
    ):
        assert words in command
    assert "--yes" not in command


def test_the_batch_form_has_its_own_options_and_keeps_what_both_share(data: Path) -> None:
    """Going from online to batch keeps the model; the bucket's default names the project."""
    app = opened(PAGE, input=str(data))
    app.text_input(key="ask_model2").set_value("some-model")
    app.slider(key="ask_budget").set_value(20).run()
    app.button_group(key="gemini_mode").set_value("batch").run()
    assert app.query_params["mode"] == "batch"
    assert "a batch runs in a Google Cloud project" in texts(app)
    assert button(app, "Probe and estimate").disabled
    app.text_input(key="ask_project_id").set_value("my-project").run()
    assert app.text_input(key="ask_bucket_name").placeholder == "my-project-kl-batch"
    app.text_input(key="ask_bucket_name").set_value("a-bucket")
    app.checkbox(key="ask_cleanup").set_value(True)
    app.text_input(key="ask_storage_url").set_value("http://127.0.0.1:9").run()
    command = app.code[0].value
    assert "batch --input-dir" in command and "--model2 some-model" in command
    assert "--bucket-name a-bucket" in command and "--cleanup" in command
    assert "--storage-url http://127.0.0.1:9" in command
    assert "--budget 0.2" in command
    app.button_group(key="gemini_mode").set_value("online").run()
    assert "--budget 0.2" in app.code[0].value


def test_what_cannot_be_meant_is_said_beside_its_field_and_nothing_starts(data: Path) -> None:
    """Addresses, names and folders are checked before a worker is started."""
    app = opened(PAGE, input=str(data))
    app.text_input(key="ask_model2").set_value("a model")
    app.text_input(key="ask_base_url").set_value("http://example.com")
    app.text_input(key="ask_output_dir").set_value("/etc/out").run()
    said = texts(app)
    assert "without spaces" in said and "use https" in said and "outside the folders" in said
    assert button(app, "Probe and estimate").disabled


def test_credentials_are_named_and_never_shown(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page knows where a key is, not what it is; there is no field for one."""
    app = opened(PAGE, input=str(data))
    assert "First: " in texts(app) and "type a project id to use Vertex AI" in texts(app)
    app.text_input(key="ask_model2").set_value("some-model").run()
    assert button(app, "Probe and estimate").disabled
    monkeypatch.setenv("GEMINI_API_KEY", "AIza-very-secret")
    app.run()
    assert "A key was found in GEMINI" in texts(app) and "First: " not in texts(app)
    assert not button(app, "Probe and estimate").disabled
    app.text_input(key="ask_project_id").set_value("my-project").run()
    assert not button(app, "Probe and estimate").disabled  # there may be a service account
    assert "gcloud auth application-default login" in texts(app)
    seen = [*app.text_input, *app.code, *app.text, *app.caption]
    assert not any("very-secret" in str(each.value) for each in seen)
    assert not any("key" in field.label.lower() for field in app.text_input)


def test_a_probe_starts_once_and_the_address_finds_it_again(
    data: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second click on the same button asks for the same run; the address names it."""
    asked: list[tuple[str, dict[str, object], str]] = []

    def start(kind: str, options: dict[str, object], nonce: str) -> Path:
        asked.append((kind, options, nonce))
        return made(root, "starting", plan=None) if len(asked) == 1 else runs.run_folders(root)[0]

    monkeypatch.setattr(launch, "start", start)
    monkeypatch.setenv("GEMINI_API_KEY", "AIza-very-secret")
    app = opened(PAGE, input=str(data))
    app.text_input(key="ask_model2").set_value("some-model").run()
    probe = button(app, "Probe and estimate")
    probe.click().run()
    run = runs.run_folders(root)[0].name
    assert app.query_params["run"] == run
    assert "yes" not in asked[0][1] and asked[0][0] == "prefill"
    again = opened(PAGE, run=run)
    assert "Starting the worker" in texts(again)
    twice = opened(PAGE, input=str(data))
    for key in ("gemini_nonce", "gemini_last"):
        twice.session_state[key] = app.session_state[key]
    twice.text_input(key="ask_model2").set_value("some-model").run()
    button(twice, "Probe and estimate").click().run()
    assert asked[0][2] == asked[1][2]


def test_the_demo_server_fills_the_form(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sample responses, the tiny model and both addresses, in either mode, and it says demo."""
    monkeypatch.setattr(launch, "demo_server", lambda: "http://127.0.0.1:4321", raising=False)
    monkeypatch.setattr(launch, "last_demo_address", lambda: "http://127.0.0.1:4321")
    app = opened(PAGE)
    button(app, "Try it on the demo server").click().run()
    command = app.code[0].value
    assert f"--input-dir {responses_choice.SAMPLE}" in command
    assert "--model2 tiny-tuned" in command and "--base-url http://127.0.0.1:4321" in command
    assert "This is a demo" in texts(app) and "costs nothing" in texts(app)
    assert not button(app, "Probe and estimate").disabled
    app.button_group(key="gemini_mode").set_value("batch").run()
    assert "--project-id demo" in app.code[0].value
    assert "--storage-url http://127.0.0.1:4321" in app.code[0].value


def test_a_demo_server_that_cannot_start_says_so(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason is on the page, the form stays."""

    def broken() -> str:
        raise RunError("port 1 is taken; end what holds it")

    monkeypatch.setattr(launch, "demo_server", broken, raising=False)
    app = opened(PAGE)
    button(app, "Try it on the demo server").click().run()
    assert "The demo server did not start: port 1 is taken" in texts(app)


def test_responses_may_be_those_of_a_run(data: Path, root: Path) -> None:
    """A run's folder is offered by the run's name."""
    made(root, "done", options={"input_dir": str(data)})
    made_runs.raw(root)
    params = runs.run_folders(root)
    runs.update_params(params[0], request={"input_dir": str(data)})
    app = opened(PAGE)
    picker(app, "Responses from").set_value(responses_choice.A_RUN).run()
    button(app, "Use these responses").click().run()
    assert f"Responses: {data}" in texts(app) or f"Responses: {root}" in texts(app)


def test_a_plan_shows_what_it_takes_and_one_yes_starts_it_once(
    data: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls, tokens, money, time and warnings; two clicks of the yes are one."""
    confirmed: list[Path] = []

    def confirm(run_dir: Path) -> None:
        confirmed.append(run_dir)
        runs.write_status(run_dir, replace(runs.read_status(run_dir), state="starting"))

    monkeypatch.setattr(launch, "confirm", confirm)
    run_dir = made(root, "waiting")
    app = opened(PAGE, run=run_dir.name)
    figures = metrics(app)
    assert figures["Calls"] == "3,900" and figures["Output tokens"] == "3,900"
    assert figures["Cost"] == "≈ \\$0.38" and figures["Time"] == "41 s or more"
    said = texts(app)
    assert "some-model-001 answered, in 520 ms" in said
    assert "2025-10-01" in said and "<b>x</b> $1 and $2" in said
    yes = button(app, "Spend about \\$0.38: start")
    yes.click().run()
    assert "Starting the worker" in texts(app)
    gemini_plan._confirm(run_dir, PLAN)  # a click that was under way
    assert confirmed == [run_dir]


def test_changed_prices_change_the_cost_and_what_is_agreed_to(
    data: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan on disk has the prices that were on the page at the yes."""
    monkeypatch.setattr(launch, "confirm", spending.confirm)
    run_dir = made(root, "waiting")
    app = opened(PAGE, run=run_dir.name)
    prices = [each for each in app.number_input if "per million" in each.label]
    prices[0].set_value(3.0).run()
    assert "Spend about \\$3.73: start" in labels(app) and "as you typed" in texts(app)
    button(app, "Spend about \\$3.73: start").click().run()
    agreed = spending.read_plan(run_dir)
    assert agreed is not None and agreed.price_input == 3.0 and agreed.price_output == 2.5
    assert agreed.cost == pytest.approx(3.72975) and spending.is_confirmed(run_dir)
    settings = runs.read_params(run_dir)["settings"]
    assert settings == {"input_price": 3.0, "output_price": 2.5}  # what resuming reckons with


def test_an_unknown_price_has_to_be_entered_before_the_yes(data: Path, root: Path) -> None:
    """Nobody spends an unknown sum by a click."""
    plan = replace(PLAN, cost=None, price_input=None, price_output=None, price_date="")
    app = opened(PAGE, run=made(root, "waiting", plan=plan).name)
    assert "not known: enter it" in texts(app)
    assert button(app, "Enter the prices to start").disabled
    prices = [each for each in app.number_input if "per million" in each.label]
    prices[0].set_value(0.0)
    prices[1].set_value(0.0).run()
    assert not button(app, "Start: it costs nothing").disabled


def test_changing_the_settings_keeps_them(data: Path, root: Path) -> None:
    """The form comes back as the run was asked, also in a session that did not ask it."""
    options = {"input_dir": str(data), "budget": 0.2, "max_retries": 3, "reuse": True}
    app = opened(PAGE, run=made(root, "waiting", options=options).name)
    button(app, "Change settings").click().run()
    assert "run" not in app.query_params
    command = app.code[0].value
    for words in (
        f"--input-dir {data}",
        "--model2 some-model",
        "--project-id my-project",
        "--budget 0.2",
        "--max-retries 3",
        "--reuse",
    ):
        assert words in command


def test_a_refused_probe_says_why_and_lets_people_try_again(data: Path, root: Path) -> None:
    """One sentence of the worker, and the way back to the settings."""
    reason = "some-model gives no log-probabilities; choose a model that does"
    app = opened(PAGE, run=made(root, "failed", plan=None, error=reason).name)
    assert reason in texts(app) and "nothing else was asked" in texts(app)
    assert "Change settings" in labels(app) and "Probe again" in labels(app)
    assert "Open in Explore" not in labels(app)


def test_a_working_run_tells_how_its_calls_go(data: Path, root: Path) -> None:
    """Counts, rate, limiter, errors by kind, money; Cancel and Explore are there."""
    run_dir = made(
        root, "running", stats=STATS, confirmed=True, stage="asking", done=1204, total=3900,
        unit="calls", eta_s=65.0, rate=40.1,
    )  # fmt: skip
    with process.claim(run_dir):
        app = opened(PAGE, run=run_dir.name)
    said = texts(app)
    for part in (
        "Asking some-model",
        "40.1 calls a second",
        "1,204 of 3,900 calls",
        "65 s left",
        "30 taken from finished runs",
        "2 given up",
        "18 under way, limiter allows 20 (at most 50)",
        "12 calls repeated · errors: 429 × 8, timeout × 4",
        "0.04 of about",
    ):
        assert part in said
    assert "Cancel" in labels(app) and "Open in Explore" not in labels(app)  # nothing finished
    assert "Change settings" not in labels(app)


def test_a_server_of_this_machine_is_free_whatever_was_typed(data: Path, root: Path) -> None:
    """No fields for prices, no sum on the button; what was typed is only reckoned."""
    local = {"base_url": "http://127.0.0.1:4321", "input_price": 0.3, "output_price": 2.5}
    app = opened(PAGE, run=made(root, "waiting", options=local).name)
    assert not app.number_input
    assert "nothing is charged. At the prices you typed it would be about \\$0.38." in texts(app)
    assert metrics(app)["Cost"] == "\\$0" and "Start: it costs nothing" in labels(app)
    assert "72 hours" not in texts(app)


def test_a_run_asked_to_stop_says_so_until_it_has(data: Path, root: Path) -> None:
    """One click; the button has nothing more to do."""
    run_dir = made(root, "running", stats=STATS, confirmed=True, stage="asking", unit="calls")
    with process.claim(run_dir):
        app = opened(PAGE, run=run_dir.name)
        button(app, "Cancel").click().run()
        assert "Stopping …" in texts(app) and button(app, "Cancel").disabled
        app = opened(run=run_dir.name)  # and on Explore, in its one line
    assert "Stopping …" in texts(app) and button(app, "Cancel").disabled


def test_explore_tells_a_live_run_in_one_line(data: Path, root: Path) -> None:
    """State, count and time left; the rest is folded."""
    run_dir = made(
        root, "running", stats=STATS, confirmed=True, stage="asking", done=1204, total=3900,
        unit="calls", eta_s=65.0, rate=40.1,
    )  # fmt: skip
    with process.claim(run_dir):
        app = opened(run=run_dir.name)
    assert "Asking some-model-001 · 1,204 of 3,900 calls · 65 s left" in texts(app)
    runs.write_status(run_dir, Status(state="cancelled"))
    assert "Cancelled (1,204 calls). Nothing was finished yet" in texts(opened(run=run_dir.name))


def test_resuming_starts_the_demo_server_of_the_run_again(
    data: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only where the run asks the demo server; a port that was taken is said."""
    url, done = "http://127.0.0.1:4321", []
    monkeypatch.setattr(launch, "last_demo_address", lambda: url)
    monkeypatch.setattr(launch, "demo_server", lambda: done.append("server") or url)
    monkeypatch.setattr(launch, "resume", lambda run_dir: done.append(run_dir.name))
    for number, address in enumerate(("http://127.0.0.1:9", url)):
        short = f"calls00{number}"
        run_dir = made(
            root, "cancelled", confirmed=True, options={"base_url": address}, short=short
        )
        button(opened(PAGE, run=run_dir.name), "Resume").click().run()
    names = [each.name for each in reversed(runs.run_folders(root))]
    assert sorted(done[:1] + done[2:]) == sorted(names) and done[1] == "server"
    monkeypatch.setattr(launch, "demo_server", lambda: "http://127.0.0.1:5000")
    app = opened(PAGE, run=run_dir.name)
    button(app, "Resume").click().run()
    assert "is now at http://127.0.0.1:5000" in texts(app)


def test_a_batch_lists_its_jobs(data: Path, root: Path) -> None:
    """Each job with its state and counts."""
    plan = replace(PLAN, mode="batch", seconds=None)
    stats = replace(STATS, jobs=JOBS, limit=None, rate=None)
    run_dir = made(root, "running", kind="batch", plan=plan, stats=stats, confirmed=True)
    with process.claim(run_dir):
        app = opened(PAGE, run=run_dir.name)
    table = app.dataframe[0].value
    assert list(table["state"]) == ["running", "queued"]
    assert list(table["requests"]) == ["3,000", "900"]
    assert texts(app).startswith("Batch: some-model")


@pytest.mark.parametrize(
    ("state", "word"), [("cancelled", "Cancelled"), ("died", "without a word")]
)
def test_an_ended_run_can_be_resumed(data: Path, root: Path, state: str, word: str) -> None:
    """What is finished is kept and can be looked at; Resume goes on."""
    entries = [factories.entry(0)]
    run_dir = made(root, "running" if state == "died" else state, confirmed=True, entries=entries)
    app = opened(PAGE, run=run_dir.name)
    assert word in texts(app)
    assert {"Resume", "Open in Explore", "Change settings"} <= set(labels(app))


def test_a_finished_run_leads_to_explore(data: Path, root: Path) -> None:
    """The last figures stay, and the next question is one click away."""
    run_dir = made(root, "done", stats=STATS, confirmed=True, entries=[factories.entry(0)])
    app = opened(PAGE, run=run_dir.name)
    assert "Done" in texts(app) and "1,204 calls answered" in texts(app)
    assert {"Open in Explore", "Ask something else"} <= set(labels(app))


def test_an_address_of_another_run_says_so(data: Path, root: Path) -> None:
    """A run that is gone, and one of another kind, leave the form with a sentence."""
    assert "not here any more" in texts(opened(PAGE, run="20200101-000000-prefill-gone0000"))
    other = made_runs.raw(root).name
    assert "did not ask Gemini" in texts(opened(PAGE, run=other))


def test_a_waiting_run_leads_from_the_other_pages_to_its_plan(data: Path, root: Path) -> None:
    """Runs and Explore say what it waits for, and have the way there."""
    run_dir = made(root, "waiting")
    for app in (opened("pages/runs.py"), opened(run=run_dir.name)):
        assert "Waiting for your yes" in texts(app)
        assert "See the plan" in labels(app)


def test_hostile_words_of_a_server_stay_words(data: Path, root: Path) -> None:
    """Warnings and kinds of errors are text: no markup, no picture, no formula."""
    stats = replace(STATS, errors={"![x](http://z/w) $a$": 3})
    run_dir = made(root, "cancelled", stats=stats, confirmed=True, message="")
    app = opened(PAGE, run=run_dir.name)
    for each in (*app.markdown, *app.caption):
        assert "![" not in str(each.value)
    waiting = opened(PAGE, run=made(root, "waiting", short="calls002").name)
    for each in (*waiting.markdown, *waiting.caption):
        assert "![" not in str(each.value) and "<b>x" not in str(each.value)


def test_the_status_of_a_run_that_waits_is_at_rest() -> None:
    """Nothing polls for a person's yes."""
    assert not Status(state="waiting").active
