"""What the Sample page says about prompts, plans and responses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from kl_core.formats.sampling_config import ModelConfig, PromptSource, SamplingConfig
from kl_core.store.sampled import SampledModel
from kl_core.store.spending import CallPlan
from kl_core.ui import sample_asked, sample_plan, sample_preview, sample_table
from kl_core.ui.sample_asked import Asked

PLAN = CallPlan(
    mode="sample",
    model="a, b",
    prompts=12,
    responses=36,
    calls=34,
    kept=2,
    input_tokens=1234,
    output_tokens=8704,
    cost=0.42,
    seconds=9.0,
    latency_s=0.2,
    max_concurrent=20,
)
X = SampledModel("org/m", "m", 60, 20, 50, 4, 2, {"X": 8, "": 1}, {"X": 30, "Y": 19, "": 1})


def test_a_provider_without_log_probabilities_is_named_with_its_counts() -> None:
    """Counts out of that provider's own responses, most first, models where there are several."""
    said = sample_table.sentences([X])
    lost = "came without log-probabilities; they are kept."
    assert said[0] == f"8 of 30 responses of provider X {lost}"
    assert said[1].startswith("1 of 1 response came without log-probabilities; it is kept.")
    assert said[2].startswith("Responses without log-probabilities cannot be scored by lists;")
    assert len(said) == 3
    other = SampledModel("o", "o", 3, 1, 3, 0, 0, {"Z": 3}, {"Z": 3})
    both = sample_table.sentences([X, other])
    assert both[1].startswith("o: all 3 responses of provider Z")
    assert sample_table.sentences([replace(X, without_logprobs={})]) == []


def test_hostile_names_are_text_and_long_ones_keep_both_ends() -> None:
    """Bidirectional marks are shown as marks, and a long name does not push the figures out."""
    row = sample_table.row(replace(X, name="ev\u202eil/" + "x" * 200 + "-end"))
    assert "\u202e" not in row["model"] and row["model"].endswith("-end")
    assert len(row["model"]) <= 48
    assert row["responses"] == "50 of 60" and row["without log-probabilities"] == "9"


def test_a_plan_claims_no_more_than_is_known() -> None:
    """Costs and output tokens are bounds; an unknown price is no price; free is free."""
    figures = {name: value for name, value, _ in sample_plan.facts(PLAN, False)}
    assert figures["Cost"] == "up to $0.42" and figures["Output tokens"] == "up to 8,704"
    assert figures["Input tokens"] == "≈ 1,230" and figures["Time"] == "9 s or more"
    unknown = {name: value for name, value, _ in sample_plan.facts(replace(PLAN, cost=None), False)}
    assert unknown["Cost"] == "–"
    assert {name: value for name, value, _ in sample_plan.facts(PLAN, True)}["Cost"] == "$0"
    assert sample_plan.start_label(PLAN, 0.42) == "Spend up to about $0.42: start"
    assert sample_plan.start_label(PLAN, 0.0) == "Start: it costs nothing"
    assert sample_plan.scope_line(PLAN) == "36 responses · 2 answered already"
    assert sample_plan.scope_line(PLAN, 6).startswith("6 prompts × 2 models · 36 responses")
    assert sample_plan.scope_line(PLAN, 9).startswith("36 responses")  # a part is done
    quick = {name: value for name, value, _ in sample_plan.facts(replace(PLAN, seconds=0.2), True)}
    assert quick["Time"] == "less than a second"
    assert "there already" in sample_plan.head(replace(PLAN, calls=0))


def test_a_runs_options_are_read_from_its_command() -> None:
    """What the page gave comes back into the form; what cannot be read is left out."""
    words = ["sample", "--config", "c.yaml", "--overwrite", "--max-concurrent", "7"]
    words += ["--rate-limit=2.5", "--timeout", "x"]
    assert sample_asked.options_in(words) == {
        "config": "c.yaml",
        "overwrite": True,
        "max_concurrent": 7,
        "rate_limit": 2.5,
    }


def test_the_heading_names_models_prompts_and_samples() -> None:
    """The first three models, and how many more."""
    models = tuple(ModelConfig(name=f"m{n}", api="local") for n in range(5))
    config = SamplingConfig(
        output_dir="o", models=models, prompts=PromptSource(texts=("a", "b")), samples=3
    )
    said = sample_asked.heading(Asked(config))
    assert said == "m0, m1, m2 and 2 more models · 2 prompts · 3 samples a prompt"
    assert "from started answers" in sample_asked.heading(Asked(config, {}, True))
    assert sample_asked.all_local(config) and not sample_asked.all_local(None)
    assert sample_asked.heading(Asked()) == "Sampling"


def test_providers_that_are_not_pinned_are_told() -> None:
    """Only where OpenRouter chooses, and log-probabilities are asked for."""
    model = ModelConfig(name="o/m", base_url="https://openrouter.ai/api/v1")
    config = SamplingConfig(output_dir="o", models=(model,))
    assert sample_asked.any_provider(config)
    assert not sample_asked.any_provider(msgspec.structs.replace(config, top_logprobs=0))
    pinned = msgspec.structs.replace(model, providers=("a",))
    assert not sample_asked.any_provider(msgspec.structs.replace(config, models=(pinned,)))
    here = msgspec.structs.replace(model, base_url="http://127.0.0.1:8000/v1")
    assert not sample_asked.any_provider(msgspec.structs.replace(config, models=(here,)))


def test_prompts_of_each_model_are_told_only_where_all_have_the_same() -> None:
    """From what is wanted of each, by its own number of samples."""
    models = (ModelConfig(name="a", api="local", samples=2), ModelConfig(name="b", api="local"))
    asked = Asked(SamplingConfig(output_dir="o", models=models, samples=3))
    a, b = replace(X, name="a", wanted=12), replace(X, name="b", wanted=18)
    assert sample_asked.prompts_each(asked, [a, b]) == 6
    assert sample_asked.prompts_each(asked, [a, replace(b, wanted=21)]) is None
    assert sample_asked.prompts_each(asked, [a]) is None


def test_a_models_folder_lies_in_the_output_folder(tmp_path: Path) -> None:
    """Whether the configuration's folder was typed whole or below the repository."""
    model = ModelConfig(name="a/b", api="local")
    config = SamplingConfig(output_dir=str(tmp_path), models=(model,))
    assert sample_asked.folder_of(config, replace(X, folder="b")) == tmp_path / "b"


def test_a_preview_shows_prompts_and_what_cannot_be_used(tmp_path: Path) -> None:
    """The file as the run will read it; the system message is not repeated at each prompt."""
    path = tmp_path / "p.jsonl"
    path.write_text('{"prompt": "one"}\nno json\n{"prompt": "two"}\n')
    found = sample_preview.read(PromptSource(file=str(path), system="Be brief."))
    assert found.count == 2 and found.first == ("one", "two") and not found.error
    assert "p.jsonl" in sample_preview.problem_lines(found.problems)
    missing = sample_preview.read(PromptSource(file=str(tmp_path / "none.txt")))
    assert missing.error and missing.count == 0


@pytest.mark.parametrize(
    ("count", "said"), [(1, "1 prompt will be asked:"), (9, "; the first of them:")]
)
def test_the_preview_says_how_many_there_are(count: int, said: str) -> None:
    """Of many prompts only the first show."""
    assert said in sample_preview.head(count)
