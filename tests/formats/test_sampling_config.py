"""Configurations of `sample`: what is read, and the one sentence for what is not."""

from pathlib import Path

import pytest

from kl_core.errors import InputError
from kl_core.formats.sampling_config import (
    JUDGE_TEMPLATE,
    JudgeConfig,
    ModelConfig,
    PromptSource,
    SamplingConfig,
    config_text,
    parse_config,
    problem_of,
    read_config,
    sampling_of,
    settled,
    write_config,
)
from kl_core.formats.sampling_models import looks_like_name

CONFIGS = Path(__file__).resolve().parents[2] / "sample_data" / "configs"
HERE = "http://127.0.0.1:1/v1"
ROUTER = "https://openrouter.ai/api/v1"
START = f"output_dir: o\nmodels:\n- {{name: m, base_url: '{HERE}'}}\n"


def model(name="m", **fields):
    return ModelConfig(**({"name": name, "base_url": HERE} | fields))


def config(*models, **fields):
    given = {"output_dir": "o", "models": models or (model(),)}
    return SamplingConfig(**(given | {"prompts": PromptSource(texts=("a",))} | fields))


def refusal(text):
    with pytest.raises(InputError) as found:
        parse_config(text, "c.yaml")
    assert "\n" not in str(found.value)
    return str(found.value)


@pytest.mark.parametrize("name", ["demo", "openrouter"])
def test_the_example_configurations_are_good_and_survive_being_written(name, tmp_path):
    """Both can be used as they are; what the page writes is read back the same."""
    read = read_config(CONFIGS / f"{name}.yaml", from_tokens=False)
    write_config(tmp_path / "again.yaml", read)
    assert read_config(tmp_path / "again.yaml") == read
    assert "dtype" not in config_text(read)


def test_the_examples_judge_by_the_words_that_are_the_default():
    """The template that is shown is the one that is used without one."""
    judge = read_config(CONFIGS / "openrouter.yaml").judge
    assert judge is not None
    assert judge.template == JUDGE_TEMPLATE


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("temperature: '1'", "temperature must be a number, not text"),
        ("temperature: 1e-3", "0.001 instead of 1e-3"),
        ("temperatur: 1", "did you mean 'temperature'?"),
        ("samples: 1.5", "samples must be a whole number, not a fraction"),
        ("samples: true", "not true or false"),
        ("prompts: {file: x, language: no}", "prompts.language must be text"),
        ("prompts: {texts: [yes]}", r"prompts.texts[0] must be text, not true or false"),
        ("prompts: {texts: one}", "write it in brackets"),
        ("prompts: {texts: [12]}", "write it in quotes"),
        ("prompts: {file: x, select: last}", "prompts.select must be one of first, random"),
        ("seed: 1\nseed: 2", "line 5: the field 'seed' stands twice"),
        ("a: b: c sk-secret", "not YAML: mapping values are not allowed here at line 4, column 5"),
        ("[1]: 2", "name must be text"),
    ],
)
def test_what_is_no_configuration_is_said_with_its_field_and_what_to_write(more, words):
    """Types, unknown fields and YAML's traps: one sentence, with nothing of the line itself."""
    said = refusal(START + more)
    assert said.startswith("c.yaml: ")
    assert words in said
    assert "sk-secret" not in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it is empty"),
        ("# only words", "it is empty"),
        ("- a", "the file must be a group of fields, not a list"),
        ("output_dir: o\nmodels: {name: m}", "models must be a list"),
        ("output_dir: o\nmodels: [{base_url: x}]", "models[0] has no name"),
        ("output_dir: o\nmodels: [{name: m, api: azure}]", "models[0].api must be one of"),
        ("output_dir: o\nmodels: [{name: m, reasoning: 'off'}]", "must be true or false"),
        ("a: &a [*a]", "not YAML"),
    ],
)
def test_empty_files_and_wrong_shapes_are_refused(text, words):
    """A file that is empty or another thing."""
    assert words in refusal(text)


def test_on_and_off_are_true_and_false():
    """YAML's `off` is what a reader means by it."""
    read = parse_config(
        f"output_dir: o\nmodels: [{{name: m, base_url: '{HERE}', reasoning: off}}]", "c"
    )
    assert read.models[0].reasoning is False


