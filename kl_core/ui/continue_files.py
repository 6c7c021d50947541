"""The files of one try to continue: a folder for each place, one inside it for each try."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from kl_core.formats.sampling_config import SamplingConfig, write_config
from kl_core.store import runs
from kl_core.ui import folders
from kl_core.ui.continue_spot import Spot

LABELS = ("model1", "model2")
_STARTED, _TOKENS, _CONFIG, _OUTPUT = "started.json", "tokens.json", "config.yaml", "responses"


@dataclass(frozen=True, slots=True)
class Try:
    """One try to continue at a place.

    Attributes:
        names: of the models, by the name of their folder of responses.
        samples: continuations asked of each.
    """

    folder: Path
    run_dir: Path
    names: dict[str, str]
    samples: int
    temperature: float

    @property
    def output(self) -> Path:
        """Gets one folder a model, and judgements.json."""
        return self.folder / _OUTPUT


def new_folder(spot: Spot) -> Path:
    """A fresh folder for a try; nothing else writes there."""
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")
    folder = folders.uploads_root() / f"continue-{spot.digest}" / stamp
    folder.mkdir(parents=True)
    return folder


def options(folder: Path) -> dict[str, Any]:
    """What `sample` is asked."""
    return {"config": str(folder / _CONFIG), "from_tokens": str(folder / _TOKENS)}


def output_of(folder: Path) -> Path:
    """Where the responses of a folder go."""
    return folder / _OUTPUT


def write(folder: Path, spot: Spot, config: SamplingConfig) -> None:
    """The two files that `sample` reads."""
    tokens = json.dumps(spot.tokens(), ensure_ascii=False, allow_nan=False, indent=1)
    (folder / _TOKENS).write_text(tokens, encoding="utf-8", errors="replace")
    write_config(folder / _CONFIG, config)


def remember(folder: Path, run_dir: Path, config: SamplingConfig) -> None:
    """Note the run, so that the place finds it again."""
    record = {
        "run": run_dir.name,
        "names": {model.folder: model.name for model in config.models},
        "samples": config.samples,
        "temperature": config.temperature,
    }
    scratch = folder / f".{_STARTED}.tmp"
    scratch.write_bytes(msgspec.json.encode(record))
    scratch.replace(folder / _STARTED)


def latest(spot: Spot) -> Try | None:
    """The newest try at a place whose run is still there."""
    home = folders.uploads_root() / f"continue-{spot.digest}"
    for noted in sorted(home.glob(f"*/{_STARTED}"), reverse=True):
        found = _read(noted)
        if found is not None:
            return found
    return None


class _Started(msgspec.Struct):
    run: str
    names: dict[str, str]
    samples: int
    temperature: float


def _read(noted: Path) -> Try | None:
    try:
        known = msgspec.json.decode(noted.read_bytes(), type=_Started)
    except (OSError, msgspec.MsgspecError):
        return None
    run_dir = runs.default_root() / Path(known.run).name
    if not run_dir.is_dir():
        return None
    return Try(noted.parent, run_dir, known.names, known.samples, known.temperature)
