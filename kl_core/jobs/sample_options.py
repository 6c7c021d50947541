"""What `sample` is asked: the configuration with whole paths, and what makes a run the same."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from kl_core.errors import InputError
from kl_core.formats.sampling_config import (
    JudgeConfig,
    ModelConfig,
    PromptSource,
    SamplingConfig,
    problem_of,
    read_config,
)
from kl_core.jobs.gemini_options import PoolOptions, SpendOptions
from kl_core.jobs.gemini_plan import Ask
from kl_core.jobs.worker import counted
from kl_core.sources.sample_ask import Place, place_of


@dataclass(frozen=True, slots=True)
class SampleOptions:
    """What defines a run: two runs with equal options and prompts are the same.

    Attributes:
        config: paths in it are absolute, so that a run goes on from wherever it is resumed.
        from_tokens: a file of the `tokens` command; its started answers are the prompts.
        overwrite: ask again for what stands in files already.
    """

    config: SamplingConfig
    from_tokens: Path | None = None
    overwrite: bool = False

    @classmethod
    def read(
        cls,
        path: Path,
        from_tokens: Path | None = None,
        output_dir: Path | None = None,
        overwrite: bool = False,
    ) -> SampleOptions:
        """The options of a configuration file.

        Args:
            output_dir: instead of the configuration's.

        Raises:
            InputError: the file cannot be read, or asks for what cannot be.
        """
        config = read_config(path.expanduser(), from_tokens=from_tokens is not None)
        if output_dir is not None:
            config = msgspec.structs.replace(config, output_dir=str(output_dir))
        tokens = from_tokens.expanduser().resolve() if from_tokens is not None else None
        return cls(whole_paths(config), tokens, overwrite)

    @classmethod
    def thawed(cls, request: dict[str, Any]) -> SampleOptions:
        """The options of a frozen request."""
        tokens = request["from_tokens"]
        config = msgspec.convert(request["config"], SamplingConfig)
        return cls(config, Path(tokens) if tokens else None, bool(request["overwrite"]))

    @property
    def judge(self) -> JudgeConfig | None:
        """Who judges the continuations; None where there are none, or nobody does."""
        return self.config.judge if self.from_tokens is not None else None

    def check(self) -> list[Place]:
        """Where each model is reached, the judge's last, nothing asked yet.

        Raises:
            InputError: there are no prompts, or a model cannot be reached as it stands.
        """
        problem = problem_of(self.config, from_tokens=self.from_tokens is not None)
        if problem:
            raise InputError(problem)
        judge = [self.judge.model] if self.judge is not None else []
        places: list[Place] = []
        problems: list[str] = []
        for model in (*self.config.models, *judge):
            try:
                places.append(place_of(model))
            except InputError as error:
                problems.append(str(error))
        if problems:
            raise InputError("; ".join(dict.fromkeys(problems)))
        return places

    def frozen(self, places: list[Place]) -> dict[str, Any]:
        """As JSON; equal paths are equal however they were typed."""
        return {
            "config": msgspec.json.decode(msgspec.json.encode(self.config)),
            "from_tokens": str(self.from_tokens) if self.from_tokens else None,
            "overwrite": self.overwrite,
            "output_dir": self.config.output_dir,
            "base_url": ", ".join(place.address for place in places if place.endpoint) or None,
            "fingerprint": self._fingerprint(),
        }

    @property
    def source(self) -> str:
        """Where the prompts come from, for sentences."""
        if self.from_tokens is not None:
            return str(self.from_tokens)
        prompts = self.config.prompts
        assert prompts is not None
        return prompts.file or prompts.dataset or "the configuration"

    @property
    def title(self) -> str:
        """For the list of runs."""
        named = ", ".join(model.name.rsplit("/", 1)[-1] for model in self.config.models[:3])
        more = len(self.config.models) - 3
        models = f"{named}{f' and {more} more' if more > 0 else ''}"
        if self.from_tokens is not None:
            return f"{models} going on from {self.from_tokens.name}"
        prompts = self.config.prompts
        if prompts is not None and prompts.texts is not None:
            return f"{models} on {counted(len(prompts.texts), 'written prompt')}"
        return f"{models} on {Path(self.source).name if self._file else self.source}"

    @property
    def _file(self) -> str | None:
        prompts = self.config.prompts
        return None if self.from_tokens or prompts is None else prompts.file

    def _fingerprint(self) -> str:
        """Hash of the prompts' file; a data set of the hub is told by its revision alone."""
        path = self.from_tokens or (Path(self._file) if self._file else None)
        if path is None:
            return ""
        try:
            return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        except OSError as error:
            raise InputError(f"{path} cannot be read ({error.strerror}); check the path") from error


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """What is asked of `sample`.

    Attributes:
        ask: shows the plan to a person and asks whether to start; None where nobody can be
            asked.
    """

    options: SampleOptions
    pool: PoolOptions
    spend: SpendOptions
    ask: Ask | None = None


def whole_paths(config: SamplingConfig) -> SamplingConfig:
    """The same with absolute paths; what is no path here (hub ids) stays."""
    judge = config.judge
    if judge is not None:
        judge = msgspec.structs.replace(judge, model=_whole(judge.model))
    return msgspec.structs.replace(
        config,
        output_dir=str(Path(config.output_dir).expanduser().resolve()),
        prompts=_whole_source(config.prompts),
        models=tuple(_whole(model) for model in config.models),
        judge=judge,
    )


def _whole_source(source: PromptSource | None) -> PromptSource | None:
    if source is None:
        return None
    file = str(Path(source.file).expanduser().resolve()) if source.file else source.file
    return msgspec.structs.replace(source, file=file, dataset=_path_or_name(source.dataset))


def _whole(model: ModelConfig) -> ModelConfig:
    found: dict[str, Any] = {
        "tokenizer": _path_or_name(model.tokenizer),
        "adapter": _path_or_name(model.adapter),
    }
    if model.api == "local":
        found["name"] = _path_or_name(model.name)
    template = model.chat_template
    if template is not None and "{" not in template:
        found["chat_template"] = str(Path(template).expanduser().resolve())
    return msgspec.structs.replace(model, **found)


def _path_or_name(value: str | None) -> str | None:
    """An absolute path where there is a folder of that name, else the name as it is."""
    if value is None:
        return None
    path = Path(value).expanduser()
    return str(path.resolve()) if path.is_dir() else value
