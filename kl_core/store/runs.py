"""Run folders: what a computation was asked, how far it is, and where its results are."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
import unicodedata
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from kl_core.errors import InputError, RunError
from kl_core.store import process
from kl_core.store.files import read_json, write_json
from kl_core.store.schema import SCHEMA_VERSION

State = Literal["starting", "running", "waiting", "done", "cancelled", "failed", "died"]
REPOSITORY = Path(__file__).resolve().parents[2]
START_GRACE_S = 60.0
NAME_LIMIT = 120
_NAME_FILE = "name.json"
_UNSEEN = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\ufeff"
_RUN_NAME = re.compile(r"\d{8}-\d{6}-[a-z]+-[a-z0-9]{4,32}")


@dataclass(frozen=True, slots=True)
class Status:
    """How far a run is; `done` and `total` count `unit`s of the present stage.

    A run that is `waiting` has a plan (spending.py) that someone has to say yes to.
    """

    state: State = "starting"
    stage: str = ""
    done: int = 0
    total: int | None = None
    unit: str = ""
    rate: float | None = None
    eta_s: float | None = None
    message: str = ""
    error: str = ""
    updated: float = 0.0

    @property
    def active(self) -> bool:
        """Whether a worker is (or is about to be) at it."""
        return self.state in ("starting", "running")


@dataclass(frozen=True, slots=True)
class RunInfo:
    """One run of a list; `name` is what a person called it, `title` that or its own title."""

    id: str
    path: Path
    kind: str
    title: str
    created: str
    status: Status
    model1: str | None
    model2: str | None
    request: dict[str, Any]
    name: str | None = None

    @property
    def state(self) -> State:
        """The run's state, `died` where its worker vanished."""
        return self.status.state


def default_root() -> Path:
    """`KL_RUNS_DIR`, or cache/runs of this repository, whatever the working directory."""
    configured = os.environ.get("KL_RUNS_DIR")
    return Path(configured).expanduser().resolve() if configured else REPOSITORY / "cache" / "runs"


def root_or_default(given: Path | None) -> Path:
    """The runs folder that was asked for, or the default one."""
    return given.expanduser().resolve() if given else default_root()


def create_run(root: Path, kind: str, params: dict[str, Any], short_id: str | None = None) -> Path:
    """Make a run folder with its frozen parameters.

    Args:
        params: at least `request` (the options that define the run).
        short_id: a fixed last part of the name; a run that has it already is refused.

    Raises:
        RunError: a run with this short id exists (a repeated start).
    """
    root.mkdir(parents=True, exist_ok=True)
    short = short_id or secrets.token_hex(4)
    if short_id and (existing := find_by_short_id(root, kind, short_id)):
        raise RunError(f"run {existing.name} was already started by this request")
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    path = root / f"{stamp}-{kind}-{short}"
    try:
        path.mkdir()
    except FileExistsError:
        raise RunError(f"run {path.name} was already started by this request") from None
    created = datetime.now(UTC).isoformat(timespec="seconds")
    write_json(
        path / "params.json",
        {"kind": kind, "created": created, "schema_version": SCHEMA_VERSION, **params},
    )
    write_status(path, Status(state="starting", updated=time.time()))
    return path


def find_by_short_id(root: Path, kind: str, short_id: str) -> Path | None:
    """The run whose name ends in this id, if there is one."""
    return next(iter(sorted(root.glob(f"*-{kind}-{short_id}"))), None)


def find_run(root: Path, run_id: str) -> Path:
    """The folder of a run by its id, by a part of it that only one run has, or by its name.

    Raises:
        InputError: no such run, or several.
    """
    exact = root / run_id
    if _RUN_NAME.fullmatch(run_id) and (exact / "params.json").is_file():
        return exact
    matches = [path for path in run_folders(root) if run_id and run_id in path.name]
    matches = matches or [path for path in run_folders(root) if read_name(path) == run_id]
    if len(matches) == 1:
        return matches[0]
    if not matches:
        raise InputError(f"no run {run_id!r} in {root}; `runs list` shows those there are")
    raise InputError(f"{run_id!r} fits {len(matches)} runs in {root}; give more of the id")


def run_folders(root: Path) -> list[Path]:
    """All run folders, newest first."""
    if not root.is_dir():
        return []
    found = [path for path in root.iterdir() if _RUN_NAME.fullmatch(path.name)]
    return sorted((p for p in found if (p / "params.json").is_file()), reverse=True)


