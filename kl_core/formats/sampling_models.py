"""What cannot be in one model of a configuration, one sentence each."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from kl_core.addresses import check_address, is_loopback, parsed
from kl_core.errors import InputError
from kl_core.formats.extra_body import extra_problems
from kl_core.formats.sampling_odd import MOST

if TYPE_CHECKING:
    from kl_core.formats.sampling_config import ModelConfig, SamplingConfig

MOST_LOGPROBS = 20
LEAST_TEMPERATURE = 1e-6
MOST_BYTES = 200
"""Of a folder's name: file systems take 255."""
JUDGEMENTS = "judgements.json"
"""What a judge writes beside the models' folders."""
_MOST_SEED = {"gemini": 2**31 - 1}
_GEMINI = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]*(/[A-Za-z0-9][A-Za-z0-9._@-]*)*")
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")


def count_problems(record: Any, at: str, names: tuple[str, ...]) -> Iterator[str]:
    """Counts below 1.

    Args:
        at: the record's place, with a dot at its end.
    """
    for name in names:
        value = getattr(record, name)
        if value is not None and value < 1:
            yield f"{at}{name} is {value}; give 1 or more"


def draw_problems(record: Any, at: str) -> Iterator[str]:
    """Temperatures and shares that nothing can be drawn with."""
    heat, top_p = record.temperature, record.top_p
    if heat is not None and not 0 <= heat < math.inf:
        yield f"{at}temperature is {heat:g}; give 0 or more"
    elif heat is not None and 0 < heat < LEAST_TEMPERATURE:
        yield (
            f"{at}temperature is {heat:g}, and below {LEAST_TEMPERATURE:g} nothing is left to "
            "draw; give 0 for the likeliest token at each position"
        )
    if top_p is not None and not 0 < top_p <= 1:
        yield f"{at}top_p is {top_p:g}; give more than 0 and at most 1"


def logprobs_problems(value: int | None, name: str, apis: list[str]) -> Iterator[str]:
    """Lists that are longer than servers give."""
    if value is None:
        return
    if value < 0:
        yield f"{name} is {value}; give 0 to {MOST_LOGPROBS}"
    elif value > MOST_LOGPROBS and set(apis) - {"local"}:
        yield (
            f"{name} is {value}, and servers list at most {MOST_LOGPROBS} candidates; "
            f"give 0 to {MOST_LOGPROBS}"
        )


def seed_problems(config: SamplingConfig, model: ModelConfig, at: str) -> Iterator[str]:
    """Seeds that a server does not take, those of all samples: they count up from the first."""
    if config.seed is None:
        return
    most = _MOST_SEED.get(model.api, MOST)
    least = -most - 1
    last = config.seed + (model.samples or config.samples) - 1
    if config.seed < least or last > most:
        yield (
            f"seed {config.seed} makes seeds up to {last} for {at} ({model.name}), which takes "
            f"{least} to {most}; give a smaller number"
        )


def model_problems(model: ModelConfig, at: str) -> Iterator[str]:
    """Every problem of one model.

    Args:
        at: its place, for the sentences.
    """
    name = model.name.strip()
    if not name:
        yield f"{at}.name is empty; name a model"
        return
    if model.api == "gemini" and not _GEMINI.fullmatch(model.name):
        yield (
            f"{at}.name {model.name!r} is no name of a Gemini model, which becomes part of an "
            "address; write it as gemini-2.5-flash"
        )
    yield from count_problems(model, f"{at}.", ("samples", "max_tokens"))
    yield from draw_problems(model, f"{at}.")
    yield from logprobs_problems(model.top_logprobs, f"{at}.top_logprobs", [model.api])
    for price in ("input_price", "output_price"):
        value = getattr(model, price)
        if value is not None and not 0 <= value < math.inf:
            yield f"{at}.{price} is {value:g}; give dollars per million tokens, 0 or more"
    yield from _folder(model, at)
    yield from _key(model, at)
    yield from _address(model, at)
    yield from _misplaced(model, at)
    yield from extra_problems(model.extra_body, f"{at}.extra_body")
    yield from _providers(model, at)
    if model.continue_by == "completion":
        yield from _completion(model, at)


