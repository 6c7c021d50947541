"""Changing settings by name, from the command line or over HTTP."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import msgspec

from kl_core.emulator.settings import FAULTS, QUIRKS, SCORING, Settings
from kl_core.errors import InputError

ANSWERS = ("model", "hash")
BATCH_STATES = tuple(
    f"JOB_STATE_{name}"
    for name in ("SUCCEEDED", "PARTIALLY_SUCCEEDED", "FAILED", "EXPIRED", "CANCELLED")
)
SHARES = ("fault_rate", "batch_row_faults")
NOT_NEGATIVE = ("latency_ms", "retry_after_s", "hang_s", "batch_s")


def changed(settings: Settings, change: Mapping[str, Any]) -> Settings:
    """The settings with some of them changed.

    Raises:
        InputError: a name or a value that is not one of theirs.
    """
    known = [field.name for field in fields(Settings)]
    for name in change:
        if name not in known:
            raise InputError(f"{name!r} is not a setting; use one of {', '.join(known)}")
    try:
        found = msgspec.convert({**asdict(settings), **change}, Settings)
    except msgspec.ValidationError as error:
        raise InputError(f"a setting has the wrong type: {error}") from error
    return _checked(found)


def _checked(settings: Settings) -> Settings:
    for name in SHARES:
        share = getattr(settings, name)
        if not 0 <= share <= 1:
            raise InputError(f"{name} is {share:g}; a share lies between 0 and 1")
    for name in NOT_NEGATIVE:
        value = getattr(settings, name)
        if not 0 <= value < math.inf:
            raise InputError(f"{name} is {value:g}; give a number from 0 up")
    for fault in settings.faults:
        _one_of("fault", fault, FAULTS)
    for call in settings.scoring:
        _one_of("scoring", call, SCORING)
    for provider in settings.providers:
        for quirk in provider.quirks:
            _one_of(f"quirk of {provider.name}", quirk, QUIRKS)
    for name in ("input_price", "output_price"):
        price = getattr(settings, name)
        if price is not None and not 0 <= price < math.inf:
            raise InputError(f"{name} is {price:g}; give dollars per million tokens from 0 up")
    _one_of("answers", settings.answers, ANSWERS)
    _one_of("batch_state", settings.batch_state, BATCH_STATES)
    if settings.capacity_per_s is not None and not settings.capacity_per_s > 0:
        raise InputError(
            f"capacity is {settings.capacity_per_s:g} calls a second; give more than 0"
        )
    if settings.max_logprobs < 0:
        raise InputError(f"max_logprobs is {settings.max_logprobs}; give a number from 0 up")
    if settings.batch_shards < 1:
        raise InputError(f"batch_shards is {settings.batch_shards}; give at least 1")
    return settings


def _one_of(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(f"{what} {value!r} is not known; use one of {', '.join(known)}")
