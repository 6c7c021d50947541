"""Finding out how a server can be asked, with a response of the user's own data."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
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
from kl_core.sources.calls import Answer, CallError, Question
from kl_core.sources.context import require_template
from kl_core.sources.journal import Journal
from kl_core.sources.pricing import Price
from kl_core.sources.probe import ProbePoint, choose_point, literal_warning
from kl_core.sources.scored_text import ScoreQuestion, ServerKind
from kl_core.sources.served import Served
from kl_core.sources.served_models import listed_prices
from kl_core.sources.server_kind import Found, detect
from kl_core.sources.servers import Server
from kl_core.store import runs

LOOKED_AT = 200  # entries in which to look for a response that can be asked
T = TypeVar("T")
Entries = Callable[[], Iterable[Numbered]]


class Prober:
    """One start's questions to a server before the pool runs.

    Every answer is kept in the journal, so that nothing is asked twice.
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

    def find(self, entries: Entries) -> Way | None:
        """How to ask; None where there is nothing to ask.

        Raises:
            ModelError: the server cannot be asked, in one sentence with what was tried.
            RunError: it cannot be reached at present.
        """
        self._worker.stage("loading the tokenizer", None, "")
        loaded, missing = self._tokenizer()
        self._worker.stage("probing the server", None, "")
        first = self._first_question(entries, loaded)
        if first is None:
            return None
        kind, refused = self._kind(first, missing)
        way: Way | None
        if kind is not None:
            way = WholeResponses(
                self._options,
                self._server,
                loaded,
                kind,
                self._told.get("by_text", False),
                self._told.get("start", ""),
            )
            self._keep(way, first)
        elif self._options.fallback is None:
            raise ModelError(
                f"{self._server.base_url} scores no whole response of {self._options.model2}: "
                f"{refused}; add --fallback completion or --fallback chat to ask position by "
                "position"
            )
        else:
            way = self._positions(loaded, missing, entries)
        if way is not None:
            way.price = self._price()
            runs.update_params(self._worker.run_dir, probe=self._told)
        return way

    def _tokenizer(self) -> tuple[LoadedModel | None, str]:
        """The tokenizer, or why there is none where nobody insisted on one."""
        spec = self._options.spec
        if spec is None:
            return None, f"{self._options.model2} names no tokenizer; give one with --tokenizer"
        try:
            loaded = load_tokenizer(spec)
            require_template(loaded)
        except ModelError as error:
            if self._options.tokenizer is not None:
                raise
            return None, f"{str(error).rstrip('.')}; name another with --tokenizer"
        return loaded, ""

    def _first_question(self, entries: Entries, loaded: LoadedModel | None) -> ScoreQuestion | None:
        served = Served(self._options.model2, loaded, match_lists=True)
        best: ScoreQuestion | None = None
        for count, each in enumerate(entries()):
            if best is not None and count >= LOOKED_AT:
                break
            for question in served.ready(each.source).questions():
                size = len(question.response_text)
                if size and (best is None or size < len(best.response_text)):
                    best = question
        return best

    def _kind(self, first: ScoreQuestion, missing: str) -> tuple[ServerKind | None, str]:
        """Which way the server scores a whole response, or a clause that says why in none."""
        options = self._options
        if options.server != AUTO:
            if options.server != "echo" and first.response_ids is None:
                raise ModelError(f"--server {options.server} takes token ids, and {missing}")
            return options.server, ""  # type: ignore[return-value]  # one of SERVERS
        if "kind" in self._told:
            return self._told["kind"], self._told["refused"]
        if first.response_ids is None and not options.raw:
            refused = f"token ids cannot be sent because {missing}"
            self._told |= {"kind": None, "refused": refused}
            if options.fallback is None:
                raise ModelError(f"{refused}, or --raw for prompts without a template")
            return None, refused
        found: Found = self._patiently(
            lambda: detect(self._server, options.model2, first, self._top, self._pool.timeout_s)
        )[0]
        refused = "; ".join(found.tried)
        self._told |= {
            "kind": found.kind,
            "refused": refused,
            "by_text": found.by_text,
            "start": found.start,
            "version": found.version,
        }
        return found.kind, refused

    @property
    def _top(self) -> int:
        return Way(self._options, self._server, None).top

    def _keep(self, way: Way, question: Question) -> None:
        """Ask a question as all will be asked; keep the answer, and learn how long it takes."""
        kept = self._journal.get(question.key)
        if kept is None or kept.error or "latency_s" not in self._told:
            kept, latency_s = self._asked(way, [question])[0]
            self._journal.keep(question.key, kept)
            self._journal.flush()
            self._told["latency_s"] = latency_s
        way.latency_s = float(self._told["latency_s"])
        way.known_good = question

    def _positions(
        self, loaded: LoadedModel | None, missing: str, entries: Entries
    ) -> Positions | None:
        mode = self._options.fallback
        assert mode is not None
        if mode == "completion" and loaded is None and not self._options.raw:
            raise ModelError(f"--fallback completion writes the prompt out, and {missing}")
        way = Positions(self._options, self._server, loaded, mode)  # type: ignore[arg-type]
        point = choose_point(way.ready(each.source) for each in entries())
        if point is None:
            return None
        self._probe_point(way, point)
        return way

    def _probe_point(self, way: Positions, point: ProbePoint) -> None:
        first, context = point.first, point.context
        answer, start = self._journal.get(context.key), self._journal.get(first.key)
        usable = answer is not None and start is not None and not (answer.error or start.error)
        if answer is None or start is None or not usable or "latency_s" not in self._told:
            (answer, _), (start, latency_s) = self._asked(way, [context, first])
            for each, kept in ((context, answer), (first, start)):
                self._journal.keep(each.key, kept)
            self._journal.flush()
            self._told["latency_s"] = latency_s
        way.latency_s = float(self._told["latency_s"])
        way.known_good = context
        way.learn(point, answer, start)
        warning = literal_warning(point, answer)
        if warning:
            way.warnings.append(warning)

    def _asked(self, way: Way, questions: list[Any]) -> list[tuple[Answer, float]]:
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

        return self._run(ask())

    def _patiently(self, call: Callable[[], Coroutine[Any, Any, T]]) -> tuple[T, int, float]:
        return self._run(
            patiently(self._worker, call, self._pool.max_retries, self._server.loopback)
        )

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return asyncio.run(work)
        except CallError as error:
            kind = RunError if error.retry == "again" else ModelError
            raise kind(self._sentence(error)) from error

    def _sentence(self, error: CallError) -> str:
        place = self._server.base_url
        if error.kind == "connection" and self._server.loopback:
            return f"{place} does not answer: start a server there first"
        if error.kind in ("connection", "timeout"):
            return f"{place} cannot be reached: {error.reason}; check the network, then start again"
        return f"{error.reason}; nothing else was asked"

    def _price(self) -> Price:
        """What the server lists for the model; unknown where it lists nothing."""
        if self._server.free:
            return Price(None, None)
        try:
            listed = asyncio.run(listed_prices(self._server, self._pool.timeout_s))
        except CallError:
            return Price(None, None)
        return listed.get(self._options.model2, Price(None, None))
