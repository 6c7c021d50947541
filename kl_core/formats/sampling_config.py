"""What `sample` is asked: a YAML file, checked field by field."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

import msgspec

from kl_core.errors import InputError
from kl_core.formats.sampling_checks import problems
from kl_core.formats.sampling_yaml import YamlProblem, readable, yaml_value

Api = Literal["openai", "gemini", "local"]
_DECIDING = (
    "base_url",
    "providers",
    "reasoning",
    "continue_by",
    "tokenizer",
    "project_id",
    "location",
    "extra_body",
    "revision",
    "dtype",
    "adapter",
    "chat_template",
    "raw",
)
JUDGE_TEMPLATE = """\
Two writers continued the same answer to the same question. Which continuation is better?

Question:
{prompt}

The answer so far:
{prefix}

Continuation A:
{a}

Continuation B:
{b}

Answer with one line of JSON and nothing else:
{{"verdict": "A" or "B" or "tie", "reason": "one sentence"}}
"""


class PromptSource(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where prompts come from: exactly one of `file`, `dataset` and `texts`.

    Attributes:
        file: a text file (one prompt a line), JSON, JSON lines or CSV.
        dataset: a data set of the Hugging Face hub, or a folder that `datasets` can load.
        subset, split, revision: of the data set.
        texts: the prompts themselves.
        field: path of the prompt in each record, `conversation[0].content`; default "prompt".
        language, language_field: keep records whose field has this value.
        min_chars, max_chars: bounds of the prompt's length, both included.
        select: the first `count` that pass, or as many drawn with `seed`.
        count: None for all.
        system: a system message before every prompt.
    """

    file: str | None = None
    dataset: str | None = None
    subset: str | None = None
    split: str = "train"
    revision: str | None = None
    texts: tuple[str, ...] | None = None
    field: str | None = None
    language: str | None = None
    language_field: str = "language"
    min_chars: int | None = None
    max_chars: int | None = None
    select: Literal["first", "random"] = "first"
    count: int | None = None
    seed: int = 0
    system: str | None = None


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model to sample from.

    Attributes:
        name: as the server spells it; a folder or hub id for `local`.
        api: `openai` for any OpenAI-shaped server, `gemini`, or `local` for transformers.
        label: name of its folder of responses; made from the name where not given.
        base_url: of an OpenAI-shaped server (`https://openrouter.ai/api/v1`), or another
            address of Gemini.
        key_env: the environment variable that holds the key; openrouter.ai and
            api.openai.com have their usual ones.
        providers: OpenRouter only: ask these, and no others.
        reasoning: True or False to ask for it or against it, None to leave it open.
        continue_by: how a started answer is continued: `chat` with a trailing turn of the
            assistant, `completion` with the prompt written out by the tokenizer.
        tokenizer: a folder or hub id, for `completion`; default is the name.
        project_id, location: of Vertex AI.
        extra_body: fields to add to every request, as they are; none that sample sets itself.
        samples, max_tokens, temperature, top_p, top_logprobs: instead of those for all models.
        input_price, output_price: dollars per million tokens, instead of what is known.
        revision, dtype, device, adapter, trust_remote_code, chat_template, raw: as the options
            of `score`, for `local`.
    """

    name: str
    api: Api = "openai"
    label: str | None = None
    base_url: str | None = None
    key_env: str | None = None
    providers: tuple[str, ...] = ()
    reasoning: bool | None = None
    continue_by: Literal["chat", "completion"] = "chat"
    tokenizer: str | None = None
    project_id: str | None = None
    location: str | None = None
    extra_body: dict[str, Any] = {}
    samples: int | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: int | None = None
    input_price: float | None = None
    output_price: float | None = None
    revision: str | None = None
    dtype: str = "auto"
    device: str = "auto"
    adapter: str | None = None
    trust_remote_code: bool = False
    chat_template: str | None = None
    raw: bool = False

    @property
    def folder(self) -> str:
        """Name of its folder of responses."""
        if self.label:
            return self.label
        last = self.name.rstrip("/").rsplit("/", 1)[-1]
        return re.sub(r"[^A-Za-z0-9._-]+", "-", last).strip("-.") or "model"


class JudgeConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who judges pairs of continuations, and by which words.

    Attributes:
        template: with {prompt}, {prefix}, {a} and {b}; answers with JSON {verdict, reason}.
    """

    model: ModelConfig
    template: str = JUDGE_TEMPLATE
    max_tokens: int = 200


class SamplingConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything `sample` needs. Paths are relative to the working directory.

    Attributes:
        output_dir: gets one folder a model, with one file a prompt.
        prompts: None only with --from-tokens.
        samples: responses a prompt.
        max_tokens: most tokens of a response.
        temperature, top_p: of the draws.
        top_logprobs: candidates listed at each position; 0 asks for no log-probabilities.
        seed: None draws anew each time; servers may ignore it.
        judge: of pairs of continuations, with --from-tokens and two models.
    """

    output_dir: str
    models: tuple[ModelConfig, ...]
    prompts: PromptSource | None = None
    samples: int = 1
    max_tokens: int = 256
    temperature: float = 1.0
    top_p: float = 1.0
    top_logprobs: int = 20
    seed: int | None = None
    judge: JudgeConfig | None = None


def read_config(path: Path, *, from_tokens: bool | None = None) -> SamplingConfig:
    """Read and check a configuration.

    Args:
        from_tokens: as for `problem_of`.

    Raises:
        InputError: no such file, no YAML, an unknown or impossible field: one sentence.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"the configuration {path} cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise InputError(f"the configuration {str(path)!r} cannot be read ({error})") from error
    return parse_config(data, str(path), from_tokens=from_tokens)


def parse_config(
    data: bytes | str, shown: str, *, from_tokens: bool | None = None
) -> SamplingConfig:
    """The same from YAML text.

    Args:
        shown: what the text is called in messages.

    Raises:
        InputError: as read_config.
    """
    try:
        values = yaml_value(data)
        config = msgspec.convert(values, SamplingConfig)
    except YamlProblem as error:
        raise InputError(f"{shown}: {error}") from error
    except msgspec.ValidationError as error:
        # from None: the cause may hold what was written in place of a name, such as a key
        raise InputError(f"{shown}: {readable(str(error), SamplingConfig)}") from None
    except UnicodeError:
        raise InputError(
            f"{shown}: the name or the choice of a field holds half of a character (a lone "
            "surrogate, \\ud800 to \\udfff); write the whole character"
        ) from None
    problem = problem_of(config, from_tokens=from_tokens)
    if problem:
        raise InputError(f"{shown}: {problem}")
    return config


def write_config(path: Path, config: SamplingConfig) -> None:
    """Write a configuration that read_config reads back the same."""
    path.write_text(config_text(config), encoding="utf-8")


def config_text(config: SamplingConfig) -> str:
    """The configuration as YAML, without what is left at its default."""
    return msgspec.yaml.encode(_bare(msgspec.to_builtins(config), config)).decode()


def _bare(values: Any, record: Any) -> Any:
    """Built-in values of a record without the fields that have their defaults."""
    if isinstance(record, tuple):
        return [_bare(value, one) for value, one in zip(values, record, strict=True)]
    if not isinstance(record, msgspec.Struct):
        return values
    found = {}
    for field in msgspec.structs.fields(record):
        value = getattr(record, field.name)
        default = field.default
        if field.default_factory is not msgspec.NODEFAULT:
            default = field.default_factory()
        if value != default:
            found[field.name] = _bare(values[field.name], value)
    return found


def problem_of(config: SamplingConfig, *, from_tokens: bool | None = None) -> str | None:
    """What cannot be in a configuration whose fields are well formed, None where all is well.

    Args:
        from_tokens: whether started answers take the place of prompts; None where not known.
    """
    return next(problems(config, from_tokens), None)


def settled(config: SamplingConfig, model: ModelConfig) -> ModelConfig:
    """The model with the settings for all models where it has none of its own."""
    shared = ("samples", "max_tokens", "temperature", "top_p", "top_logprobs")
    missing = [name for name in shared if getattr(model, name) is None]
    return msgspec.structs.replace(model, **{name: getattr(config, name) for name in missing})


def sampling_of(config: SamplingConfig, model: ModelConfig) -> dict[str, Any]:
    """What decides which responses a model gives to a prompt, for the files of responses.

    Without the number of samples, prices and names; without what is at its default. Folders of
    a local model have their whole paths, for two may share their last part; `dtype` is among
    the settings, since rounding changes what is drawn.
    """
    whole = settled(config, model)
    numbers = ("max_tokens", "temperature", "top_p", "top_logprobs")
    found = {"api": whole.api} | {name: getattr(whole, name) for name in numbers}
    found |= {} if config.seed is None else {"seed": config.seed}
    bare: dict[str, Any] = _bare(msgspec.to_builtins(whole), whole)
    found |= {name: bare[name] for name in _DECIDING if name in bare}
    folders = {"folder": model.name, "adapter": model.adapter} if model.api == "local" else {}
    folders["tokenizer"] = model.tokenizer
    for name, value in folders.items():
        path = Path(value).expanduser() if value is not None else None
        if path is not None and path.is_dir():
            found[name] = str(path.resolve())
    return found
