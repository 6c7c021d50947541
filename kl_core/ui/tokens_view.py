"""Placeholder until the view is here."""

from __future__ import annotations

from typing import Any

from kl_core.store.runs import RunInfo
from kl_core.ui.state import Explore


def show(info: RunInfo, summary: dict[str, Any], place: Explore) -> None:
    """To be replaced."""
