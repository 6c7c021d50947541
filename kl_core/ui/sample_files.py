"""The files of the Sample page: its configuration, and where responses and uploads go."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from kl_core.errors import KLExplorerError
from kl_core.formats import sampling_config
from kl_core.formats.sampling_config import PromptSource, SamplingConfig
from kl_core.store.files import write_atomic
from kl_core.ui import folders

_MADE = "sampled-"


def new_folder() -> str:
    """A name for a folder of responses that is not there yet."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
    return folders.shown(folders.uploads_root() / f"{_MADE}{stamp}")


def is_made(folder: str) -> bool:
    """Whether a folder of responses was named by new_folder, not by a person."""
    path = Path(folder)
    return path.name.startswith(_MADE) and path.parent.name == folders.uploads_root().name


def prompts(source: PromptSource) -> PromptSource:
    """The same with the path of its file as the worker finds it."""
    if source.file is None:
        return source
    try:
        found = folders.shown(folders.allowed_folder(source.file))
    except KLExplorerError:
        return source  # said beside the field
    return msgspec.structs.replace(source, file=found)


def settled(config: SamplingConfig) -> SamplingConfig:
    """A configuration whose paths mean the same from anywhere in the app."""
    if config.prompts is None:
        return config
    return msgspec.structs.replace(config, prompts=prompts(config.prompts))


def keep(config: SamplingConfig) -> Path:
    """Write a configuration among the uploads; the same one into the same file."""
    text = sampling_config.config_text(config)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    path = folders.uploads_root() / "configs" / f"sample-{digest}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, text)
    return path
