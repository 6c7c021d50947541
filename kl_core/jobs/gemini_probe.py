"""Asking one position before all others: what a model does not do is said in one sentence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import msgspec

from kl_core.errors import ModelError, RunError
from kl_core.jobs.gemini_calls import Remote
from kl_core.jobs.gemini_entries import Item
from kl_core.jobs.gemini_plan import Probed
from kl_core.jobs.patience import patiently
from kl_core.jobs.worker import Worker
from kl_core.sources.calls import Answer, Ask, CallError, Context
from kl_core.sources.journal import Journal
from kl_core.sources.probe import ProbePoint, choose_point, literal_warning
from kl_core.store import runs


def probe(
    worker: Worker, remote: Remote, journal: Journal, found: Callable[[], Iterable[Item]]
) -> Probed | None:
    """Ask one position of the user's own data before anything is spent on the rest.

    The answer is kept, so that the run does not pay for it again; a resumed run whose probe
    is on disk asks nothing. Where the position has an error on disk, the answer replaces it.

    A second call, over the connection that stands by then, tells how long one takes.

    Returns:
        None where no position can be asked.

    Raises:
        ModelError: one sentence on what the model does not do.
        RunError: it cannot be reached at present.
    """
    worker.stage("probing the model", None, "")
    point = choose_point(item.prepared for item in found())
    if point is None:
        return None
    told = runs.read_params(worker.run_dir).get("probe") or {}
    kept, first = journal.get(point.context.key), journal.get(point.first.key)
    if kept is None or first is None or kept.error or first.error or "latency_s" not in told:
        kept, first, latency_s = _first_answers(worker, remote, point)
        for context, answer in ((point.context, kept), (point.first, first)):
            journal.keep(context.key, answer)
        journal.flush()
        told = {
            "thinking_budget": remote.thinking_budget,
            "latency_s": latency_s,
            "retried": sum(
                each.attempts - 1 for each in {id(kept): kept, id(first): first}.values()
            ),
        }
        runs.update_params(worker.run_dir, probe=told)
    remote.thinking_budget = told["thinking_budget"]
    warning = literal_warning(point, kept)
    return Probed(
        point.context,
        kept,
        point.first,
        first.input_tokens,
        float(told["latency_s"]),
        (warning,) if warning else (),
    )


def _first_answers(
    worker: Worker, remote: Remote, point: ProbePoint
) -> tuple[Answer, Answer, float]:
    """The probe's two answers, and how long the second took.

    Thinking is turned off, or not spoken of to models that refuse that.
    """
    refused = ""
    for remote.thinking_budget in (0, None):
        try:
            return asyncio.run(_ask_both(worker, remote, point))
        except CallError as error:
            if remote.thinking_budget == 0 and error.kind == "400" and "think" in error.reason:
                refused = error.reason
                continue
            kind = RunError if error.retry == "again" else ModelError
            raise kind(_sentence(remote, error, refused)) from error
    raise AssertionError("both ways of asking returned or raised")


def _sentence(remote: Remote, error: CallError, refused: str) -> str:
    name, place = remote.options.model2, remote.endpoint.name
    if error.kind == "connection" and remote.endpoint.loopback:
        return f"{place} does not answer: start a server there (python -m kl_core emulate) first"
    if error.kind in ("connection", "timeout"):
        return f"{place} cannot be reached: {error.reason}; check the network, then start again"
    if error.kind == "empty" and refused:
        return (
            f"{name} spends its one token on thoughts and cannot be told not to ({refused}); "
            "choose a model that can, such as a flash model; nothing else was asked"
        )
    if error.kind in ("empty", "no logprobs"):
        return (
            f"{name} gave no log-probabilities: {error.reason}; choose a model and API that give "
            "them; nothing else was asked"
        )
    return f"{error.reason}; nothing else was asked"


async def _ask_both(
    worker: Worker, remote: Remote, point: ProbePoint
) -> tuple[Answer, Answer, float]:
    from kl_core.sources.gemini_client import GeminiClient

    client = GeminiClient(remote.endpoint, remote.wire, remote.pool.timeout_s, 1)
    try:
        answer, latency_s = await _ask_once(worker, remote, client, point.context)
        first = answer
        if point.first.key != point.context.key:
            first, latency_s = await _ask_once(worker, remote, client, point.first)
        return answer, first, latency_s
    finally:
        await client.close()


async def _ask_once(
    worker: Worker, remote: Remote, ask: Ask[Context], context: Context
) -> tuple[Answer, float]:
    """One answer, however many calls it takes, and how long the last one took."""
    answer, attempts, took = await patiently(
        worker, lambda: ask(context), remote.pool.max_retries, remote.endpoint.loopback
    )
    return msgspec.structs.replace(answer, attempts=attempts), took