@pytest.mark.parametrize(
    "line",
    [
        "key_env: sk-or-v1-0123456789abcdef",
        "key_env: AIzaSyD0123456789abcdefGHIJ",
        "key_env: 0123456789abcdef0123456789abcdef",
        "key_env: abcdef0123456789abcdef0123456789",
        "key_env: 'OPENROUTER KEY=sk-1234567'",
        "api_key: sk-or-v1-0123456789abcdef",
        "key_env: [sk-or-v1-0123456789abcdef]",
        "extra_body: {api_key: sk-or-v1-0123456789abcdef}",
        "extra_body: {headers: {Authorization: sk-or-v1-0123456789abcdef}}",
        "extra_body: {a: {x_token: sk-0123456789abcdef}}",
        "extra_body: {a: [{my-auth: '0123456789'}]}",
        "extra_body: {credentials: '0123456789'}",
        "extra_body: {extra_headers: {x: '0123456789'}}",
        "extra_body: {metadata: {note: sk-or-v1-0123456789abcdef}}",
        "extra_body: {metadata: [AIzaSyD0123456789abcdefGHIJ]}",
        "extra_body: {note: 'Bearer 0123456789abcdef'}",
        "extra_body: {sk-or-v1-0123456789abcdef: 1}",
        "extra_body: {sk-or-v1-0123456789abcdef: {token: x}}",
    ],
)
def test_a_key_in_the_file_is_refused_and_never_shown(line):
    """Whatever field it was put into, the sentence does not repeat it."""
    said = refusal(f"output_dir: o\nmodels:\n- {{name: m, base_url: '{HERE}', {line}}}")
    assert "key" in said
    assert not any(secret in said for secret in ("sk-", "AIza", "0123456789"))


@pytest.mark.parametrize("name", ["OPENROUTER_API_KEY", "KEY", "my_key", "A1_KEY_2", "HF_TOKEN"])
def test_names_of_variables_are_names(name):
    """Usual names pass."""
    assert looks_like_name(name)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (config(samples=0), "samples is 0; give 1 or more"),
        (config(max_tokens=0), "max_tokens is 0"),
        (config(temperature=-0.1), "temperature is -0.1"),
        (config(temperature=float("nan")), "temperature is nan"),
        (config(top_p=0.0), "top_p is 0"),
        (config(top_p=1.5), "top_p is 1.5"),
        (config(top_logprobs=21), "at most 20"),
        (config(top_logprobs=-1), "top_logprobs is -1"),
        (config(model(top_logprobs=50)), "models[0].top_logprobs is 50"),
        (config(model(samples=0)), "models[0].samples is 0"),
        (config(output_dir=" "), "output_dir is empty"),
        (SamplingConfig(output_dir="o", models=()), "models is empty"),
        (config(model("a/m"), model("b/M")), "a/m and b/M would both write to the folder 'M'"),
        (
            config(
                model(""),
            ),
            "models[0].name is empty",
        ),
        (config(model(label="..")), "models[0].label must be the name of one folder"),
        (config(model(label="a/b")), "label must be"),
        (config(model(label="a\\b")), "label must be"),
        (config(model(label="")), "label must be"),
        (config(ModelConfig(name="m")), "models[0] has no base_url; give the address"),
        (config(model(base_url="http://example.com/v1", key_env="K")), "unencrypted"),
        (config(model(base_url="https://me:pw@host/v1")), "is not an address"),
        (config(model(api="local")), "base_url is of a server"),
        (config(model(api="gemini", providers=("x",))), "providers is for OpenRouter"),
        (config(model(project_id="p")), "project_id is for api: gemini"),
        (config(ModelConfig(name="g", api="gemini", location="eu")), "needs project_id"),
        (config(model(adapter="x")), "adapter is for api: local"),
        (config(model(input_price=-1.0)), "input_price is -1"),
        (config(model(extra_body={"a": float("inf")})), "JSON cannot hold"),
        (config(model(extra_body={"a": {1: 2}})), "name is not text"),
        (config(model("x:free", continue_by="completion")), "needs a tokenizer"),
        (
            config(ModelConfig(name="g", api="gemini", continue_by="completion")),
            "completion is for api: openai",
        ),
        (config(prompts=PromptSource()), "prompts needs one of file, dataset and texts"),
        (config(prompts=PromptSource(file="a", texts=("b",))), "has file and texts"),
        (config(prompts=PromptSource(texts=())), "prompts.texts is empty"),
        (config(prompts=PromptSource(file="a", count=0)), "prompts.count is 0"),
        (config(prompts=PromptSource(file="a", min_chars=9, max_chars=3)), "give 9 or more"),
        (config(prompts=PromptSource(file="a", subset="x")), "prompts.subset is of a dataset"),
        (config(prompts=PromptSource(texts=("a",), field="x")), "are of records"),
        (config(judge=JudgeConfig(model=model("j"))), "judge compares two models"),
    ],
)
def test_each_impossible_setting_has_its_sentence(made, words):
    """What is well formed and cannot be, with both values and what to write."""
    said = problem_of(made)
    assert said is not None
    assert words in said
    assert "\n" not in said
    assert "pw" not in said


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{prompt} {prefix} {a}", "lacks {b}"),
        ("{prompt} {prefix} {a} {b} {c}", "none of {prompt}"),
        ('{prompt} {prefix} {a} {b} {"verdict": 1}', "{{ and }}"),
        ("{prompt} {prefix} {a} {b} {", "{{ and }}"),
        ("{prompt.x} {prefix} {a!r} {b:9}", "{{ and }}"),
    ],
)
def test_a_judge_must_see_everything_and_nothing_else(template, words):
    """All four fields, no others, no loose braces; never an error when it is used."""
    judge = JudgeConfig(model=model("j"), template=template)
    assert words in (problem_of(config(model("a"), model("b"), judge=judge)) or "")