def _folder(model: ModelConfig, at: str) -> Iterator[str]:
    label = model.label
    if label is not None:
        outside = label in {"", ".", ".."} or label != label.strip() or label.startswith(".")
        if outside or re.search(r'[/\\:*?"<>|\x00-\x1f]', label):
            yield (
                f"{at}.label must be the name of one folder inside output_dir: letters, digits, "
                "hyphens, not beginning with a dot"
            )
            return
    size = len(model.folder.encode())
    if size > MOST_BYTES:
        yield (
            f"the folder of {at} would have a name of {size} bytes; give it a label of at most "
            f"{MOST_BYTES}"
        )
    if model.folder.casefold() == JUDGEMENTS:
        yield (
            f"the folder of {at} would be named {JUDGEMENTS}, as the file of a judge's verdicts "
            "is; give it another label"
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
    """Fields that another kind of model has, and that would change nothing."""
    for name, apis in _ONLY.items():
        if model.api not in apis and getattr(model, name) != _default(model, name):
            yield (
                f"{at}.{name} is for api: {' or '.join(apis)}, and {model.name} has api: "
                f"{model.api}; leave it out"
            )
    if model.location is not None and model.project_id is None and model.api == "gemini":
        yield f"{at}.location is of Vertex AI and needs project_id"


_ONLY = {
    "project_id": ("gemini",),
    "location": ("gemini",),
    "adapter": ("local",),
    "dtype": ("local",),
    "device": ("local",),
    "reasoning": ("openai", "gemini"),
    "extra_body": ("openai",),
    "tokenizer": ("openai",),
    "revision": ("openai", "local"),
    "trust_remote_code": ("openai", "local"),
    "chat_template": ("openai", "local"),
    "raw": ("openai", "local"),
}
"""Which kinds of models read a field; an openai one its tokenizer's, for `completion`."""


def _default(model: ModelConfig, name: str) -> Any:
    fields = msgspec.structs.fields(model)
    found = next(field for field in fields if field.name == name)
    made = found.default_factory
    return found.default if made is msgspec.NODEFAULT else made()


def _providers(model: ModelConfig, at: str) -> Iterator[str]:
    if not model.providers:
        return
    if model.api != "openai":
        yield (
            f"{at}.providers is for OpenRouter, and {model.name} has api: {model.api}; leave it out"
        )
    elif model.base_url is not None and not (_openrouter(model) or is_loopback(_host(model))):
        yield (
            f"{at}.providers is for openrouter.ai, and {model.name} is asked at {_host(model)}; "
            "leave it out, or change base_url"
        )


def _host(model: ModelConfig) -> str:
    parts = parsed(model.base_url or "")
    return (parts.hostname or "") if parts is not None else ""


def _openrouter(model: ModelConfig) -> bool:
    host = _host(model)
    return host == "openrouter.ai" or host.endswith(".openrouter.ai")


def _completion(model: ModelConfig, at: str) -> Iterator[str]:
    if model.api != "openai":
        yield (
            f"{at}.continue_by: completion is for api: openai, and {model.name} has api: "
            f"{model.api}; leave it out"
        )
        return
    if _openrouter(model):
        yield (
            f"{at}.continue_by: completion sends token ids, and openrouter.ai takes none; use "
            "continue_by: chat"
        )
    if model.reasoning is not None:
        yield (
            f"{at}.reasoning changes nothing in continue_by: completion, where the chat template "
            "is written out here; leave one of them out"
        )
    where = model.tokenizer or model.name
    if not _HUB_ID.fullmatch(where) and not Path(where).expanduser().is_dir():
        yield (
            f"{at}.continue_by: completion needs a tokenizer, and {where!r} is neither a folder "
            "nor a hub id; set tokenizer"
        )
