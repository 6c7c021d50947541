"""What cannot be in a configuration whose fields are well formed, one sentence each."""

from __future__ import annotations

import math
import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kl_core.addresses import check_address
from kl_core.errors import InputError
from kl_core.formats.prompt_fields import parse_path

if TYPE_CHECKING:
    from kl_core.formats.sampling_config import (
        JudgeConfig,
        ModelConfig,
        PromptSource,
        SamplingConfig,
    )

MOST_LOGPROBS = 20
TEMPLATE_FIELDS = ("prompt", "prefix", "a", "b")
_SECRET = re.compile(r"(?i)(api[-_]?key|authorization|secret|password|bearer|access[-_]?token)")
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


def problems(config: SamplingConfig, from_tokens: bool | None) -> Iterator[str]:
    """Every problem of a configuration.

    Args:
        from_tokens: whether started answers take the place of prompts; None where not known.
    """
    if not config.output_dir.strip():
        yield "output_dir is empty; name a folder for the responses"
    yield from _counts(config, "", ("samples", "max_tokens"))
    yield from _draws(config, "")
    yield from _logprobs(config.top_logprobs, "top_logprobs", [m.api for m in config.models])
    if config.prompts is not None:
        yield from _prompts(config.prompts)
    elif from_tokens is False:
        yield (
            "there are no prompts; add prompts with a file, a dataset or texts, or pass "
            "--from-tokens"
        )
    if not config.models:
        yield "models is empty; list at least one model with its name"
    for number, model in enumerate(config.models):
        yield from _model(model, f"models[{number}]")
    yield from _folders(config.models)
    if config.judge is not None:
        yield from _judge(config.judge, len(config.models))
        if any(model.folder == "tie" for model in config.models):
            yield "a model's folder is named tie, as a verdict is; give the model another label"


