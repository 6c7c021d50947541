"""Explore on a run that sampled several models: whose response is whose, and what comes next."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from kl_core.jobs import launch
from kl_core.store import queries, runs, sampled
from kl_core.store.sampled import SampledModel
from kl_core.ui import inputs, score_offer, tokens_data
from tests.pages.conftest import opened, picker, texts
from tests.ui import made_runs

NAMES = ("tiny-base", "tiny-tuned")


@pytest.fixture
def run(root: Path, tmp_path: Path) -> Path:
    """Two models' answers to the same two prompts, and the folders they lie in."""
    entries = []
    for number, name in enumerate(NAMES):
        for prompt in range(2):
            made = [made_runs.response(["a", " b", " c"], {}, seed=number)]
            each = made_runs.entry(len(entries), f"Question {prompt}?", made, raw=True)
            entries.append(replace(each, model1=name))
        (tmp_path / "out" / name).mkdir(parents=True)
    config = {"models": [{"name": name} for name in NAMES]}
    request = {"config": config, "output_dir": str(tmp_path / "out")}
    run_dir = made_runs.write(root, entries, "sample", request=request)
    runs.update_params(run_dir, model1="2 models", model2=None)
    models = [SampledModel(name, name, responses=2) for name in NAMES]
    sampled.write_sampled(run_dir, models)
    return run_dir


def button(app: AppTest, label: str):
    """The button with a label."""
    return next(each for each in app.button if each.label == label)


def test_every_list_names_the_model_of_a_response(run: Path) -> None:
    """The caption, the table of prompts, the picker of responses, the list of tokens."""
    app = opened(run=run.name)
    assert "come from 2 models, tiny-base and tiny-tuned" in texts(app)
    assert set(app.dataframe[0].value["model"]) == set(NAMES)
    chosen = next(box for box in app.selectbox if str(box.options[0]).startswith("Response 1"))
    assert any(name in chosen.options[0] for name in NAMES)
    assert "tiny-base, tiny-tuned" in picker(app, "Run").options[0]
    cursor = queries.open_run(run).cursor()
    assert queries.models1(cursor) == list(NAMES) and queries.distinct_prompts(cursor) == 2


def test_a_list_of_tokens_has_a_column_of_models_only_where_there_are_several(
    run: Path, root: Path
) -> None:
    """A run of one model is as it was."""
    for run_dir, named in ((run, True), (made_runs.raw(root), False)):
        cursor = queries.open_run(run_dir).cursor()
        listed = score_rows(cursor)
        columns = tokens_data.with_model(tokens_data.columns("surprisal1", None), listed)
        assert ("model" in [column["name"] for column in columns]) == named
        models = {row["cells"]["model"] for row in listed}
        assert models == (set(NAMES) if named else {""})


def score_rows(cursor) -> list[tokens_data.Row]:
    """The highest tokens as the Tokens tab lists them."""
    from kl_core.store.token_tables import top_tokens_query
    from kl_core.ui import token_data

    scale = token_data.scale("surprisal1", queries.summary(cursor), quantiles={})
    rows = top_tokens_query("surprisal1", limit=20).rows(cursor)
    return tokens_data.token_rows(rows, "surprisal1", scale)


def test_a_comparison_of_two_models_starts_from_their_folders(
    run: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each model's own folder goes along; the page shows the run that was started."""
    asked = []

    def begin(kind, options, nonce):
        asked.append((kind, options))
        return made_runs.raw(root)

    info = runs.run_info(run)
    folders = [(name, str(tmp_path / "out" / name)) for name in NAMES]
    assert score_offer.folders_of(info) == folders and inputs.models1(info) == ", ".join(NAMES)
    monkeypatch.setattr(launch, "start", begin)
    app = opened(run=run.name)
    button(app, "Compare for free").click().run()
    assert asked == [("import", {"input_dir": folders[0][1], "against": folders[1][1]})]
    assert app.query_params["run"] != run.name
