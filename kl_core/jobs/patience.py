"""A call made on its own, before the pool runs: tried again like any, and cancellable."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from kl_core.jobs.worker import Worker
from kl_core.sources.calls import CallError
from kl_core.sources.retries import RetryPolicy, Tries

LOCAL_RETRIES = 2  # of a call that finds nobody listening on this machine
SLICE_S = 0.2  # a cancel waits so long
T = TypeVar("T")


async def patiently(
    worker: Worker, call: Callable[[], Awaitable[T]], max_retries: int, loopback: bool
) -> tuple[T, int, float]:
    """What the call gives in the end, how many attempts it took, and how long the last one did.

    Args:
        loopback: the server is on this machine, where nobody listening will not pass.

    Raises:
        CallError: it failed for good, or too often.
        RunCancelled: the user asked to stop.
    """
    tries = Tries(RetryPolicy(max_retries), "probe", time.monotonic())
    while True:
        began = time.monotonic()
        try:
            answer = await watched(worker, call())
        except CallError as error:
            wait = tries.wait_after(error, time.monotonic())
            nobody = error.kind == "connection" and loopback
            if wait is None or (nobody and tries.made > LOCAL_RETRIES):
                raise
            await watched(worker, asyncio.sleep(wait))
        else:
            return answer, tries.made + 1, time.monotonic() - began


async def watched(worker: Worker, work: Awaitable[T]) -> T:
    """Wait for something, giving in to a cancel meanwhile."""
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait({task}, timeout=SLICE_S))[0]:
            worker.check_cancel()
        return task.result()
    finally:
        task.cancel()