def _counts(record: Any, at: str, names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        value = getattr(record, name)
        if value is not None and value < 1:
            yield f"{at}{name} is {value}; give 1 or more"


def _draws(record: Any, at: str) -> Iterator[str]:
    heat, top_p = record.temperature, record.top_p
    if heat is not None and not 0 <= heat < math.inf:
        yield f"{at}temperature is {heat:g}; give 0 or more"
    if top_p is not None and not 0 < top_p <= 1:
        yield f"{at}top_p is {top_p:g}; give more than 0 and at most 1"


def _logprobs(value: int | None, name: str, apis: list[str]) -> Iterator[str]:
    if value is None:
        return
    if value < 0:
        yield f"{name} is {value}; give 0 to {MOST_LOGPROBS}"
    elif value > MOST_LOGPROBS and set(apis) - {"local"}:
        yield (
            f"{name} is {value}, and servers list at most {MOST_LOGPROBS} candidates; "
            f"give 0 to {MOST_LOGPROBS}"
        )


def _prompts(source: PromptSource) -> Iterator[str]:
    given = [name for name in ("file", "dataset", "texts") if getattr(source, name) is not None]
    if len(given) != 1:
        found = " and ".join(given) or "none of them"
        yield f"prompts needs one of file, dataset and texts, and has {found}"
        return
    if not getattr(source, given[0]):
        yield f"prompts.{given[0]} is empty"
    yield from _counts(source, "prompts.", ("count",))
    least, most = source.min_chars, source.max_chars
    if least is not None and least < 0:
        yield f"prompts.min_chars is {least}; give 0 or more"
    if most is not None and most < max(least or 0, 1):
        yield f"prompts.max_chars is {most}; give {max(least or 0, 1)} or more"
    for name in ("field", "language_field"):
        path = getattr(source, name)
        try:
            parse_path(path or "prompt")
        except InputError as error:
            yield f"prompts.{name}: {error}"
    if source.dataset is None:
        for name in ("subset", "revision"):
            if getattr(source, name) is not None:
                yield f"prompts.{name} is of a dataset, and the prompts come from {given[0]}"
    if source.texts is not None and (source.field or source.language):
        yield "prompts.field and prompts.language are of records, and texts are none; drop them"


def _model(model: ModelConfig, at: str) -> Iterator[str]:
    name = model.name.strip()
    if not name:
        yield f"{at}.name is empty; name a model"
        return
    yield from _counts(model, f"{at}.", ("samples", "max_tokens"))
    yield from _draws(model, f"{at}.")
    yield from _logprobs(model.top_logprobs, f"{at}.top_logprobs", [model.api])
    for price in ("input_price", "output_price"):
        value = getattr(model, price)
        if value is not None and not 0 <= value < math.inf:
            yield f"{at}.{price} is {value:g}; give dollars per million tokens, 0 or more"
    yield from _label(model, at)
    yield from _key(model, at)
    yield from _address(model, at)
    yield from _misplaced(model, at)
    yield from _extra(model.extra_body, f"{at}.extra_body")
    if model.providers and model.api != "openai":
        yield f"{at}.providers is for OpenRouter, and {name} has api: {model.api}; leave it out"
    if model.continue_by == "completion":
        yield from _completion(model, at)


def _label(model: ModelConfig, at: str) -> Iterator[str]:
    label = model.label
    if label is None:
        return
    outside = label in {"", ".", ".."} or label != label.strip() or label.startswith(".")
    if outside or len(label) > 100 or re.search(r'[/\\:*?"<>|\x00-\x1f]', label):
        yield (
            f"{at}.label must be the name of one folder inside output_dir: letters, digits, "
            "hyphens, not beginning with a dot, at most 100 characters"
        )


def looks_like_name(key_env: str) -> bool:
    """Whether a text can be the name of an environment variable rather than a key."""
    if not re.fullmatch(r"[A-Z_][A-Z0-9_]{0,63}|[a-z_][a-z0-9_]{0,63}", key_env):
        return False
    digits = sum(character.isdigit() for character in key_env)
    return len(key_env) <= 20 or ("_" in key_env and digits <= len(key_env) // 4)


def _key(model: ModelConfig, at: str) -> Iterator[str]:
    if model.key_env is not None and not looks_like_name(model.key_env):
        yield (  # what stands there may be a key: it is never shown
            f"{at}.key_env must be the name of an environment variable, such as "
            "OPENROUTER_API_KEY; if it is the key itself, take it out of the file and replace it "
            "at the provider"
        )
    if model.key_env is not None and model.api == "local":
        yield f"{at}.key_env is of a server, and {model.name} is local; leave it out"
    if model.key_env not in (None, "GEMINI_API_KEY", "GOOGLE_API_KEY") and model.api == "gemini":
        yield f"{at}.key_env is for api: openai; Gemini takes GEMINI_API_KEY or GOOGLE_API_KEY"


def _address(model: ModelConfig, at: str) -> Iterator[str]:
    if model.base_url is None:
        if model.api == "openai":
            yield (
                f"{at} has no base_url; give the address of its server, such as "
                "https://openrouter.ai/api/v1 or http://127.0.0.1:8000/v1, or api: gemini or local"
            )
        return
    if model.api == "local":
        yield f"{at}.base_url is of a server, and {model.name} is local; leave it out"
        return
    try:
        keyed = model.api == "gemini" or model.key_env is not None
        check_address(model.base_url, f"{at}.base_url", keyed)
    except InputError as error:
        yield str(error)


def _misplaced(model: ModelConfig, at: str) -> Iterator[str]:
    """Fields that another kind of model has."""
    kinds = {
        "gemini": ("project_id", "location"),
        "local": ("adapter",),
    }
    for api, names in kinds.items():
        for name in names:
            if model.api != api and getattr(model, name) is not None:
                yield f"{at}.{name} is for api: {api}, and {model.name} has api: {model.api}"
    if model.location is not None and model.project_id is None and model.api == "gemini":
        yield f"{at}.location is of Vertex AI and needs project_id"
    if model.extra_body and model.api != "openai":
        yield f"{at}.extra_body is for api: openai, and {model.name} has api: {model.api}"


def _extra(value: Any, at: str) -> Iterator[str]:
    """What JSON cannot hold, and what looks like a key."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if not isinstance(name, str):
                yield f"{at} has a field whose name is not text; write it in quotes"
            elif _SECRET.search(name):
                yield (
                    f"{at} has a field {name!r}: keys are never written into this file; name an "
                    "environment variable with key_env"
                )
            else:
                yield from _extra(inner, f"{at}.{name}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _extra(inner, f"{at}[{number}]")
    elif not isinstance(value, str | int | float | bool | None) or (
        isinstance(value, float) and not math.isfinite(value)
    ):
        yield f"{at} is a {type(value).__name__} that JSON cannot hold; write it in quotes"


def _completion(model: ModelConfig, at: str) -> Iterator[str]:
    if model.api != "openai":
        yield (
            f"{at}.continue_by: completion is for api: openai, and {model.name} has api: "
            f"{model.api}; leave it out"
        )
        return
    where = model.tokenizer or model.name
    if not _HUB_ID.fullmatch(where) and not Path(where).expanduser().is_dir():
        yield (
            f"{at}.continue_by: completion needs a tokenizer, and {where!r} is neither a folder "
            "nor a hub id; set tokenizer"
        )


def _folders(models: tuple[ModelConfig, ...]) -> Iterator[str]:
    seen: dict[str, str] = {}
    for model in models:
        key = model.folder.casefold()
        if key in seen:
            yield (
                f"{seen[key]} and {model.name} would both write to the folder {model.folder!r}; "
                "give one of them a label"
            )
        seen.setdefault(key, model.name)


def _judge(judge: JudgeConfig, models: int) -> Iterator[str]:
    if models < 2:
        yield f"judge compares two models, and models lists {models}; add one or leave judge out"
    yield from _counts(judge, "judge.", ("max_tokens",))
    fields = _template_fields(judge.template)
    other = sorted(fields - set(TEMPLATE_FIELDS))
    if other:
        yield (
            "judge.template has a brace that is none of {prompt}, {prefix}, {a} and {b}; write "
            "{{ and }} for braces of the text"
        )
    missing = [f"{{{name}}}" for name in TEMPLATE_FIELDS if name not in fields]
    if missing and not other:
        yield f"judge.template lacks {', '.join(missing)}; the judge must see all of it"
    yield from _model(judge.model, "judge.model")


def _template_fields(template: str) -> set[str]:
    """What stands in braces, with conversions and forms, which no field may have."""
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError:
        return {"{"}
    return {f"{name}{form or ''}{way or ''}" for _, name, form, way in parts if name is not None}
