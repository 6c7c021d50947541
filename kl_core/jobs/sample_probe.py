"""One sample of each model before anything else is asked: what a model cannot do is said early."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from kl_core.errors import InputError
from kl_core.jobs.gemini_options import PoolOptions
from kl_core.jobs.patience import patiently
from kl_core.jobs.sample_model import SampledBy
from kl_core.jobs.sample_spent import ProbeBill
from kl_core.jobs.worker import Worker
from kl_core.records import Prompt
from kl_core.sources.calls import Answer, CallError
from kl_core.sources.journal import Journal
from kl_core.sources.judging import item_text
from kl_core.sources.sample_ask import make_ask
from kl_core.sources.sample_question import SampleQuestion
from kl_core.sources.sample_reply import has_logprobs, is_end, provider_of
from kl_core.sources.sample_settings import is_started
from kl_core.sources.sample_words import worded
from kl_core.store import runs

CHARACTERS_A_TOKEN = 4.0
MARKS = 12  # characters that the marks of a turn count for
LEAST_REPEATED = 8  # characters of a started answer that nobody says twice by chance


def probe(
    worker: Worker, pool: PoolOptions, journal: Journal, models: Sequence[SampledBy]
) -> list[str]:
    """Ask each model for the first sample that is missing; the answers are kept as results.

    A model that cannot be asked is marked as failed, and the others go on.

    Returns:
        Sentences to read before spending.

    Raises:
        RunCancelled: the user asked to stop.
    """
    worker.stage("probing the models", None, "")
    told = dict(runs.read_params(worker.run_dir).get("probe") or {})
    bill = ProbeBill(worker, journal, models)
    try:
        asyncio.run(_ask_all(worker, pool, journal, models, told, bill))
    finally:
        bill.write()
    runs.update_params(worker.run_dir, probe=told)
    said = [_said(by, told.get(by.model.folder)) for by in models]
    return [sentence for sentence in said if sentence]


async def _ask_all(
    worker: Worker,
    pool: PoolOptions,
    journal: Journal,
    models: Sequence[SampledBy],
    told: dict[str, dict[str, object]],
    bill: ProbeBill,
) -> None:
    await asyncio.gather(*[_ask_one(worker, pool, journal, by, told, bill) for by in models])
    journal.flush()


async def _ask_one(
    worker: Worker,
    pool: PoolOptions,
    journal: Journal,
    by: SampledBy,
    told: dict[str, dict[str, object]],
    bill: ProbeBill,
) -> None:
    question = next((q for t in by.tickets for q in t.contexts if not journal.has(q.key)), None)
    if question is None:
        return
    known = told.get(by.model.folder)
    if known is not None:
        by.latency_s, by.scale = float(str(known["latency_s"])), float(str(known["scale"]))
        return
    try:
        ask = make_ask(by.model, by.settings, by.place, pool.timeout_s, 1)
    except InputError as error:
        by.failed = worded(str(error))
        return
    counted = bill.asking(by, ask)
    try:
        answer, attempts, took = await patiently(
            worker, lambda: counted(question), pool.max_retries, by.place.loopback
        )
    except CallError as error:
        _note_failure(by, error, told)
        if error.retry == "refused":  # for good, and paid for
            paid = (error.input_tokens, error.output_tokens)
            refused = Answer((), None, "", *paid, error=error.reason)
            journal.keep(question.key, refused)
        return
    finally:
        await ask.close()
    answer = msgspec.structs.replace(answer, attempts=attempts)
    journal.keep(question.key, answer)
    by.known_good, by.latency_s = question, took
    by.scale = answer.input_tokens / guessed_tokens(question.prompt) or 1.0
    told[by.model.folder] = {
        "latency_s": took,
        "scale": by.scale,
        "warning": "; ".join(filter(None, _oddities(by, question, answer))),
    }


def guessed_tokens(prompt: Prompt) -> float:
    """Input tokens of a prompt, about."""
    size = sum(len(turn.content) + MARKS for turn in prompt) + MARKS
    return size / CHARACTERS_A_TOKEN


def _note_failure(by: SampledBy, error: CallError, told: dict[str, dict[str, object]]) -> None:
    """One prompt's own failure is for the pool; whatever else keeps the model from being asked."""
    if error.retry in ("odd", "refused"):
        warning = f"the first sample of {by.counts.shown} did not come: {error.reason}"
        told[by.model.folder] = {"latency_s": 1.0, "scale": 1.0, "warning": warning}
        by.latency_s = 1.0
        return
    reason = error.reason
    if error.kind == "connection" and by.place.loopback:
        reason = f"{by.place.name} does not answer: start the server there first"
    elif error.kind in ("connection", "timeout"):
        reason = f"{by.place.name} cannot be reached: {reason}; check the network"
    by.failed, by.passing = reason, error.retry == "again"


def _oddities(by: SampledBy, question: SampleQuestion, answer: Answer) -> list[str]:
    """What is to be known of a model before it is asked for the rest."""
    item = msgspec.json.decode(answer.body)
    return [_without_logprobs(by, item), _not_continued(by, question, item)]


def _without_logprobs(by: SampledBy, item: dict[str, Any]) -> str:
    if not by.settings.top_logprobs or has_logprobs(item) or is_end(item):
        return ""
    who = provider_of(item) or by.place.name
    return (
        f"{who} gave no log-probabilities for {by.counts.shown}, though they were asked for: its "
        "responses will be kept as text alone"
    )


def _not_continued(by: SampledBy, question: SampleQuestion, item: dict[str, Any]) -> str:
    """A started answer that the model begins anew, as far as one reply tells."""
    if not is_started(question.prompt) or by.model.continue_by == "completion":
        return ""
    begun, said = question.prompt[-1].content.strip(), (item_text(item) or "").strip()
    openai = by.place.server is not None and by.place.server.openai
    if not openai and not (len(begun) >= LEAST_REPEATED and said.startswith(begun[:60])):
        return ""
    return (
        f"{by.counts.shown} seems to begin a started answer anew instead of continuing it; a "
        "server that takes continue_by: completion continues it literally"
    )


def _said(by: SampledBy, known: dict[str, object] | None) -> str:
    if by.failed:
        return f"{by.counts.shown} cannot be asked and is left out: {by.failed}"
    return str((known or {}).get("warning") or "")
