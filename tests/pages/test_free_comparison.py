"""A free comparison on the Explore page, and the form that starts one."""

from __future__ import annotations

from pathlib import Path

import pytest

from kl_core.jobs import launch, worker
from tests.jobs.test_import_against import pair, start
from tests.pages.conftest import opened, picker, texts


def test_a_run_says_what_is_shared_where_its_figures_stand(root: Path, tmp_path: Path) -> None:
    """Caption, label of the run, and the tokens of the response."""
    run_dir, work = start(root, *pair(tmp_path))
    worker.carry_out(run_dir, work)
    app = opened(run=run_dir.name)
    assert "12 of 19 positions are shared (12 distinct contexts)" in texts(app)
    assert "free comparison" in picker(app, "Run").options[0]


def test_the_form_starts_an_import_with_both_folders(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second folder is asked for on request, and refused where it may not be read."""
    folder, against = pair(tmp_path / "data")
    monkeypatch.setenv("KL_DATA_ROOTS", str(tmp_path / "data"))
    asked = []

    def begin(kind, options, nonce):
        asked.append((kind, options))
        run_dir, work = start(root, folder, against)
        worker.carry_out(run_dir, work)
        return run_dir

    monkeypatch.setattr(launch, "start", begin)
    app = opened()
    app.text_input(key="open_folder").set_value(str(folder)).run()
    app.checkbox(key="open_against").check().run()
    assert app.button(key="open_folder_go").disabled
    app.text_input(key="open_second_folder").set_value("/etc").run()
    app.button(key="open_folder_go").click().run()
    assert "outside the folders" in texts(app) and not asked
    app.text_input(key="open_second_folder").set_value(str(against)).run()
    assert app.button(key="open_folder_go").label == "Compare"
    app.button(key="open_folder_go").click().run()
    assert asked == [("import", {"input_dir": str(folder), "against": str(against)})]
    assert "positions are shared" in texts(app)