def test_prompts_are_needed_unless_started_answers_take_their_place():
    """Only the command knows; without its word either may come."""
    without = config(prompts=None)
    assert problem_of(without) is None
    assert problem_of(without, from_tokens=True) is None
    assert "there are no prompts" in (problem_of(without, from_tokens=False) or "")


def test_a_model_takes_the_settings_for_all_where_it_has_none():
    """Its own go first."""
    made = config(model(max_tokens=9, reasoning=False), samples=3, seed=5)
    whole = settled(made, made.models[0])
    assert (whole.max_tokens, whole.samples, whole.top_logprobs) == (9, 3, 20)
    assert sampling_of(made, made.models[0]) == {
        "api": "openai",
        "max_tokens": 9,
        "temperature": 1.0,
        "top_p": 1.0,
        "top_logprobs": 20,
        "seed": 5,
        "base_url": HERE,
        "reasoning": False,
    }


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("n", 2, "set samples instead"),
        ("best_of", 2, "set samples instead"),
        ("model", "x", "set name instead"),
        ("models", ["x"], "set name instead"),
        ("messages", [], "set prompts instead"),
        ("prompt", "x", "set prompts instead"),
        ("stream", True, "leave it out"),
        ("echo", True, "leave it out"),
        ("max_tokens", 9, "set max_tokens instead"),
        ("max_completion_tokens", 9, "set max_tokens instead"),
        ("temperature", 0, "set temperature instead"),
        ("top_p", 1, "set top_p instead"),
        ("logprobs", False, "set top_logprobs instead"),
        ("top_logprobs", 0, "set top_logprobs instead"),
        ("seed", 1, "set seed instead"),
        ("provider", {"require_parameters": False}, "require_parameters must be true"),
        ("provider", {"require_parameters": None}, "require_parameters must be true"),
        ("provider", None, "must be a group of fields"),
    ],
)
def test_extra_fields_cannot_change_what_is_counted_and_paid_for(name, value, words):
    """The plan, the files and the prices stand on the configuration's own fields."""
    said = problem_of(config(model(extra_body={"min_p": 0.1, name: value})))
    assert said is not None
    assert "models[0].extra_body" in said
    assert words in said


