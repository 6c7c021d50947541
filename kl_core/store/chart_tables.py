"""What the charts of a run are drawn from: small tables, computed when the run is built."""

from __future__ import annotations

STATEMENTS: tuple[str, ...] = ()
