"""A run's work rebuilt from what its folder says."""

import pytest

from kl_core.errors import RunError
from kl_core.jobs import again, batch, compare, import_run, prefill, score
from kl_core.jobs.gemini_job import GeminiRequest
from kl_core.jobs.gemini_options import AskOptions, BatchOptions, PoolOptions, SpendOptions
from kl_core.jobs.scoring import ScoringOptions
from kl_core.models.load import ModelSpec
from kl_core.store import runs
from tests import writing

MODEL = ModelSpec(str(writing.REPOSITORY / "sample_data" / "models" / "tiny-base"), raw=True)


def requests(folder):
    options = ScoringOptions(folder, None, 10)
    here = "http://127.0.0.1:9"
    asked = AskOptions(folder, "m", folder / "out", base_url=here, budget=0.5, max_files=1, seed=4)
    jobs = AskOptions(folder, "m", project_id="demo", base_url=here)
    places, spend = BatchOptions("a-bucket", here, True, 3), SpendOptions(2.0, False, 1.0, 2.0)
    pool = PoolOptions(7, 3.0, 2, 9.0, True)
    return {
        "prefill": prefill.prepare(GeminiRequest(asked, pool, spend)),
        "batch": batch.prepare(GeminiRequest(jobs, pool, spend), places),
        "import": import_run.prepare(import_run.ImportRequest(folder, "*.json")),
        "score": score.prepare(score.ScoreRequest(options, MODEL)),
        "compare": compare.prepare(compare.CompareRequest(options, MODEL, MODEL)),
    }


@pytest.mark.parametrize("kind", ["import", "score", "compare", "prefill", "batch"])
def test_every_kind_of_run_can_be_taken_up_again(tmp_path, kind):
    """The frozen request gives the same request back."""
    folder = writing.folder(tmp_path / "in", 2)
    frozen, _, _ = requests(folder)[kind]
    run_dir = runs.create_run(tmp_path / "runs", kind, {"request": frozen})
    assert callable(again.work_of(run_dir))
    assert again._prepare(kind, runs.read_params(run_dir)["request"], {})[0] == frozen


def test_how_hard_to_press_and_what_to_spend_are_taken_up_too():
    """They are kept beside the request; what is not told has its default."""
    settings = {"max_concurrent": 7, "max_cost": 2.5, "reuse": True, "yes": False, "other": 1}
    assert again._of(PoolOptions, settings) == PoolOptions(max_concurrent=7, reuse=True)
    assert again._of(SpendOptions, settings) == SpendOptions(max_cost=2.5)


def test_a_run_whose_input_changed_is_not_taken_up(tmp_path):
    """Half a run on other files would mix two inputs: said with what to do."""
    folder = writing.folder(tmp_path / "in", 2)
    frozen, _, _ = requests(folder)["import"]
    run_dir = runs.create_run(tmp_path / "runs", "import", {"request": frozen})
    writing.openai_file(folder / "new.json", "new", 3)
    with pytest.raises(RunError, match="have changed since .* start a new run"):
        again.work_of(run_dir)


def test_a_run_that_never_began_says_so(tmp_path):
    """Nothing to resume: no request was written."""
    run_dir = runs.create_run(tmp_path / "runs", "score", {"request": {}})
    with pytest.raises(RunError, match="ended before it began"):
        again.work_of(run_dir)
