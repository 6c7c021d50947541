"""How many prompts an unfinished run has on disk, and of how many; cheap enough to ask often."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from kl_core.store import spending
from kl_core.store.parts import committed

_held: dict[Path, tuple[int, int]] = {}  # part → (its mtime, its prompts)


def finished(run_dir: Path, before_ns: int | None = None) -> int:
    """Prompts whose responses are on disk; with `before_ns` those that were then."""
    found = 0
    for path in committed(run_dir, "responses"):
        written = path.stat().st_mtime_ns
        if before_ns is None or written < before_ns:
            found += _prompts(path, written)
    return found


def in_all(run_dir: Path, searched: bool = False) -> int | None:
    """Prompts of the whole input, None where nobody has counted them.

    A plan counts what was left when it was made; that of a search counts every prompt.
    """
    plan = spending.read_plan(run_dir)
    if plan is None or not plan.prompts:
        return None
    if searched:
        return plan.prompts
    try:
        made = spending.plan_path(run_dir).stat().st_mtime_ns
    except OSError:
        return None
    return plan.prompts + finished(run_dir, made)


def _prompts(path: Path, written: int) -> int:
    """Prompts of one part, no prompt spans two; a part is read once."""
    known = _held.get(path)
    if known is None or known[0] != written:
        ids = pq.read_table(path, columns=["prompt_id"])["prompt_id"]
        known = _held[path] = (written, len(ids.unique()))
    return known[1]
