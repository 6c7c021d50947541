"""What `endpoint` is asked."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from kl_core.errors import InputError
from kl_core.jobs.frozen import freeze, thaw
from kl_core.jobs.reading import Input, open_input
from kl_core.models.load import ModelSpec
from kl_core.sources.scored_text import ServerKind

Fallback = Literal["completion", "chat"]
AUTO = "auto"
SERVERS = (AUTO, *get_args(ServerKind))
FALLBACKS = get_args(Fallback)
TOKENIZER_FILES = frozenset({".json", ".txt", ".model", ".jinja"})


@dataclass(frozen=True, slots=True)
class EndpointOptions:
    """What defines a run: two runs with equal options and input are the same.

    Attributes:
        base_url: of the server, `https://host/v1` as a rule.
        server: auto, or which way of scoring a whole response the server offers.
        tokenizer: folder or hub id of model 2's tokenizer; None takes `model2` where that is
            one.
        fallback: how to ask position by position where no response can be scored in one
            request; None does not.
        top_logprobs: length of model 2's lists; None asks for 20 and takes as many as model
            1's list has at each position.
        key_env: the environment variable that holds the server's key.
        revision, trust_remote_code, chat_template, system, raw: of the tokenizer, as in
            `score`.
    """

    input_dir: Path
    model2: str
    base_url: str
    output_dir: Path | None = None
    server: str = AUTO
    tokenizer: str | None = None
    fallback: str | None = None
    top_logprobs: int | None = None
    pattern: str | None = None
    max_files: int | None = None
    key_env: str | None = None
    revision: str | None = None
    trust_remote_code: bool = False
    chat_template: str | None = None
    system: str | None = None
    raw: bool = False

    def open(self) -> Input:
        """The input, cut to `max_files`.

        Raises:
            InputError: nothing to read, or options that make no sense.
        """
        if not self.model2.strip():
            raise InputError("--model2 is empty; name the model as the server spells it")
        _require_one_of("--server", self.server, SERVERS)
        if self.fallback is not None:
            _require_one_of("--fallback", self.fallback, FALLBACKS)
        if self.raw and (self.system or self.chat_template):
            raise InputError(
                "--raw sends prompts without a template; drop it, or --system and --chat-template"
            )
        if self.fallback == "chat" and (self.raw or self.chat_template):
            raise InputError(
                "--fallback chat leaves the template to the server; take --fallback completion "
                "with --raw or --chat-template"
            )
        source = open_input(self.input_dir, self.pattern, to_score=True)
        return replace(source, files=source.files[: self.max_files])

    def frozen(self, source: Input) -> dict[str, Any]:
        """As JSON; equal paths are equal however they were typed."""
        return freeze(self, source) | {
            "base_url": self.base_url.rstrip("/"),
            "tokenizer_fingerprint": self._tokenizer_fingerprint(),
        }

    @classmethod
    def thawed(cls, request: dict[str, Any]) -> EndpointOptions:
        """The options of a frozen request."""
        return thaw(cls, request)

    @property
    def spec(self) -> ModelSpec | None:
        """Which tokenizer to load; None where nothing names one."""
        name = self.tokenizer or (self.model2 if _may_be_tokenizer(self.model2) else None)
        if name is None:
            return None
        return ModelSpec(
            name,
            self.revision,
            trust_remote_code=self.trust_remote_code,
            chat_template=self.chat_template,
            system=self.system,
            raw=self.raw,
        )

    def _tokenizer_fingerprint(self) -> str | None:
        """Of the tokenizer's files and the template, where they are files of this machine."""
        folder = Path(self.tokenizer or self.model2).expanduser()
        files = [
            path
            for path in (sorted(folder.iterdir()) if folder.is_dir() else [])
            if path.is_file() and path.suffix in TOKENIZER_FILES
        ]
        template = Path(self.chat_template) if self.chat_template else None
        if template is not None and "{" not in str(template) and template.is_file():
            files.append(template)
        if not files:
            return None
        digest = hashlib.sha256()
        for path in files:
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
        return digest.hexdigest()[:16]

    @property
    def title(self) -> str:
        """For the list of runs."""
        return f"{self.model2} on {self.input_dir.resolve().name}"


def _may_be_tokenizer(name: str) -> bool:
    """Whether a model's name may also be where its tokenizer is: a folder, or a hub id."""
    return "/" in name or Path(name).expanduser().is_dir()


def _require_one_of(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(f"{option} is {value!r}; choose one of {', '.join(known)}")
