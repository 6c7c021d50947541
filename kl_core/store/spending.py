"""What a run of calls will cost (plan.json) and has cost so far (calls.json)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from kl_core.records import CallStats
from kl_core.store.files import read_json, write_json

_PLAN, _CALLS, _CONFIRMED = "plan.json", "calls.json", "confirmed"


@dataclass(frozen=True, slots=True)
class CallPlan:
    """What the probe found and what the whole run is expected to take.

    Attributes:
        mode: "online" or "batch".
        model: the version that answered the probe.
        positions: positions of all responses; `unscorable` of them cannot be asked.
        calls: calls to make: positions asked, equal contexts counted once; without those
            that are answered already (`kept`).
        input_tokens, output_tokens: of these calls, estimated from the probe's own count.
        cost: in US dollars, None where the price is not known.
        price_input, price_output: dollars per million tokens that were reckoned with.
        price_date: when the price table was made.
        seconds: expected duration at `max_concurrent` and the probe's latency; None for a
            batch, whose queue nobody knows.
        warnings: sentences to read before spending.
    """

    mode: str
    model: str
    prompts: int = 0
    responses: int = 0
    positions: int = 0
    unscorable: int = 0
    calls: int = 0
    kept: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    price_input: float | None = None
    price_output: float | None = None
    price_date: str = ""
    seconds: float | None = None
    latency_s: float | None = None
    max_concurrent: int | None = None
    warnings: tuple[str, ...] = ()


def plan_path(run_dir: Path) -> Path:
    """Where the run's plan is, or would be."""
    return run_dir / _PLAN


def write_plan(run_dir: Path, plan: CallPlan) -> None:
    """Replace plan.json as a whole."""
    write_json(run_dir / _PLAN, asdict(plan))


def read_plan(run_dir: Path) -> CallPlan | None:
    """The run's plan, None where there is none (yet)."""
    record = _known(CallPlan, read_json(run_dir / _PLAN))
    if record is None or "mode" not in record or "model" not in record:
        return None
    return CallPlan(**record | {"warnings": tuple(record.get("warnings", ()))})


def write_stats(run_dir: Path, stats: CallStats) -> None:
    """Replace calls.json as a whole."""
    write_json(run_dir / _CALLS, asdict(stats))


def read_stats(run_dir: Path) -> CallStats:
    """The run's calls so far; all zero where none were made."""
    record = _known(CallStats, read_json(run_dir / _CALLS)) or {}
    return CallStats(**record | {"jobs": tuple(record.get("jobs", ()))})


def confirm(run_dir: Path) -> None:
    """Say yes to the plan: the run may spend what it says."""
    (run_dir / _CONFIRMED).touch()


def is_confirmed(run_dir: Path) -> bool:
    """Whether someone said yes to the plan."""
    return (run_dir / _CONFIRMED).exists()


def _known(kind: type, record: Any) -> dict[str, Any] | None:
    if not isinstance(record, dict):
        return None
    names = {each.name for each in fields(kind)}
    return {key: value for key, value in record.items() if key in names}
