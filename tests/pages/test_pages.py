"""What each page shows and does, without a browser."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kl_core.jobs import launch
from kl_core.store import runs
from kl_core.store.runs import Status
from tests.pages.conftest import APP, opened, picker, texts
from tests.ui import made_runs


def test_explore_opens_on_the_most_divergent_prompt(root: Path) -> None:
    """Table, figures, text and panel of the first prompt, its highest token in the address."""
    run_dir = made_runs.planted(root)
    app = opened()
    assert app.query_params["prompt"] == "3"
    assert app.query_params["position"] == "5"
    assert app.query_params["run"] == run_dir.name
    assert "14 prompts · 42 responses" in texts(app)


def test_an_address_is_followed_and_what_it_names_wrongly_is_left_out(root: Path) -> None:
    """Numbers open their place; words and giant numbers are ignored without an error."""
    name = made_runs.planted(root).name
    app = opened(run=name, prompt="7", response="2", position="11")
    assert app.query_params["position"] == "11"
    odd = opened(run=name, prompt="x", response="99", position="9999999999999")
    assert odd.query_params["prompt"] == "3" and odd.query_params["position"] == "5"


def test_a_link_to_a_run_that_is_gone_says_so(root: Path) -> None:
    """The page opens another run and does not pretend."""
    made_runs.raw(root)
    app = opened(run="20200101-000000-score-gone0000")
    assert "not here" in texts(app)


def test_choosing_another_run_starts_afresh_there(root: Path) -> None:
    """Prompt and position of the old run do not leak into the new one."""
    made_runs.planted(root)
    raw = made_runs.raw(root)
    app = opened(run=next(p.name for p in runs.run_folders(root) if "made" in p.name), prompt="7")
    picker(app, "Run").set_value(raw.name).run()
    assert app.query_params["run"] == raw.name
    assert app.query_params["measure"] == "surprisal1"
    assert "a second model adds the divergence" in texts(app)


def test_runs_that_look_alike_still_have_labels_of_their_own(root: Path) -> None:
    """Two runs of the same models in the same minute: the picker keeps the one in the link."""
    made_runs.planted(root, prompts=4)
    made_runs.hostile(root)
    for path in runs.run_folders(root):
        app = opened(run=path.name)
        picker(app, "Colour by").set_value("log_ratio").run()
        assert app.query_params["run"] == path.name
        assert len(set(picker(app, "Run").options)) == 2


def test_a_search_that_finds_nothing_says_what_to_do(root: Path) -> None:
    """An empty table is explained."""
    made_runs.planted(root)
    app = opened()
    app.text_input(key="pick_search").set_value("no such words anywhere").run()
    assert "No prompt fits the search" in texts(app)
    next(button for button in app.button if button.key == "table_clear").click().run()
    assert "14 prompts" in texts(app)


def test_without_any_run_the_page_says_what_to_do_next(root: Path) -> None:
    """An empty workspace is an invitation, not an error."""
    assert "Open a directory of responses" in texts(opened())


def test_a_folder_outside_the_allowed_roots_is_refused_with_the_way_out(root: Path) -> None:
    """The message names the folder, the roots, and KL_DATA_ROOTS."""
    app = opened()
    app.text_input(key="open_folder").set_value("/etc").run()
    app.button(key="open_folder_go").click().run()
    assert "outside the folders" in texts(app) and "KL_DATA_ROOTS" in texts(app)


def test_the_runs_page_lists_states_and_offers_what_helps(root: Path) -> None:
    """A dead worker is called dead, and Resume is there."""
    run_dir = made_runs.raw(root)
    runs.write_status(run_dir, Status(state="running", stage="scoring", done=2, total=4, unit="p"))
    app = opened("pages/runs.py")
    assert "without a word" in texts(app)
    assert any(button.label == "Resume" for button in app.button)


def test_a_raw_run_offers_scoring_with_its_folder_filled_in(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder it came from is on the Score page, which shows the command."""
    data = tmp_path / "data"
    data.mkdir()
    monkeypatch.setenv("KL_DATA_ROOTS", str(data))
    app = opened("pages/score.py", input=str(data))
    app.text_input(key="score_model").set_value("some/model").run()
    shown = "\n".join(code.value for code in app.code)
    assert f"python -m kl_core score --input-dir {data}" in shown
    assert "--model some/model" in shown and "--trust-remote-code" not in shown