def read_params(run_dir: Path) -> dict[str, Any]:
    """The run's frozen parameters.

    Raises:
        RunError: they are missing or unreadable.
    """
    params = read_json(run_dir / "params.json")
    if not isinstance(params, dict) or "kind" not in params:
        raise RunError(f"run {run_dir.name} has no readable params.json; delete the run")
    return params


def update_params(run_dir: Path, **extra: Any) -> None:
    """Add facts learnt after the start (model identity, versions); the request stays."""
    write_json(run_dir / "params.json", read_params(run_dir) | extra)


def write_status(run_dir: Path, status: Status) -> None:
    """Replace status.json as a whole."""
    write_json(run_dir / "status.json", asdict(status))


def read_status(run_dir: Path) -> Status:
    """The state now: `died` where the run should be working and its process is gone."""
    record = read_json(run_dir / "status.json")
    record = record if isinstance(record, dict) else {}
    known = {field.name for field in fields(Status)}
    status = Status(**{key: value for key, value in record.items() if key in known})
    if not status.active or process.is_alive(run_dir):
        return status
    if status.state == "starting" and time.time() - status.updated < START_GRACE_S:
        return status
    values = asdict(status) | {"state": "died", "eta_s": None, "rate": None}
    values["message"] = "the worker ended without a word; what was finished is kept: resume the run"
    return Status(**values)


def run_info(run_dir: Path) -> RunInfo:
    """What a list shows of one run.

    Raises:
        RunError: its params.json is unreadable.
    """
    params = read_params(run_dir)
    request = params.get("request") or {}
    name = read_name(run_dir)
    return RunInfo(
        id=run_dir.name,
        path=run_dir,
        kind=str(params["kind"]),
        title=name or str(params.get("title") or params["kind"]),
        created=str(params.get("created", "")),
        status=read_status(run_dir),
        model1=params.get("model1"),
        model2=params.get("model2"),
        request=request if isinstance(request, dict) else {},
        name=name,
    )


def rename_run(run_dir: Path, name: str) -> None:
    """Call a run something; an empty name gives it its own title back.

    The name is kept beside the run (name.json); the id and the parameters stay.

    Raises:
        InputError: the name is too long, or holds characters that nobody can see.
    """
    clean = " ".join(name.split())
    if len(clean) > NAME_LIMIT:
        raise InputError(
            f"a name has at most {NAME_LIMIT} characters and this one has {len(clean)}; shorten it"
        )
    if odd := next((char for char in clean if _unseen(char)), None):
        raise InputError(f"the name holds the invisible character U+{ord(odd):04X}; leave it out")
    if not run_dir.is_dir():
        raise InputError(f"run {run_dir.name} is not here any more; `runs list` shows the others")
    if clean:
        write_json(run_dir / _NAME_FILE, {"name": clean})
    else:
        (run_dir / _NAME_FILE).unlink(missing_ok=True)


def read_name(run_dir: Path) -> str | None:
    """What a person called the run; None for a run without a usable name."""
    record = read_json(run_dir / _NAME_FILE)
    name = record.get("name") if isinstance(record, dict) else None
    if not isinstance(name, str):
        return None
    seen = "".join(char for char in name if char.isspace() or not _unseen(char))
    return " ".join(seen.split())[:NAME_LIMIT] or None


def _unseen(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cs") or char in _UNSEEN


def list_runs(root: Path) -> list[RunInfo]:
    """Every readable run, newest first."""
    infos = []
    for path in run_folders(root):
        try:
            infos.append(run_info(path))
        except RunError:
            continue
    return infos


def find_unfinished(root: Path, kind: str, request: dict[str, Any]) -> Path | None:
    """The newest run with this request that is not done, live ones included."""
    for info in list_runs(root):
        if info.kind == kind and info.request == request and info.state != "done":
            return info.path
    return None


def request_cancel(run_dir: Path) -> None:
    """Ask the worker to stop at the next safe point; asking twice changes nothing."""
    (run_dir / "cancel").touch()


def delete_run(run_dir: Path) -> None:
    """Remove a run folder for good.

    Raises:
        RunError: the run is being worked on.
    """
    if read_status(run_dir).active and process.is_alive(run_dir):
        raise RunError(f"run {run_dir.name} is working; cancel it first")
    shutil.rmtree(run_dir)
