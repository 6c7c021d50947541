"""What the Sample page's fields say as a configuration, and the way back.

Fields by name: those of PromptSource and SamplingConfig under their own names where they can be
(`draw_seed` is the prompts' seed), those of a model under `m<row>.<name>`; `rows` lists the rows.
What a loaded file says beyond the form (extra_body, judge, an adapter …) stays in `base`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec

from kl_core.errors import InputError
from kl_core.formats.sampling_config import Api, ModelConfig, PromptSource, SamplingConfig

Values = Mapping[str, Any]
SERVERS = {
    "openrouter": ("OpenRouter", "https://openrouter.ai/api/v1"),
    "openai": ("OpenAI", "https://api.openai.com/v1"),
    "here": ("A server on this machine", "http://127.0.0.1:8000/v1"),
    "other": ("Another address", ""),
}
"""Suggestions: label, base URL."""
REASONING = {"open": None, "off": False, "on": True}
SEPARATOR = "---"
_CHOOSING = ("min_chars", "max_chars", "select", "count", "system")
_RECORDS = ("field", "language", "language_field")
_DATASET = ("dataset", "subset", "split", "revision")
_SAMPLING = ("samples", "max_tokens", "temperature", "top_p", "top_logprobs", "seed")
_MODEL = ("label", "project_id", "location", "input_price", "output_price", "max_tokens", "samples")
_VERTEX = ("project_id", "location")
_WHOLE = ("min_chars", "max_chars", "count", "samples", "max_tokens", "top_logprobs", "seed")
_FORM = {"name", "api", "base_url", "key_env", "providers", "reasoning", *_MODEL}


def field(row: int, name: str) -> str:
    """Name of a model's field."""
    return f"m{row}.{name}"


def of_row(values: Values, row: int) -> dict[str, Any]:
    """A model's fields under their own names."""
    start = field(row, "")
    return {name[len(start) :]: v for name, v in values.items() if name.startswith(start)}


def texts_of(values: Values) -> tuple[str, ...]:
    """The prompts that are written, one a line, or parted by lines of three hyphens."""
    lines = str(values.get("texts") or "").replace("\r\n", "\n").split("\n")
    if not values.get("several"):
        return tuple(line.strip() for line in lines if line.strip())
    parts: list[list[str]] = [[]]
    for line in lines:
        if line.strip() == SEPARATOR:
            parts.append([])
        else:
            parts[-1].append(line)
    return tuple(text for part in parts if (text := "\n".join(part).strip("\n")).strip())


def prompts_of(way: str, values: Values) -> PromptSource:
    """The prompts' part of the configuration."""
    given = _given(values, _CHOOSING)
    if values.get("draw_seed") is not None and given.get("select") == "random":
        given["seed"] = int(values["draw_seed"])
    if way == "write":
        return PromptSource(texts=texts_of(values), **given)
    given |= _given(values, ("field", "language"))
    if "language" in given:
        given |= _given(values, ("language_field",))
    names = ("file",) if way == "file" else _DATASET
    return PromptSource(**given, **_given(values, names))


def model_of(values: Values, row: int) -> ModelConfig:
    """One row's model, over what a loaded file said of it beyond the form."""
    own = of_row(values, row)
    api = cast("Api", own.get("api") or "openai")
    given = _given(own, [name for name in _MODEL if api == "gemini" or name not in _VERTEX])
    given |= {"name": own.get("name") or "", "api": api}
    if api == "openai":
        given |= {"base_url": base_url(own), "key_env": own.get("key_env")}
        given["reasoning"] = REASONING.get(own.get("reasoning") or "open")
        if has_providers(own):
            given["providers"] = words(own.get("providers"))
    elif api == "gemini":
        reasoning = REASONING.get(own.get("reasoning") or "open")
        given |= {"base_url": own.get("base_url"), "reasoning": reasoning}
    return msgspec.structs.replace(own.get("base") or ModelConfig(name=""), **given)


def has_providers(own: Values) -> bool:
    """Whether a row's server may be OpenRouter, which alone knows providers."""
    server = own.get("server") or "openrouter"
    return server in ("openrouter", "other") or bool(own.get("providers"))


