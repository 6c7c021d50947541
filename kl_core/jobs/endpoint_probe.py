"""Finding out how a server can be asked, with a response of the user's own data."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any, TypeVar

import msgspec

from kl_core.errors import ModelError, RunError
from kl_core.jobs.endpoint_options import AUTO, EndpointOptions
from kl_core.jobs.endpoint_way import Positions, Way, WholeResponses
from kl_core.jobs.gemini_options import PoolOptions
from kl_core.jobs.patience import patiently
from kl_core.jobs.reading import Numbered
from kl_core.jobs.worker import Worker
from kl_core.models.load import LoadedModel, load_tokenizer
from kl_core.records import Prompt
from kl_core.sources.calls import Answer, CallError, Retry
from kl_core.sources.context import require_template
from kl_core.sources.contexts import PreparedEntry
from kl_core.sources.journal import Journal
from kl_core.sources.pricing import Price
from kl_core.sources.probe import ProbePoint, choose_point, literal_warning
from kl_core.sources.same_model import change
from kl_core.sources.scored_text import ScoreQuestion
from kl_core.sources.served import Served
from kl_core.sources.servers import Server
from kl_core.store import runs

LOOKED_AT = 200  # entries in which to look for responses that can be asked
ENOUGH_TOKENS = 3
PROBES = 2  # answers that probing alone leaves in the journal
CANDIDATES = 5  # a response that the server refuses (too long, moderated) says nothing of the rest
REACH_RETRIES = 3
CONTRADICTED = 0.02  # of the tokens that the server names; above, the tokenizer is another one
T = TypeVar("T")
Entries = Callable[[], Iterable[Numbered]]


class Prober:
    """One start's questions to a server before the pool runs.

    Every answer is kept in the journal, so that nothing is asked twice; only a run that goes on
    after an interruption asks one question again, to see whether the same model still answers.

    Attributes:
        asks: whether there is anything to ask.
    """

    def __init__(
        self,
        worker: Worker,
        options: EndpointOptions,
        pool: PoolOptions,
        server: Server,
        journal: Journal,
    ) -> None:
        self._worker, self._options, self._pool = worker, options, pool
        self._server, self._journal = server, journal
        self._told: dict[str, Any] = runs.read_params(worker.run_dir).get("probe") or {}
        self._resumed = journal.totals().answers > PROBES
        self.asks = True

    def find(self, entries: Entries) -> Way:
        """How to ask.

        Raises:
            ModelError: the server cannot be asked, in one sentence with what was tried.
            RunError: it cannot be reached at present, or another model answers by now.
        """
        self._worker.stage("looking for the server", None, "")
        self._reach()
        self._worker.stage("loading the tokenizer", None, "")
        loaded, missing = self._tokenizer()
        self._worker.stage("probing the server", None, "")
        questions = self._first_questions(entries, loaded)
        way: Way
        if not questions:
            self.asks = False
            return WholeResponses(self._options, self._server, loaded, "vllm")
        found, refused = self._whole(questions, loaded, missing)
        if found is not None:
            way = found
        elif self._options.fallback is None:
            raise ModelError(
                f"{self._server.base_url} scores no whole response of {self._options.model2}: "
                f"{refused}; add --fallback completion or --fallback chat to ask position by "
                "position"
            )
        else:
            way = self._positions(loaded, missing, entries)
        way.price = self._price()
        way.version = str(self._told.get("version") or "")
        self._remember()
        return way

    def _reach(self) -> None:
        """Nothing is worth loading for a server that does not answer."""
        from kl_core.sources.served_models import served_models

        call = lambda: served_models(self._server, self._pool.timeout_s)  # noqa: E731
        few = min(REACH_RETRIES, self._pool.max_retries)
        waited = patiently(self._worker, call, few, self._server.loopback)
        with suppress(CallError):  # a server may have no list of models
            self._run(waited, keep=("denied", "refused", "stop", "odd"))

    def _tokenizer(self) -> tuple[LoadedModel | None, str]:
        """The tokenizer, or why there is none where nobody insisted on one."""
        spec = self._options.spec
        if spec is None:
            return None, f"{self._options.model2} names no tokenizer; give one with --tokenizer"
        try:
            loaded = load_tokenizer(spec)
            require_template(loaded)
        except ModelError:
            if self._options.tokenizer is not None:
                raise
            return None, (
                f"no tokenizer of {spec.model} could be loaded here; name one with --tokenizer"
            )
        return loaded, ""

    def _first_questions(self, entries: Entries, loaded: LoadedModel | None) -> list[ScoreQuestion]:
        """The cheapest few, those of several tokens first: one token tells little."""
        served = Served(self._options.model2, loaded, match_lists=True)
        found: dict[bytes, tuple[bool, int, ScoreQuestion]] = {}
        for count, each in enumerate(entries()):
            if found and count >= LOOKED_AT:
                break
            for question in served.ready(each.source).questions():
                length = len(question.response_ids or question.response_text)
                size = len(question.prompt_text) + len(question.response_text)
                if length:
                    found[question.key] = (length < ENOUGH_TOKENS, size, question)
        return [each for *_, each in sorted(found.values(), key=lambda one: one[:2])][:CANDIDATES]

    def _whole(
        self, questions: list[ScoreQuestion], loaded: LoadedModel | None, missing: str
    ) -> tuple[WholeResponses | None, str]:
        """The way that scores a whole response, or a clause that says why there is none."""
        options = self._options
        takes_ids = questions[0].response_ids is not None
        if not takes_ids and not options.raw:
            refused = f"prompts cannot be written out because {missing}"
            if options.server != AUTO or options.fallback is None:
                raise ModelError(f"{refused}, or --raw for prompts without a template")
            return None, refused
        if options.server in ("vllm", "sglang") and not takes_ids:
            raise ModelError(f"--server {options.server} takes token ids, and {missing}")
        if "kind" not in self._told:
            self._told |= self._detected(questions)
            self._remember()
        kind = self._told["kind"]
        if kind is None:
            return None, self._told["refused"]
        by_text = bool(self._told["by_text"])
        way = WholeResponses(options, self._server, loaded, kind, by_text, self._told["start"])
        self._learn(way, questions)
        return way, ""

    def _detected(self, questions: list[ScoreQuestion]) -> dict[str, Any]:
        """What detection says, by the first response that the server does not refuse."""
        from kl_core.sources.server_kind import detect

        options = self._options
        kinds = None if options.server == AUTO else (options.server,)
        refused = ""
        last: tuple[Retry, ...] = () if self._options.fallback is None else ("refused",)
        for place, question in enumerate(questions):
            call = lambda: detect(  # noqa: E731
                self._server,
                options.model2,
                question,  # noqa: B023 - awaited before the next
                self._top,
                self._pool.timeout_s,
                kinds,
            )
            try:
                found, _, took = self._run(
                    patiently(self._worker, call, self._pool.max_retries, self._server.loopback),
                    keep=("refused",) if place < len(questions) - 1 else last,
                )
            except CallError as error:
                refused = error.reason
                continue
            if found.answer is not None:
                answer = msgspec.structs.replace(
                    found.answer, attempts=found.calls, input_tokens=found.input_tokens
                )
                self._journal.keep(question.key, answer)
                self._journal.flush()
            return {
                "kind": found.kind,
                "refused": "; ".join(found.tried),
                "by_text": found.by_text,
                "start": found.start,
                "version": found.version,
                "latency_s": took / max(found.calls, 1),
            }
        return {"kind": None, "refused": refused}

    @property
    def _top(self) -> int:
        return Way(self._options, self._server, None).top

    def _learn(self, way: WholeResponses, questions: list[ScoreQuestion]) -> None:
        """Check the tokenizer, how long a request takes, and that the model is still the same."""
        answers_kept = [(each, self._journal.get(each.key)) for each in questions]
        asked = [(each, kept) for each, kept in answers_kept if kept and kept.error is None]
        way.known_good = asked[0][0] if asked else None
        for _, kept in asked:
            self._check_tokenizer(way, kept)
        if "timed" not in self._told:
            fresh = [each for each, kept in answers_kept if kept is None][:1]
            try:
                answers = self._asked(way, fresh, keep=("refused", "odd", "again"))
            except CallError:
                answers = []
            for question, (answer, latency_s) in zip(fresh, answers, strict=False):
                self._journal.keep(question.key, answer)
                self._told["latency_s"] = latency_s
            self._journal.flush()
            self._told["timed"] = True
        way.latency_s = float(self._told["latency_s"])
        self._remember()
        if self._resumed and asked:
            self._check_same(way, asked[0][0])

    def _remember(self) -> None:
        """What was found out is not asked again by the next start."""
        runs.update_params(self._worker.run_dir, probe=self._told)

    def _check_tokenizer(self, way: WholeResponses, answer: Answer) -> None:
        wrong, named = way.contradicted(answer)
        if wrong > CONTRADICTED * named:
            raise ModelError(
                f"the server names {wrong} of {named} tokens otherwise than the tokenizer "
                f"{self._options.tokenizer or self._options.model2} does, so it is not the "
                "model's; name the right one with --tokenizer"
            )

    def _check_same(self, way: Way, question: Any) -> None:
        """Ask what was asked before the interruption; another model must not go on."""
        before = self._journal.get(question.key)
        if before is None or before.error is not None:
            return
        try:
            [(now, _)] = self._asked(way, [question], keep=("denied", "refused", "stop", "odd"))
        except CallError as error:
            raise RunError(
                f"{self._server.base_url} does not answer any more as it did when the run began "
                f"({error.reason}): mend the server and resume, or start a new run"
            ) from error
        changed = change(before, now)
        if changed is not None:
            raise RunError(
                f"another model seems to answer at {self._server.base_url} than when the run "
                f"began: {changed}; start a new run"
            )

    def _positions(self, loaded: LoadedModel | None, missing: str, entries: Entries) -> Positions:
        mode = self._options.fallback
        assert mode is not None
        if mode == "completion" and loaded is None and not self._options.raw:
            raise ModelError(f"--fallback completion writes the prompt out, and {missing}")
        way = Positions(self._options, self._server, loaded, mode)  # type: ignore[arg-type]
        refused: set[Prompt | None] = set()
        way.latency_s = 1.0  # until a call tells
        while len(refused) < CANDIDATES:
            ready = (way.ready(each.source) for each in entries())
            point = choose_point(each for each in ready if _asked_prompt(each) not in refused)
            if point is None:
                self.asks = bool(refused)
                return way
            try:
                self._probe_point(way, point)
            except CallError:
                refused.add(point.context.prompt)
                continue
            break
        return way

    def _probe_point(self, way: Positions, point: ProbePoint) -> None:
        first, context = point.first, point.context
        answer, start = self._journal.get(context.key), self._journal.get(first.key)
        usable = answer is not None and start is not None and not (answer.error or start.error)
        if answer is None or start is None or not usable or "latency_s" not in self._told:
            (answer, _), (start, latency_s) = self._asked(
                way, [context, first], keep=("refused", "odd")
            )
            for each, kept in ((context, answer), (first, start)):
                self._journal.keep(each.key, kept)
            self._journal.flush()
            self._told["latency_s"] = latency_s
        elif self._resumed:
            self._check_same(way, context)
        way.latency_s = float(self._told["latency_s"])
        way.known_good = context
        way.learn(point, answer, start)
        warning = literal_warning(point, answer)
        if warning:
            way.warnings.append(warning)

    def _asked(
        self, way: Way, questions: list[Any], keep: tuple[Retry, ...] = ()
    ) -> list[tuple[Answer, float]]:
        """Answers and how long the last attempt at each took, over one connection."""

        async def ask() -> list[tuple[Answer, float]]:
            client = way.client(self._pool.timeout_s, 1)
            try:
                found = []
                for question in questions:
                    answer, attempts, took = await patiently(
                        self._worker,
                        lambda: client(question),  # noqa: B023 - awaited before the next
                        self._pool.max_retries,
                        self._server.loopback,
                    )
                    found.append((msgspec.structs.replace(answer, attempts=attempts), took))
                return found
            finally:
                await client.close()

        return self._run(ask(), keep)

    def _run(self, work: Coroutine[Any, Any, T], keep: tuple[Retry, ...] = ()) -> T:
        """The result; a failure becomes one sentence, but for those that the caller handles."""
        try:
            return asyncio.run(work)
        except CallError as error:
            if error.retry in keep:
                raise
            kind = RunError if error.retry == "again" else ModelError
            raise kind(self._sentence(error)) from error

    def _sentence(self, error: CallError) -> str:
        place = self._server.base_url
        if error.kind == "connection" and self._server.loopback:
            return f"{place} does not answer: start a server there first"
        if error.kind in ("connection", "timeout"):
            return f"{place} cannot be reached: {error.reason}; check the network, then start again"
        if error.kind == "not JSON":
            return f"{error.reason}: it is no model server, so check --base-url"
        return f"{error.reason}; nothing else was asked"

    def _price(self) -> Price:
        """What the server lists for the model; unknown where it lists nothing."""
        if self._server.free:
            return Price(None, None)
        from kl_core.sources.served_models import listed_prices

        try:
            listed = asyncio.run(listed_prices(self._server, self._pool.timeout_s))
        except CallError:
            return Price(None, None)
        return listed.get(self._options.model2, Price(None, None))


def _asked_prompt(ready: PreparedEntry) -> Prompt | None:
    """The prompt as it is sent, None where nothing of the entry is."""
    return next((context.prompt for context in ready.contexts()), None)
