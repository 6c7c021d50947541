"""The Sample page's fields as a configuration, and the way back."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from kl_core.errors import InputError
from kl_core.formats import sampling_config
from kl_core.formats.sampling_config import (
    JudgeConfig,
    ModelConfig,
    PromptSource,
    SamplingConfig,
)
from kl_core.ui import (
    endpoint_keys,
    sample_demo,
    sample_files,
    sample_problems,
    sample_values,
    sample_yaml,
)
from kl_core.ui.sample_place import Place
from kl_core.ui.sample_values import config_of, values_of

ROUTER = "https://openrouter.ai/api/v1"
HERE = "http://127.0.0.1:8000/v1"
MODELS = (
    ModelConfig(
        name="org/m",
        base_url=ROUTER,
        providers=("a", "b"),
        reasoning=False,
        key_env="MY_KEY",
        samples=2,
        max_tokens=9,
        input_price=0.5,
        output_price=1.0,
        extra_body={"x": [1]},
        temperature=0.3,
    ),
    ModelConfig(name="g", api="gemini", project_id="proj", location="global", reasoning=True),
    ModelConfig(name="some/folder", api="local", label="l", adapter="a", dtype="float32"),
    ModelConfig(name="other", base_url="https://example.org/v1"),
    ModelConfig(name="gpt", base_url="https://api.openai.com/v1", continue_by="completion"),
)
SOURCES = (
    PromptSource(texts=("one", "two"), select="random", seed=3, count=1, system="Be brief."),
    PromptSource(texts=("one\nand more", "two"), min_chars=2, max_chars=90),
    PromptSource(file="p.csv", field="a.b[0]", language="en", language_field="lang"),
    PromptSource(dataset="o/d", subset="s", split="test", revision="r", field="text"),
)


@pytest.mark.parametrize("source", SOURCES)
def test_a_loaded_configuration_comes_out_of_the_form_as_it_went_in(source: PromptSource) -> None:
    """Also what the form has no field for; nothing is lost or added on the way."""
    config = SamplingConfig(
        output_dir="out",
        models=MODELS,
        prompts=source,
        samples=4,
        temperature=0.5,
        top_logprobs=5,
        seed=7,
        judge=JudgeConfig(model=ModelConfig(name="j", base_url=HERE)),
    )
    way, values = values_of(config)
    assert config_of(way, values, "new") == config
    text = sampling_config.config_text(config_of(way, values, "new"))
    assert msgspec.yaml.decode(text, type=SamplingConfig) == config


def test_what_the_form_cannot_show_is_named() -> None:
    """Names of the fields that stay as a loaded file has them, of rows that are still there."""
    config = SamplingConfig(output_dir="o", models=MODELS, prompts=SOURCES[0])
    _, values = values_of(config)
    assert set(sample_values.beyond(values)) == {
        "continue_by",
        "extra_body",
        "temperature",
        "adapter",
        "dtype",
    }
    assert sample_values.beyond(values | {"rows": [1, 3]}) == []


def test_prompts_are_lines_or_are_parted_by_hyphens() -> None:
    """Blank lines are no prompts; a prompt that holds the parting line is refused."""
    assert sample_values.texts_of({"texts": " a \r\n\n  \nb"}) == ("a", "b")
    several = {"texts": "a\n\nb\n---\n\n---\n  c", "several": True}
    assert sample_values.texts_of(several) == ("a\n\nb", "  c")
    source = PromptSource(texts=("a\n---\nb",))
    with pytest.raises(InputError, match="line of ---"):
        values_of(SamplingConfig(output_dir="o", models=MODELS, prompts=source))


def test_fields_of_another_kind_of_model_do_not_leak_into_the_configuration() -> None:
    """A row that was OpenRouter's and is local now sends neither address nor key."""
    row = {
        "rows": [0],
        "m0.api": "local",
        "m0.name": "folder",
        "m0.server": "openrouter",
        "m0.key_env": "MY_KEY",
        "m0.providers": "a",
        "m0.reasoning": "on",
        "m0.project_id": "proj",
    }
    assert sample_values.model_of(row, 0) == ModelConfig(name="folder", api="local")
    found = sample_values.model_of(row | {"m0.api": "gemini"}, 0)
    assert found == ModelConfig(name="folder", api="gemini", project_id="proj", reasoning=True)


