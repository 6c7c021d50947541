"""What a run of `sample` was asked, read from its command and its configuration."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from kl_core.errors import KLExplorerError
from kl_core.formats import sampling_config
from kl_core.formats.sampling_config import SamplingConfig
from kl_core.store import runs
from kl_core.store.sampled import SampledModel
from kl_core.ui import endpoint_keys, figures, folders, gemini_settings, progress, visible
from kl_core.ui.command_options import CommandOptions
from kl_core.ui.sample_form import RUN_OPTIONS

_WHOLE = ("max_concurrent", "max_retries")
_COMMAND = CommandOptions(
    ("overwrite", "yes"), _WHOLE, [name for name in RUN_OPTIONS if name not in _WHOLE]
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A run's configuration and options.

    Attributes:
        config: None where its file is gone or was made for another version.
        options: of RUN_OPTIONS, those that were given.
        from_tokens: started answers took the place of prompts.
    """

    config: SamplingConfig | None = None
    options: dict[str, Any] = field(default_factory=dict)
    from_tokens: bool = False


def of(run_dir: Path) -> Asked:
    """What is known of it."""
    try:
        words = shlex.split(progress.command_of(run_dir))
    except ValueError:
        return Asked()
    found = options_in(words)
    config = _frozen(run_dir) or _config(found.get("config"))
    options = {name: found[name] for name in RUN_OPTIONS if name in found}
    return Asked(config, options, "from_tokens" in found)


def options_in(words: Sequence[str]) -> dict[str, Any]:
    """The options of a command that `launch` wrote; what cannot be read is left out."""
    return _COMMAND.read(words)


def _frozen(run_dir: Path) -> SamplingConfig | None:
    """As the worker froze it: the file may be gone or changed since."""
    try:
        request = runs.read_params(run_dir).get("request")
        asked = request.get("config") if isinstance(request, dict) else None
        return None if asked is None else msgspec.convert(asked, SamplingConfig)
    except (KLExplorerError, msgspec.ValidationError):
        return None


def _config(path: str | None) -> SamplingConfig | None:
    if not path:
        return None
    try:
        return sampling_config.read_config(runs.REPOSITORY / path)
    except KLExplorerError:
        return None


def heading(asked: Asked) -> str:
    """Which run this is, in one line."""
    config = asked.config
    if config is None:
        return "Sampling"
    names = [named(model.name, 40) for model in config.models]
    more = f" and {figures.counted(len(names) - 3, 'more model')}" if len(names) > 3 else ""
    parts = [", ".join(names[:3]) + more]
    parts.append("from started answers" if asked.from_tokens else _prompts(config))
    parts.append(f"{figures.counted(config.samples, 'sample')} a prompt")
    return " · ".join(part for part in parts if part)


def _prompts(config: SamplingConfig) -> str:
    source = config.prompts
    if source is None:
        return ""
    if source.texts is not None:
        return figures.counted(len(source.texts), "prompt")
    name = Path(source.file).name if source.file else source.dataset or ""
    return f"prompts of {named(name, 40)}"


def named(name: str, limit: int = 48) -> str:
    """A name in one line without what hides in it; of a long one, both of its ends."""
    return figures.shortened(visible.plain(name, 10 * limit), limit)


def all_local(config: SamplingConfig | None) -> bool:
    """Whether every model is asked on this machine, which charges nothing."""
    if config is None or not config.models:
        return False
    return all(
        model.api == "local" or gemini_settings.is_loopback(model.base_url or "")
        for model in config.models
    )


def names(asked: Asked, models: Sequence[SampledModel]) -> list[str]:
    """Every name by which the run's worker may call one of its models."""
    found = [(model.name, model.folder) for model in models]
    for model in asked.config.models if asked.config is not None else ():
        found.append((model.name, model.folder))
        if model.api == "local":
            found.append((Path(model.name).name, model.folder))
    return [said for name, folder in found for said in (name, f"{name} ({folder})")]


def prompts_each(asked: Asked, models: Sequence[SampledModel]) -> int | None:
    """How many prompts every model has; None where that is not known."""
    config = asked.config
    if config is None or len(config.models) != len(models):
        return None
    samples = [model.samples or config.samples for model in config.models]
    found = {divmod(model.wanted, each) for model, each in zip(models, samples, strict=True)}
    (prompts, rest) = next(iter(found), (0, 0))
    return prompts if len(found) == 1 and prompts and not rest else None


def any_provider(config: SamplingConfig | None) -> bool:
    """Whether OpenRouter may choose the provider of a model that is asked for log-probabilities."""
    return config is not None and any(
        model.api == "openai"
        and not model.providers
        and endpoint_keys.usual(model.base_url) == "OPENROUTER_API_KEY"
        and (config.top_logprobs if model.top_logprobs is None else model.top_logprobs)
        for model in config.models
    )


def folder_of(config: SamplingConfig | None, model: SampledModel) -> Path:
    """The folder of a model's responses, from anywhere in the app."""
    path = Path(model.folder).expanduser()
    if not path.is_absolute() and config is not None and len(path.parts) == 1:
        path = Path(config.output_dir).expanduser() / path
    return runs.REPOSITORY / path


def shown(path: Path) -> str:
    """A folder for a sentence."""
    return visible.plain(folders.shown(path), 160)
