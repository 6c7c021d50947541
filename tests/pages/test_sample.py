"""The Sample page without a browser: form, configuration, plan, every state of a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from kl_core.errors import RunError
from kl_core.formats import sampling_config
from kl_core.formats.sampling_config import SamplingConfig
from kl_core.jobs import launch
from kl_core.store import process, runs, spending
from kl_core.ui import sample_demo, sample_plan
from tests import factories
from tests.pages.conftest import opened, picker, texts
from tests.ui import made_runs
from tests.ui.made_calls import STATS
from tests.ui.made_sampled import ADDRESS, MODELS, PLAN, made

PAGE = "pages/sample.py"


@pytest.fixture(autouse=True)
def environment(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home without credentials, and a folder that may be read."""
    monkeypatch.setenv("KL_DATA_ROOTS", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    names = ("GEMINI_API_KEY", "GOOGLE_API_KEY", "OPENROUTER_API_KEY", "OPENAI_API_KEY")
    for name in (*names, "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)


def button(app: AppTest, label: str):
    """The button with a label."""
    return next(each for each in app.button if each.label == label)


def labels(app: AppTest) -> list[str]:
    """Labels of all buttons."""
    return [each.label for each in app.button]


def local(app: AppTest, row: int = 0, name: str = "m") -> AppTest:
    """A row of a server on this machine, which needs no key."""
    app.selectbox(key=f"draw_m{row}.server").set_value("here").run()
    return app.text_input(key=f"draw_m{row}.name").set_value(name).run()


def shown(app: AppTest) -> SamplingConfig:
    """The configuration as the page shows it."""
    return sampling_config.parse_config(app.code[0].value, "the page", from_tokens=False)


def test_what_is_set_is_what_the_configuration_says() -> None:
    """Prompts, model, sampling, and the options of the command, as typed."""
    app = local(opened(PAGE))
    app.text_area(key="draw_texts").set_value("One?\n\nTwo <b>?</b>\n")
    app.text_area(key="draw_system").set_value("Be brief.")
    app.number_input(key="draw_samples").set_value(4)
    app.number_input(key="draw_max_tokens").set_value(32)
    app.number_input(key="draw_temperature").set_value(0.5)
    app.number_input(key="draw_top_p").set_value(0.9)
    app.number_input(key="draw_top_logprobs").set_value(5)
    app.number_input(key="draw_seed").set_value(7)
    app.number_input(key="draw_max_concurrent").set_value(9)
    app.number_input(key="draw_timeout").set_value(30.0)
    app.checkbox(key="draw_overwrite").set_value(True).run()
    config = shown(app)
    assert config.prompts is not None and config.prompts.texts == ("One?", "Two <b>?</b>")
    assert config.prompts.system == "Be brief." and config.samples == 4
    assert (config.max_tokens, config.temperature, config.top_p) == (32, 0.5, 0.9)
    assert (config.top_logprobs, config.seed) == (5, 7)
    assert config.models[0].base_url == "http://127.0.0.1:8000/v1"
    assert "uploads/sampled-" in config.output_dir
    command = app.code[1].value
    assert command.startswith("python -m kl_core sample --config sample.yaml")
    assert "--max-concurrent 9" in command and "--overwrite" in command
    assert "--timeout 30" in command and not button(app, "Probe and estimate").disabled
    assert "2 prompts will be asked." in texts(app) and "Two <b>?</b>" not in texts(app)


def test_models_are_added_and_removed_without_mixing_up_their_fields() -> None:
    """The second row keeps what it had when the first one goes."""
    app = local(opened(PAGE))
    app.text_area(key="draw_texts").set_value("One?").run()
    button(app, "Add a model").click().run()
    assert app.selectbox(key="draw_m1.server").value == "here"  # asked where the first one is
    app.text_input(key="draw_m1.name").set_value("second").run()
    assert [model.name for model in shown(app).models] == ["m", "second"]
    app.button(key="sample_remove_0").click().run()
    assert [model.name for model in shown(app).models] == ["second"]
    button(app, "Add a model").click().run()
    assert app.text_input(key="draw_m2.name").value == ""


def test_what_cannot_be_meant_is_said_at_its_field_and_nothing_starts() -> None:
    """Addresses, folders, files; an unusable configuration is not shown for saving."""
    app = opened(PAGE, prompts="file")
    app.selectbox(key="draw_m0.server").set_value("other").run()
    app.text_input(key="draw_m0.base_url").set_value("http://example.com/v1")
    app.text_input(key="draw_m0.name").set_value("m")
    app.text_input(key="draw_file").set_value("/etc/passwd")
    app.text_input(key="draw_output_dir").set_value("/etc/out").run()
    said = texts(app)
    assert "use https" in said and said.count("outside the folders") >= 2
    assert button(app, "Probe and estimate").disabled and not app.code


def test_a_key_is_named_and_never_shown_or_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page knows which variable holds a key; a key typed in its place goes no further."""
    app = opened(PAGE)
    app.text_area(key="draw_texts").set_value("One?")
    app.text_input(key="draw_m0.name").set_value("org/m").run()
    assert "Set OPENROUTER\\_API\\_KEY" in texts(app) and not app.code
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-very-secret")
    app.run()
    assert "OPENROUTER\\_API\\_KEY is set" in texts(app) and "very-secret" not in texts(app)
    assert "very-secret" not in app.code[0].value
    app.text_input(key="draw_m0.key_env").set_value("sk-or-typed-by-mistake").run()
    assert not app.code and button(app, "Probe and estimate").disabled
    assert "by-mistake" not in texts(app)


def test_an_empty_page_asks_for_a_name_before_it_speaks_of_keys() -> None:
    """No error greets the reader; of several models the missing variable is said once."""
    app = opened(PAGE)
    assert "OPENROUTER\\_API\\_KEY is not set yet" in texts(app)
    assert ":red[" not in texts(app) and "set OPENROUTER" not in texts(app)
    app.text_input(key="draw_m0.name").set_value("org/a").run()
    button(app, "Add a model").click().run()
    app.text_input(key="draw_m1.name").set_value("org/b").run()
    said = texts(app)
    assert "models 1–2: set OPENROUTER\\_API\\_KEY" in said
    assert said.count(":red[") == 1 and "model 2: set" not in said


def test_a_column_that_is_not_there_is_said_at_its_field_and_below(tmp_path: Path) -> None:
    """With the columns there are, and without the option's name."""
    path = tmp_path / "p.csv"
    path.write_text("question,id\nWhat?,1\nWho?,2\n")
    app = local(opened(PAGE, prompts="file"))
    app.text_input(key="draw_file").set_value(str(path)).run()
    said = texts(app)
    columns = "he file has no column 'prompt'; its columns are question, id: name one of them with"
    assert f"T{columns} “Field of the prompt”" in said and f"First: t{columns}" in said
    assert "prompts.field" not in said and button(app, "Probe and estimate").disabled
    app.text_input(key="draw_field").set_value("question").run()
    assert "2 prompts will be asked" in texts(app)
    assert not button(app, "Probe and estimate").disabled


def test_the_file_of_the_form_comes_back_with_the_address(tmp_path: Path) -> None:
    """A reload of the browser has the address alone; other ways name no file."""
    path = tmp_path / "p.csv"
    path.write_text("question\nWhat?\n")
    app = opened(PAGE, prompts="file")
    app.text_input(key="draw_file").set_value(str(path))
    app.text_input(key="draw_field").set_value("question").run()
    address = dict(app.query_params)
    assert address["input"] in (str(path), [str(path)])
    again = opened(PAGE, prompts="file", input=str(path), field="question")
    assert again.text_input(key="draw_file").value == str(path)
    assert "1 prompt will be asked" in texts(again) and "1. What?" in texts(again)
    picked = again.segmented_control if hasattr(again, "segmented_control") else again.button_group
    picked[0].set_value("write").run()
    assert "input" not in again.query_params


def test_a_local_file_is_previewed_with_what_cannot_be_used(tmp_path: Path) -> None:
    """The first prompts and the bad records, before anything is started."""
    path = tmp_path / "p.jsonl"
    path.write_text('{"q": {"text": "What is <i>this</i>?"}}\nno json\n{"q": {"text": "two"}}\n')
    app = local(opened(PAGE, prompts="file"))
    app.text_input(key="draw_file").set_value(str(path))
    app.text_input(key="draw_field").set_value("q.text").run()
    assert "2 prompts will be asked" in texts(app) and "1. What is <i>this</i>?" in texts(app)
    assert "p.jsonl" in texts(app)
    source = shown(app).prompts
    assert source is not None and source.file == str(path) and source.field == "q.text"


def test_a_data_set_has_its_own_fields_and_is_not_read_by_the_page() -> None:
    """Subset, split and filters reach the configuration; the hub is asked by the worker alone."""
    app = local(opened(PAGE, prompts="dataset"))
    app.text_input(key="draw_dataset").set_value("owner/name")
    app.text_input(key="draw_subset").set_value("en")
    app.text_input(key="draw_split").set_value("test")
    app.text_input(key="draw_field").set_value("conversation[0].content")
    app.text_input(key="draw_language").set_value("English")
    app.number_input(key="draw_count").set_value(50)
    picker(app, "Which").set_value("random").run()
    app.number_input(key="draw_draw_seed").set_value(3).run()
    source = shown(app).prompts
    assert source is not None and source.dataset == "owner/name" and source.split == "test"
    assert (source.subset, source.language, source.count) == ("en", "English", 50)
    assert (source.select, source.seed) == ("random", 3)
    assert "read when the run starts" in texts(app)


def test_a_click_writes_the_configuration_and_starts_one_run(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker gets a file among the uploads; the address names the run; two clicks are one."""
    asked: list[tuple[str, dict[str, object], str]] = []

    def start(kind: str, options: dict[str, object], nonce: str) -> Path:
        asked.append((kind, options, nonce))
        return made(root, "starting", plan=None, models=[]) if len(asked) == 1 else first()

    def first() -> Path:
        return runs.run_folders(root)[0]

    monkeypatch.setattr(launch, "start", start)
    app = local(opened(PAGE))
    app.text_area(key="draw_texts").set_value("One?").run()
    config = shown(app)
    button(app, "Probe and estimate").click().run()
    assert app.query_params["run"] == first().name and asked[0][0] == "sample"
    path = Path(str(asked[0][1]["config"]))
    assert path.parent == root.parent / "uploads" / "configs"
    assert sampling_config.read_config(path) == config
    assert "yes" not in asked[0][1] and "Starting the worker" in texts(app)


def test_what_was_typed_just_before_the_click_is_what_is_started(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A click may arrive together with the last field, before the page was drawn again."""
    asked: list[Path] = []

    def start(kind: str, options: dict[str, object], nonce: str) -> Path:
        asked.append(Path(str(options["config"])))
        return made(root, "starting", plan=None, models=[])

    monkeypatch.setattr(launch, "start", start)
    app = local(opened(PAGE))
    app.text_area(key="draw_texts").set_value("One?").run()
    app.text_input(key="draw_m0.name").set_value(" the-other ")
    app.number_input(key="draw_samples").set_value(5)
    button(app, "Probe and estimate").click().run()
    config = sampling_config.read_config(asked[0])
    assert config.models[0].name == "the-other" and config.samples == 5
    again = local(opened(PAGE))
    again.text_area(key="draw_texts").set_value("One?").run()
    again.text_area(key="draw_texts").set_value("")
    button(again, "Probe and estimate").click().run()
    assert len(asked) == 1 and "First: write the prompts" in texts(again)


def test_a_folder_that_a_run_has_written_to_is_not_offered_again() -> None:
    """The next run gets a folder of its own, so that two runs never mix their files."""
    app = local(opened(PAGE))
    app.text_area(key="draw_texts").set_value("One?").run()
    first = shown(app).output_dir
    app.run()
    assert shown(app).output_dir == first
    (runs.REPOSITORY / first).mkdir(parents=True)
    app.run()
    assert shown(app).output_dir != first


def test_the_demo_fills_the_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prompts, two models, no key; and it says that it is a demo."""
    monkeypatch.setattr(launch, "demo_server", lambda: ADDRESS)
    monkeypatch.setattr(launch, "last_demo_address", lambda: ADDRESS)
    app = opened(PAGE)
    button(app, "Try it on the demo server").click().run()
    config = shown(app)
    assert [model.name for model in config.models] == ["tiny-base", "tiny-tuned"]
    assert {model.base_url for model in config.models} == {f"{ADDRESS}/v1"}
    assert "This is a demo" in texts(app) and not button(app, "Probe and estimate").disabled


def test_a_demo_server_that_cannot_start_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is on the page, the form stays."""

    def broken() -> str:
        raise RunError("port 1 is taken; end what holds it")

    monkeypatch.setattr(launch, "demo_server", broken)
    app = opened(PAGE)
    button(app, "Try it on the demo server").click().run()
    assert "The demo server did not start: port 1 is taken" in texts(app)


def test_a_plan_waits_for_one_yes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures and warnings as text; two clicks of the yes are one."""
    confirmed: list[Path] = []

    def confirm(run_dir: Path) -> None:
        confirmed.append(run_dir)
        runs.write_status(run_dir, replace(runs.read_status(run_dir), state="starting"))

    monkeypatch.setattr(launch, "confirm", confirm)
    run_dir = made(root, "waiting")
    app = opened(PAGE, run=run_dir.name)
    assert {each.label: each.value for each in app.metric}["Calls"] == "34"
    assert "Careful: X gave no log-probabilities for <b>m</b> $1 and $2." in texts(app)
    button(app, "Start: it costs nothing").click().run()
    assert "Starting the worker" in texts(app)
    sample_plan._confirm(run_dir, sample_plan.Asked())  # a click that was under way
    assert confirmed == [run_dir]


def test_an_unknown_price_needs_a_tick_before_the_yes(root: Path) -> None:
    """Nobody spends an unknown sum by one click."""
    config = sample_demo.config("https://example.org")
    run_dir = made(root, "waiting", plan=replace(PLAN, cost=None), config=config)
    app = opened(PAGE, run=run_dir.name)
    assert button(app, "Start").disabled
    app.checkbox(key=f"sample_unknown_{run_dir.name}").check().run()
    assert not button(app, "Start").disabled


def test_changing_the_settings_keeps_them_and_takes_a_new_folder(root: Path) -> None:
    """Also in a session that did not ask; a folder the page had named is not filled twice."""
    app = opened(PAGE, run=made(root, "waiting").name)
    button(app, "Change settings").click().run()
    assert "run" not in app.query_params
    config = shown(app)
    assert config.prompts is not None and config.prompts.texts == sample_demo.PROMPTS
    assert len(config.models) == 2 and not config.output_dir.endswith("sampled-20260101")
    assert "--max-concurrent 7" in app.code[1].value


def test_a_working_run_shows_its_calls_and_the_table(root: Path) -> None:
    """Counts, rate and limiter from the calls, figures by model from what is on disk."""
    run_dir = made(
        root, "running", confirmed=True, stage="sampling", done=20, total=34, unit="calls",
        rate=5.0, eta_s=3.0,
    )  # fmt: skip
    spending.write_stats(run_dir, replace(STATS, reused=0, cost=0.0))
    with process.claim(run_dir):
        app = opened(PAGE, run=run_dir.name)
    said = texts(app)
    assert "Sampling" in said and "20 of 34 calls" in said and "limiter allows 20" in said
    assert "2 given up: their responses are missing" in said and "Cancel" in labels(app)
    assert "5 of 17 responses of provider X came without log-probabilities" in said
    table = app.dataframe[0].value
    assert list(table["responses"]) == ["18 of 18", "17 of 18"]
    assert list(table["kept from before"]) == ["3", "0"]


def test_a_finished_run_leads_on(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Explore, scoring either way, and the comparison that needs no call."""
    started: list[tuple[str, dict[str, object]]] = []

    comparison = made_runs.raw(root)

    def start(kind: str, options: dict[str, object], nonce: str) -> Path:
        started.append((kind, options))
        return comparison

    monkeypatch.setattr(launch, "start", start)
    run_dir = made(root, "done", confirmed=True, entries=(factories.entry(1),))
    app = opened(PAGE, run=run_dir.name)
    for label in ("Open in Explore", "Score with a local model", "Score by a server"):
        assert label in labels(app)
    out = root.parent / "uploads" / "sampled-20260101"
    button(app, "Compare for free").click().run()
    assert started == [
        ("import", {"input_dir": str(out / "tiny-base"), "against": str(out / "tiny-tuned")})
    ]
    assert app.query_params["run"] == comparison.name  # Explore's now, and Back brings it here
    app.switch_page(PAGE)
    app.query_params["run"] = comparison.name
    app.run()
    assert "Compare for free" in labels(app) and "did not sample" not in texts(app)
    again = opened(PAGE, run=run_dir.name)
    button(again, "Sample something else").click().run()
    assert shown(again).samples == 3


def test_a_failed_run_says_why_and_offers_both_ways_on(root: Path) -> None:
    """The worker's sentence as text, another try, and the settings."""
    reason = "tiny-base could not be asked: <b>the key</b> was refused; check --base-url"
    app = opened(PAGE, run=made(root, "failed", plan=None, models=[], error=reason).name)
    assert reason.replace("--base-url", "Base URL") in texts(
        app
    ) and "No model could be sampled" in texts(app)
    assert "Change settings" in labels(app) and "Probe again" in labels(app)
    assert "Open in Explore" not in labels(app)


def test_a_model_that_could_not_be_asked_is_marked_in_the_table(root: Path) -> None:
    """It has not zero failures, and what the others brought is kept."""
    none = replace(MODELS[1], prompts=0, responses=0, failed=0, without_logprobs={})
    error = "tiny-tuned could not be asked: no; what came of the others is kept, and so on"
    run_dir = made(root, "failed", confirmed=True, models=[MODELS[0], none], error=error)
    app = opened(PAGE, run=run_dir.name)
    assert list(app.dataframe[0].value["failed"]) == ["0", "could not be asked"]
    assert "What came of the others is kept" in texts(app)


def test_the_card_at_the_end_counts_responses_as_the_table_does(root: Path) -> None:
    """Files of all models are neither prompts nor responses."""
    run_dir = made(root, "done", confirmed=True, stage="done", done=12, total=12, unit="files")
    said = texts(opened(PAGE, run=run_dir.name))
    assert "35 of 36 responses" in said and "12 of 12" not in said


def test_an_address_of_another_run_leads_to_the_form(root: Path) -> None:
    """The page says why the run is not shown."""
    app = opened(PAGE, run="20200101-000000-sample-gone")
    assert "is not here any more" in texts(app) and "Probe and estimate" in labels(app)
