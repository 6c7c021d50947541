"""What cannot be in a configuration whose fields are well formed, one sentence each."""

from __future__ import annotations

import string
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kl_core.errors import InputError
from kl_core.formats.prompt_fields import parse_path
from kl_core.formats.sampling_models import (
    count_problems,
    draw_problems,
    logprobs_problems,
    model_problems,
    seed_problems,
)
from kl_core.formats.sampling_odd import odd

if TYPE_CHECKING:
    from kl_core.formats.sampling_config import (
        JudgeConfig,
        ModelConfig,
        PromptSource,
        SamplingConfig,
    )

TEMPLATE_FIELDS = ("prompt", "prefix", "a", "b")


def problems(config: SamplingConfig, from_tokens: bool | None) -> Iterator[str]:
    """Every problem of a configuration.

    Args:
        from_tokens: whether started answers take the place of prompts; None where not known.
    """
    unusable = list(odd(config))
    if unusable:  # the other checks could not even look at these
        yield from unusable
        return
    if not config.output_dir.strip():
        yield "output_dir is empty; name a folder for the responses"
    yield from count_problems(config, "", ("samples", "max_tokens"))
    yield from draw_problems(config, "")
    yield from logprobs_problems(
        config.top_logprobs, "top_logprobs", [m.api for m in config.models]
    )
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
        yield from model_problems(model, f"models[{number}]")
        yield from seed_problems(config, model, f"models[{number}]")
    yield from _folders(config.models)
    if config.judge is not None:
        yield from _judge(config.judge, len(config.models))
        if any(model.folder == "tie" for model in config.models):
            yield "a model's folder is named tie, as a verdict is; give the model another label"


def _prompts(source: PromptSource) -> Iterator[str]:
    given = [name for name in ("file", "dataset", "texts") if getattr(source, name) is not None]
    if len(given) != 1:
        found = " and ".join(given) or "none of them"
        yield f"prompts needs one of file, dataset and texts, and has {found}"
        return
    if not getattr(source, given[0]):
        yield f"prompts.{given[0]} is empty"
    yield from count_problems(source, "prompts.", ("count",))
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
    yield from count_problems(judge, "judge.", ("max_tokens",))
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
    yield from model_problems(judge.model, "judge.model")


def _template_fields(template: str) -> set[str]:
    """What stands in braces, with conversions and forms, which no field may have."""
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError:
        return {"{"}
    return {f"{name}{form or ''}{way or ''}" for _, name, form, way in parts if name is not None}