def base_url(own: Values) -> str | None:
    """The address of a row of an OpenAI-shaped server."""
    server = own.get("server") or "openrouter"
    if server in ("openrouter", "openai"):
        return SERVERS[server][1]
    typed = str(own.get("base_url") or "").rstrip("/")
    return typed or (SERVERS["here"][1] if server == "here" else None)


def words(text: str | None) -> tuple[str, ...]:
    """Words between commas."""
    return tuple(word.strip() for word in str(text or "").split(",") if word.strip())


def config_of(way: str, values: Values, new_folder: str) -> SamplingConfig:
    """Everything that `sample` is asked.

    Args:
        new_folder: gets the responses where no folder is named.
    """
    given: dict[str, Any] = {
        "output_dir": values.get("output_dir") or new_folder,
        "models": tuple(model_of(values, row) for row in values.get("rows") or ()),
        "prompts": prompts_of(way, values),
        **_given(values, _SAMPLING),
    }
    base = values.get("base")
    return msgspec.structs.replace(base, **given) if base else SamplingConfig(**given)


def values_of(config: SamplingConfig) -> tuple[str, dict[str, Any]]:
    """(way, fields) of a configuration; the inverse of config_of.

    Raises:
        InputError: prompts that the form cannot show.
    """
    found: dict[str, Any] = {name: getattr(config, name) for name in _SAMPLING}
    found |= {"output_dir": config.output_dir, "rows": list(range(len(config.models)))}
    for row, model in enumerate(config.models):
        found |= {field(row, name): value for name, value in _row_of(model).items()}
    if config.judge is not None:
        found["base"] = SamplingConfig(output_dir="", models=(), judge=config.judge)
    source = config.prompts
    if source is None:
        return "write", found
    found |= {name: getattr(source, name) for name in (*_CHOOSING, *_RECORDS)}
    found["draw_seed"] = source.seed or None
    if source.texts is not None:
        return "write", found | _written(source.texts)
    if source.file is not None:
        return "file", found | {"file": source.file}
    return "dataset", found | {name: getattr(source, name) for name in _DATASET}


def _written(texts: tuple[str, ...]) -> dict[str, Any]:
    several = any("\n" in text for text in texts)
    if several and any(line.strip() == SEPARATOR for text in texts for line in text.split("\n")):
        raise InputError(
            f"a prompt of the file holds a line of {SEPARATOR}, which parts prompts in this form; "
            "put the prompts into a JSON file and name that"
        )
    return {"texts": (f"\n{SEPARATOR}\n" if several else "\n").join(texts), "several": several}


def _row_of(model: ModelConfig) -> dict[str, Any]:
    found: dict[str, Any] = {name: getattr(model, name) for name in _MODEL}
    found |= {"name": model.name, "api": model.api, "key_env": model.key_env}
    found |= {"base_url": model.base_url, "reasoning": _word_of(model.reasoning)}
    found["providers"] = ", ".join(model.providers) or None
    if model.api == "openai":
        found["server"] = _server_of(model.base_url or "")
    bare = msgspec.structs.replace(model, **{name: _default(name) for name in _FORM})
    return found | ({"base": bare} if bare != ModelConfig(name="") else {})


def _word_of(reasoning: bool | None) -> str:
    return next(word for word, value in REASONING.items() if value is reasoning)


def _default(name: str) -> Any:
    return "" if name == "name" else getattr(ModelConfig(name=""), name)


def _server_of(address: str) -> str:
    named = (key for key in ("openrouter", "openai") if SERVERS[key][1] == address.rstrip("/"))
    local = address.startswith(("http://127.", "http://localhost", "http://[::1]"))
    return next(named, "here" if local else "other")


def beyond(values: Values) -> list[str]:
    """What a loaded file says that the form has no field for, kept as it is."""
    names = ["judge"] if values.get("base") else []
    bases = [values.get(field(row, "base")) for row in values.get("rows") or ()]
    plain = ModelConfig(name="")
    names += [
        each.name
        for each in msgspec.structs.fields(ModelConfig)
        if any(base and getattr(base, each.name) != getattr(plain, each.name) for base in bases)
    ]
    return names


def _given(values: Values, names: Any) -> dict[str, Any]:
    """Those that are set; whole numbers as such, whatever the widget made of them."""
    found = {name: values.get(name) for name in names}
    return {
        name: int(v) if name in _WHOLE else v for name, v in found.items() if v not in (None, "")
    }