def test_harmless_extra_fields_pass():
    """Also those whose names only look like a key's."""
    extra = {
        "min_p": 0.1,
        "skip_special_tokens": False,
        "reasoning": {"max_tokens": 9},
        "provider": {"sort": "price", "require_parameters": True},
        "stop": ["risk-averse", "key-value"],
    }
    assert problem_of(config(model(extra_body=extra))) is None


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (config(prompts=PromptSource(texts=("a", "\ud83d"))), "prompts.texts[1] holds half of a"),
        (config(prompts=PromptSource(texts=("a",), system="\ud83d")), "prompts.system holds half"),
        (config(model(extra_body={"a": {"\ud83d": 1}})), "name in models[0].extra_body.a"),
        (
            config(model("a"), model("b"), judge=JudgeConfig(model=model("j"), template="\ud83d")),
            "judge.template holds half",
        ),
        (config(output_dir="a\0b"), "output_dir holds a zero byte"),
        (config(prompts=PromptSource(file="a\0b")), "prompts.file holds a zero byte"),
        (config(ModelConfig(name="a\0b", api="local")), "models[0].name holds a zero byte"),
        (config(model(tokenizer="a\0b", continue_by="completion")), "tokenizer holds a zero byte"),
        (config(output_dir="~nobody-here/x"), "home folder of nobody here"),
        (config(seed=2**63), "seed is beyond 64 bits"),
        (config(seed=-(2**63) - 1), "seed is beyond 64 bits"),
        (config(seed=2**63 - 1, samples=2), "give a smaller number"),
        (config(ModelConfig(name="g", api="gemini"), seed=2**31), "up to 2147483648"),
        (config(ModelConfig(name="g", api="gemini", samples=3), seed=2**31 - 2), "2147483648"),
        (config(model(extra_body={"a": 16**5000})), "extra_body.a is beyond 64 bits"),
        (config(temperature=1e-7), "temperature is 1e-07, and below 1e-06"),
        (config(model(temperature=1e-9)), "models[0].temperature is 1e-09"),
        (config(model(label="é" * 101)), "a name of 202 bytes"),
        (config(model("x" * 201)), "a name of 201 bytes"),
        (config(model(label="Judgements.json")), "named judgements.json"),
        (config(model("org/judgements.json")), "named judgements.json"),
        (config(ModelConfig(name="a b", api="gemini")), "no name of a Gemini model"),
        (config(ModelConfig(name="../x?y", api="gemini")), "no name of a Gemini model"),
        (config(model(providers=("x",), base_url="https://api.openai.com/v1")), "openrouter.ai"),
        (config(model(providers=("x",), base_url="https://notopenrouter.ai/v1")), "openrouter.ai"),
        (config(model(continue_by="completion", base_url=ROUTER)), "takes none"),
        (config(model(continue_by="completion", reasoning=False)), "reasoning changes nothing"),
        (config(ModelConfig(name="m", api="local", key_env="MY_KEY")), "key_env is of a server"),
        (config(ModelConfig(name="m", api="local", extra_body={"a": 1})), "extra_body is for api"),
        (config(ModelConfig(name="m", api="local", reasoning=True)), "reasoning is for api"),
        (config(ModelConfig(name="m", api="local", tokenizer="t")), "tokenizer is for api"),
        (config(ModelConfig(name="m", api="local", providers=("x",))), "providers is for"),
        (config(ModelConfig(name="m", api="local", project_id="p")), "project_id is for"),
        (config(ModelConfig(name="m", api="gemini", raw=True)), "raw is for api: openai or local"),
        (config(model(dtype="float32")), "dtype is for api: local"),
    ],
)  # fmt: skip
def test_odd_texts_numbers_and_fields_out_of_place_have_their_sentence(made, words):
    """One sentence that can be printed, whatever stood in the field."""
    said = problem_of(made)
    assert said is not None
    assert words in said
    assert "\n" not in said
    said.encode()


def test_what_is_just_inside_the_bounds_passes():
    """The last seeds, the coldest draw, the longest folder, OpenRouter and a server here."""
    gemini = ModelConfig(name="models/gemini-2.5-flash@1", api="gemini", label="é" * 100)
    passing = (
        config(seed=2**63 - 1),
        config(seed=-(2**63)),
        config(gemini, seed=2**31 - 2, samples=2, temperature=1e-6),
        config(temperature=0.0),
        config(model(providers=("x",)), model("n", providers=("x",), base_url=ROUTER)),
    )
    assert [problem_of(each) for each in passing] == [None] * len(passing)


@pytest.mark.parametrize(
    "more",
    ['"\\ud83d": 1', 'prompts: {texts: [a], select: "\\ud83d"}', 'prompts: {texts: ["\\ud83d"]}'],
)
def test_half_a_character_in_a_file_is_one_sentence(more):
    """In a name, in a choice, in a text."""
    said = refusal(START + more)
    assert "half of a character" in said
    said.encode()


def test_folders_of_local_models_are_told_by_their_whole_paths(tmp_path, monkeypatch):
    """Two that share their last part never complete each other's files; ~ and . make no other."""
    for place in ("a/m", "b/m", "a/l", "b/l"):
        (tmp_path / place).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)

    def told(name, **fields):
        made = config(ModelConfig(name=name, api="local", **fields))
        return sampling_of(made, made.models[0])

    assert told("a/m") == told(str(tmp_path / "b" / ".." / "a" / "m"))
    assert told("a/m")["folder"] == str(tmp_path / "a/m")
    assert told("a/m") != told("b/m")
    assert told("a/m", adapter="a/l") == told("a/m", adapter=str(tmp_path / "a/l"))
    assert told("a/m", adapter="a/l") != told("a/m", adapter="b/l")
    assert told("org/hub", adapter="org/l")["adapter"] == "org/l"
    assert "folder" not in told("org/hub")
    assert told("a/m", dtype="float32") != told("a/m")


def test_missing_files_and_folders_are_one_sentence(tmp_path):
    """No traceback for a path that is none."""
    for path in (tmp_path / "none.yaml", tmp_path, tmp_path / "a\0b"):
        with pytest.raises(InputError, match="cannot be read"):
            read_config(path)
