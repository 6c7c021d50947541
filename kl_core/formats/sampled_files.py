"""The files that sampling writes: one a prompt, which may be completed later."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from kl_core.errors import FormatError, InputError
from kl_core.formats.fields import read_prompt
from kl_core.formats.started import Origin
from kl_core.records import Prompt

_HINT = "Choose another output folder, or pass --overwrite."
_LONGEST = 60


@dataclass(frozen=True, slots=True)
class SampledFile:
    """One prompt's responses by one model, as they stand in a file.

    Attributes:
        model: as the server spells it.
        sampling: the settings, `sampling_config.sampling_of`.
        responses: items of the file by the number of the sample.
        continued_from: the token at which a started answer was taken up.
    """

    prompt: Prompt
    model: str
    sampling: dict[str, Any]
    responses: dict[int, dict[str, Any]] = field(default_factory=dict)
    continued_from: Origin | None = None

    def missing(self, samples: int) -> list[int]:
        """Numbers below `samples` without a response."""
        return [number for number in range(samples) if number not in self.responses]


def file_name(prompt: Prompt, origin: Origin | None = None) -> str:
    """The name of a prompt's file, the same for every model.

    The first words of the last user turn, and twelve digits of a hash of all turns, which keep
    a hundred thousand prompts apart that begin alike; a started answer also names the response
    and the position it was taken from.
    """
    asked = [turn.content for turn in prompt if turn.role == "user"] or [""]
    digest = hashlib.sha256(msgspec.json.encode([(t.role, t.content) for t in prompt]))
    place = ""
    if origin is not None:
        stem = PurePosixPath(origin.source_file).name.split(".", 1)[0].removesuffix("_kl")
        place = f"-{_slug(stem, 30)}-r{origin.response_idx}-t{origin.token_position}"
        digest.update(origin.place.encode())
    words = _slug(asked[-1], _LONGEST if origin is None else 30)
    return f"{words}{place}-{digest.hexdigest()[:12]}.json"


def existing(path: Path) -> SampledFile | None:
    """What a file holds that sampling wrote earlier; None where there is no file.

    Raises:
        FormatError: something else is in it, or it cannot be read.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FormatError(f"it cannot be read ({error.strerror})", hint=_HINT) from error
    try:
        raw = msgspec.json.decode(data, type=_File)
        numbered = {_number(item["sample"]): item for item in raw.responses}
        if len(numbered) < len(raw.responses):
            raise ValueError("a number stands twice")
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise FormatError(
            "the file was not written by sample, so it is left as it is", hint=_HINT
        ) from error
    prompt = read_prompt(raw.prompt, "$.prompt")
    return SampledFile(prompt, raw.model, raw.sampling, numbered, raw.continued_from)


def _number(value: object) -> int:
    """Which of a prompt's samples an item is.

    Raises:
        ValueError: `sample` writes no such number.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < MOST_SAMPLES:
        raise ValueError(f"{value!r} is no number of a sample")
    return value


def difference(found: SampledFile, wanted: SampledFile) -> str | None:
    """Why a file cannot be completed with responses of `wanted`; None where it can."""
    if found.prompt != wanted.prompt:
        return "it holds another prompt"
    if found.model != wanted.model:
        return f"it holds responses of {found.model}, not of {wanted.model}"
    names = sorted(found.sampling.keys() | wanted.sampling.keys())
    for name in names:
        old, new = found.sampling.get(name), wanted.sampling.get(name)
        if old != new:
            return f"it was sampled with {name} {_shown(old)}, now {_shown(new)} is asked"
    return None


def write_file(path: Path, sampled: SampledFile) -> None:
    """Replace the file as a whole, responses in the order of their numbers; strict JSON.

    Raises:
        InputError: it cannot be written, naming the file and why.
    """
    one_user_turn = len(sampled.prompt) == 1 and sampled.prompt[0].role == "user"
    turns = [{"role": turn.role, "content": turn.content} for turn in sampled.prompt]
    record: dict[str, Any] = {
        "prompt": sampled.prompt[0].content if one_user_turn else turns,
        "model": sampled.model,
        "sampling": sampled.sampling,
    }
    if sampled.continued_from is not None:
        record["continued_from"] = sampled.continued_from
    record["responses"] = [
        {"sample": number} | sampled.responses[number] | {"sample": number}
        for number in sorted(sampled.responses)
    ]
    try:
        _replace(path, msgspec.json.encode(record) + b"\n")
    except (OSError, msgspec.MsgspecError, UnicodeEncodeError) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"{path} cannot be written ({said}); free disk space or check the rights"
        ) from error


MOST_SAMPLES = 1_000_000  # of a prompt; the ids of a run are counted out by these numbers


class _File(msgspec.Struct):
    """The same as JSON."""

    prompt: Any
    model: str
    sampling: dict[str, Any]
    responses: list[dict[str, Any]]
    continued_from: Origin | None = None


def _slug(text: str, longest: int) -> str:
    """Lower-case words joined by hyphens, at most `longest` characters and twice the bytes."""
    plain = unicodedata.normalize("NFC", text[: 10 * longest]).lower()
    words = re.sub(r"[\W_]+", "-", plain).strip("-")[:longest]
    return words.encode()[: 2 * longest].decode(errors="ignore").strip("-") or "prompt"


def _shown(value: Any) -> str:
    shown = msgspec.json.encode(value).decode()
    return shown if len(shown) <= 60 else f"{shown[:59]}…"


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with scratch.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        scratch.replace(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
