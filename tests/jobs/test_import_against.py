"""Two folders of saved responses as one run, without a call."""

from __future__ import annotations

import json

import pytest

from kl_core.errors import InputError, RunCancelled, RunError
from kl_core.jobs import again, import_run, worker
from kl_core.records import NO_RESPONSES, NOT_REACHED
from kl_core.store import parts, queries, runs
from kl_core.store.summary import run_summary
from tests import writing
from tests.sources.test_shared_contexts import item, record, response


def pair(tmp_path, count=6):
    """P says `A B A`, Q `A A`, to `count` prompts each; one prompt more on either side."""
    for name, texts in (("p", "ABA"), ("q", "AA")):
        (tmp_path / name).mkdir(parents=True)
        for number in range(count):
            made = record(response(*map(item, texts)), prompt=f"prompt {number}", model=name)
            (tmp_path / name / f"f{number}.json").write_text(json.dumps(made))
        alone = record(response(item("A")), prompt=f"only {name}", model=name)
        (tmp_path / name / "z.json").write_text(json.dumps(alone))
    return tmp_path / "p", tmp_path / "q"


def start(root, folder, against):
    request = import_run.ImportRequest(folder, None, against)
    frozen, title, work = import_run.prepare(request)
    return worker.folder_for("import", frozen, root, title), work


def test_a_free_comparison_is_a_scored_run_with_its_coverage(tmp_path):
    """Figures over shared positions, a reason at each other one, one row for each side's rest."""
    folders = pair(tmp_path)
    run_dir, work = start(tmp_path / "runs", *folders)
    worker.carry_out(run_dir, work)
    summary = run_summary(run_dir)
    names = ("kind", "measure", "model1", "model2", "tokens", "scored_tokens", "shared_contexts")
    assert [summary[name] for name in names] == ["import", "floor", "p", "q", 19, 12, 12]
    assert summary["against"] == str(folders[1])
    assert summary["coverage"] == pytest.approx(12 / 19)
    assert summary["mean_kl"] == pytest.approx(0, abs=1e-12)
    files = sorted(row["file"] for row in summary["problems"])
    assert files == ["second folder: z.json", "z.json"]
    opened = queries.open_run(run_dir)
    sql = "SELECT reason, count(*) FROM tokens WHERE kl IS NULL GROUP BY 1 ORDER BY 2"
    assert opened.cursor().sql(sql).fetchall() == [(NO_RESPONSES, 1), (NOT_REACHED, 6)]
    opened.connection.close()


def test_a_cancelled_comparison_goes_on_and_counts_its_contexts_once(tmp_path, monkeypatch):
    """The second start scores the rest only; the figures are those of an uninterrupted run."""
    monkeypatch.setattr(parts, "TOKENS_A_PART", 3)
    monkeypatch.setattr(worker, "STATUS_EVERY_S", 0.0)
    folders = pair(tmp_path)
    run_dir, work = start(tmp_path / "runs", *folders)

    def cancel_soon(status):
        if "4 prompts" in status.message and status.stage == "comparing":
            runs.request_cancel(run_dir)

    with pytest.raises(RunCancelled):
        worker.carry_out(run_dir, work, cancel_soon)
    assert 4 <= len(parts.finished_prompts(run_dir)) < 7
    assert 0 < run_summary(run_dir)["shared_contexts"] < 12
    same, work = start(tmp_path / "runs", *folders)
    assert same == run_dir
    worker.carry_out(same, work)
    summary = run_summary(run_dir)
    names = ("state", "prompts", "scored_tokens", "shared_contexts")
    assert [summary[name] for name in names] == ["done", 7, 12, 12]
    assert len(summary["problems"]) == 2


def test_the_request_freezes_both_folders_and_thaws_again(tmp_path):
    """A change on either side is another request, and a plain import is a third."""
    folder, against = pair(tmp_path)
    request = import_run.ImportRequest(folder, None, against)
    frozen = import_run.prepare(request)[0]
    assert import_run.prepare(import_run.ImportRequest.thawed(frozen))[0] == frozen
    plain = import_run.prepare(import_run.ImportRequest(folder))[0]
    assert import_run.prepare(import_run.ImportRequest.thawed(plain))[0] == plain
    writing.openai_file(against / "new.json", "new", 2)
    changed = import_run.prepare(request)[0]
    assert len({str(each) for each in (frozen, plain, changed)}) == 3
    run_dir = runs.create_run(tmp_path / "runs", "import", {"request": frozen})
    with pytest.raises(RunError, match="have changed"):
        again.work_of(run_dir)


def test_problems_of_the_second_folder_say_that_they_are_its_own(tmp_path):
    """A broken file there is not one of the folder that was imported."""
    folder, against = pair(tmp_path)
    (against / "broken.json").write_text('{"prompt": "cut')
    run_dir, work = start(tmp_path / "runs", folder, against)
    worker.carry_out(run_dir, work)
    files = [row["file"] for row in run_summary(run_dir)["problems"]]
    assert "second folder: broken.json" in files


def test_a_second_folder_with_nothing_to_read_is_refused_before_a_run_begins(tmp_path):
    """One sentence with the folder's name."""
    folder, _ = pair(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty"):
        import_run.prepare(import_run.ImportRequest(folder, None, tmp_path / "empty"))
    with pytest.raises(InputError, match="does not exist"):
        import_run.prepare(import_run.ImportRequest(folder, None, tmp_path / "none"))


def test_one_model_against_itself_is_allowed(tmp_path):
    """Two providers, or two dates, of one model."""
    folder, _ = pair(tmp_path)
    run_dir, work = start(tmp_path / "runs", folder, folder)
    worker.carry_out(run_dir, work)
    summary = run_summary(run_dir)
    assert (summary["model1"], summary["model2"], summary["coverage"]) == ("p", "p", 1.0)
    assert summary["max_kl"] == pytest.approx(0, abs=1e-12)