def test_every_option_of_the_score_form_reaches_the_command(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is set on the page is what the worker is asked."""
    monkeypatch.setenv("KL_DATA_ROOTS", str(tmp_path))
    app = opened("pages/score.py", input=str(tmp_path))
    app.text_input(key="score_model").set_value("m")
    app.number_input(key="score_top_k").set_value(50)
    app.selectbox(key="score_dtype").set_value("bfloat16")
    app.selectbox(key="score_device").set_value("cuda")
    app.text_input(key="score_system").set_value("be brief")
    app.checkbox(key="score_reasoning").set_value(True)
    app.checkbox(key="score_remote").set_value(True)
    app.number_input(key="score_max_prompts").set_value(7)
    app.number_input(key="score_batch").set_value(512)
    app.text_input(key="score_revision").set_value("v2")
    app.text_input(key="score_adapter").set_value("an/adapter")
    app.text_input(key="score_device_map").set_value("auto")
    app.text_input(key="score_output").set_value(str(tmp_path / "out")).run()
    command = app.code[0].value
    for words in (
        "--top-k 50",
        "--dtype bfloat16",
        "--device cuda",
        "--system 'be brief'",
        "--include-reasoning",
        "--trust-remote-code",
        "--max-prompts 7",
        "--batch-tokens 512",
        "--revision v2",
        "--adapter an/adapter",
        "--device-map auto",
        f"--output-dir {tmp_path / 'out'}",
    ):
        assert words in command
    app.selectbox(key="score_template").set_value("raw").run()
    assert "--raw" in app.code[0].value and "--system" not in app.code[0].value


def test_results_are_not_written_outside_the_allowed_folders(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Start stays shut, and the page says where results may go."""
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("KL_DATA_ROOTS", str(tmp_path / "data"))
    app = opened("pages/score.py", input=str(tmp_path / "data"))
    app.text_input(key="score_model").set_value("m")
    app.text_input(key="score_output").set_value("/etc/out").run()
    assert "outside the folders" in texts(app)
    assert next(b for b in app.button if b.label == "Start").disabled


def test_start_carries_one_nonce_until_the_next_intention(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two clicks of one intention ask for the same run; `Score something else` is another."""
    asked: list[str] = []

    def start(kind: str, options: dict[str, object], nonce: str) -> Path:
        asked.append(nonce)
        return made_runs.raw(root) if not runs.run_folders(root) else runs.run_folders(root)[0]

    monkeypatch.setattr(launch, "start", start)
    monkeypatch.setenv("KL_DATA_ROOTS", str(tmp_path))
    app = opened("pages/score.py", input=str(tmp_path))
    app.text_input(key="score_model").set_value("m").run()
    button = next(b for b in app.button if b.label == "Start")
    button.click().run()
    assert not [b for b in app.button if b.label == "Start"]
    next(b for b in app.button if b.label == "Score something else").click().run()
    app.text_input(key="score_model").set_value("m").run()
    next(b for b in app.button if b.label == "Start").click().run()
    assert len(asked) == 2 and asked[0] != asked[1]


def test_the_streamlit_process_never_imports_a_model_library(root: Path) -> None:
    """All pages and the whole ui package load without torch, transformers or google-genai."""
    made_runs.planted(root, prompts=4)
    code = f"""
import sys
from streamlit.testing.v1 import AppTest
from kl_core.ui import sample
from pathlib import Path
sample.folder = lambda: Path("/nonexistent")
app = AppTest.from_file({str(APP)!r}, default_timeout=60).run()
for page in ("pages/runs.py", "pages/score.py", "pages/gemini.py", "pages/sample.py"):
    app.switch_page(page).run()
    assert not app.exception
heavy = {{"torch", "transformers", "google.genai", "openai", "datasets"}} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=APP.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