def test_the_demo_is_a_configuration_without_problems() -> None:
    """Two models of the demo server, at the address of its OpenAI-shaped routes."""
    config = sample_demo.config("http://127.0.0.1:9")
    way, values = values_of(config)
    whole = config_of(way, values, "cache/uploads/x")
    assert sampling_config.problem_of(whole, from_tokens=False) is None
    assert [model.base_url for model in whole.models] == ["http://127.0.0.1:9/v1"] * 2
    assert sample_problems.problems(way, values) == {}


def test_a_key_is_never_taken_for_the_name_of_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """What may be a key is refused without being repeated; a variable has to be set."""
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    secret = "sk-or-v1-0123456789abcdef"
    own = {"name": "m", "server": "openrouter", "key_env": secret}
    said = sample_problems.model(own)["key_env"]
    assert said and "sk-or" not in said
    missing = sample_problems.model({"name": "m"})["key_env"]
    assert missing and "OPENROUTER_API_KEY" in missing
    monkeypatch.setenv("OPENROUTER_API_KEY", "x")
    assert not sample_problems.model({"name": "m"})["key_env"]
    assert endpoint_keys.usual(ROUTER) == "OPENROUTER_API_KEY"


def test_problems_name_the_field_and_in_a_list_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each field is judged by itself; the list beside the button says which model is meant."""
    monkeypatch.setenv("KL_DATA_ROOTS", str(tmp_path))
    values = {
        "rows": [0, 4],
        "file": str(tmp_path),
        "min_chars": 9,
        "max_chars": 3,
        "output_dir": "/etc/out",
        "m0.name": "same",
        "m0.server": "here",
        "m4.name": "same",
        "m4.server": "other",
        "m4.base_url": "http://example.org/v1",
        "m4.input_price": 1.0,
    }
    found = sample_problems.problems("file", values)
    assert "is a folder" in found["file"] and "outside the folders" in found["output_dir"]
    assert "no prompt has at least 9" in found["max_chars"]
    assert "use https" in found["m4.base_url"] and "both prices" in found["m4.output_price"]
    assert "another model writes to the folder 'same'" in found["m4.label"]
    both = {"m0.name": "type it", "m4.name": "type it", "texts": "write"}
    assert sample_problems.listed(both, values) == ["models 1–2: type it", "write"]
    listed = sample_problems.listed(found, values)
    assert any(text.startswith("model 2: another model") for text in listed)
    assert sample_problems.problems("write", {})["rows"] == "add a model"


def test_a_file_that_is_no_configuration_leaves_the_form_alone() -> None:
    """One sentence on why; a good one fills the form; nothing is read that is far too long."""
    filled: list[str] = []

    def fill(place: Place, way: str, values: dict[str, object]) -> None:
        filled.append(way)

    def read(text: str, size: int = 1) -> str:
        file = SimpleNamespace(name="c.yaml", size=size, getvalue=text.encode)
        return sample_yaml._read(Place(), file, fill)

    assert "c.yaml" in read("{nothing: [") and "c.yaml" in read("output_dir: x\nmodel: []\n")
    assert "too long" in read("x", 10**9) and not filled
    assert read("a\0b") == "c.yaml is not a text file"
    good = SamplingConfig(output_dir="o", models=MODELS, prompts=SOURCES[3])
    assert read(sampling_config.config_text(good)) == "" and filled == ["dataset"]


def test_one_configuration_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A double click writes the same file, so that it starts the same run."""
    monkeypatch.setenv("KL_RUNS_DIR", str(tmp_path / "runs"))
    config = SamplingConfig(output_dir="o", models=MODELS, prompts=SOURCES[0])
    first = sample_files.keep(config)
    assert first == sample_files.keep(config) and first.parent.parent == tmp_path / "uploads"
    assert sample_files.keep(msgspec.structs.replace(config, samples=9)) != first
    assert sampling_config.read_config(first) == config
    assert sample_files.is_made(sample_files.new_folder())
    assert not sample_files.is_made("cache/results")
