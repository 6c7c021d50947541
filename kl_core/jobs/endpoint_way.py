"""How a server is asked about saved responses: whole responses, or position by position."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from typing_extensions import override

from kl_core.jobs.endpoint_options import EndpointOptions
from kl_core.jobs.gemini_options import TOP_LOGPROBS
from kl_core.jobs.gemini_plan import Probed, TokenGuess
from kl_core.models.load import LoadedModel, encode_text
from kl_core.models.render import render_raw
from kl_core.models.text import encode_prompt
from kl_core.records import Entry, Message, Problem, Prompt, ScoredEntry
from kl_core.sources.calls import Answer, Context, Question
from kl_core.sources.chat_wire import messages_of
from kl_core.sources.contexts import PreparedEntry, prepared
from kl_core.sources.pricing import Price
from kl_core.sources.probe import ProbePoint
from kl_core.sources.remote import Assembler, Lookup
from kl_core.sources.scored_text import ScoreQuestion, ServerKind, unpacked
from kl_core.sources.served import Ready, Served, total_tokens
from kl_core.sources.servers import Server

if TYPE_CHECKING:
    from kl_core.sources.position_client import Mode


class Client(Protocol):
    """Asks one question a call."""

    async def __call__(self, question: Any, /) -> Answer:
        """One call; raises CallError."""

    async def close(self) -> None:
        """Close all connections."""


class Way:
    """What both ways have in common.

    Attributes:
        price: what the server itself says it costs.
        latency_s: how long a call takes.
        warnings: sentences to read before spending.
        known_good: a question that was answered.
        whole: one request answers for a whole response.
        version: what the server says of itself.
    """

    whole = True

    def __init__(
        self, options: EndpointOptions, server: Server, loaded: LoadedModel | None
    ) -> None:
        self.options, self.server, self.loaded = options, server, loaded
        self.price = Price(None, None)
        self.latency_s = 0.0
        self.warnings: list[str] = []
        self.known_good: Question | None = None
        self.version = ""

    @property
    def top(self) -> int:
        """Candidates to ask for at each position."""
        return self.options.top_logprobs or TOP_LOGPROBS

    @property
    def match_lists(self) -> bool:
        """Whether model 2's lists are cut to the length of model 1's."""
        return self.options.top_logprobs is None

    def ready(self, entry: Entry) -> Any:
        """An entry with its questions."""
        raise NotImplementedError

    def questions(self, ready: Any) -> Iterable[Question]:
        """The different questions of an entry."""
        raise NotImplementedError

    def tokens(self, question: Any) -> int:
        """Input tokens of a question, about."""
        raise NotImplementedError

    def client(self, timeout_s: float, connections: int) -> Client:
        """To be made inside the running event loop."""
        raise NotImplementedError

    def assemble(self, ready: Any, look_up: Lookup, failures: Mapping[bytes, str]) -> ScoredEntry:
        """The entry with model 2's lists."""
        raise NotImplementedError

    def problems(self) -> list[Problem]:
        """Rows since the last call."""
        raise NotImplementedError

    def identity(self) -> dict[str, Any]:
        """Model 2 for the run's parameters."""
        return {
            "name": self.options.model2,
            "version": self.version,
            "base_url": self.server.base_url,
            "key_env": self.server.key_env,
            "top_logprobs": self.top,
            "tokenizer": self.loaded.identity if self.loaded is not None else None,
        }


class WholeResponses(Way):
    """One request a response."""

    def __init__(
        self,
        options: EndpointOptions,
        server: Server,
        loaded: LoadedModel | None,
        kind: ServerKind,
        by_text: bool = False,
        start: str = "",
    ) -> None:
        super().__init__(options, server, loaded)
        self.kind: ServerKind = kind
        self._by_text, self._start = by_text, start
        self._served = Served(options.model2, loaded, self.match_lists, by_text)

    @override
    def ready(self, entry: Entry) -> Ready:
        return self._served.ready(entry)

    @override
    def questions(self, ready: Ready) -> Iterable[ScoreQuestion]:
        return ready.questions()

    @override
    def tokens(self, question: ScoreQuestion) -> int:
        return total_tokens([question])

    @override
    def client(self, timeout_s: float, connections: int) -> Client:
        from kl_core.sources.score_client import ScoreClient

        return ScoreClient(
            self.server,
            self.options.model2,
            self.kind,
            self.top,
            by_text=self._by_text,
            start=self._start,
            timeout_s=timeout_s,
            max_connections=connections,
        )

    @override
    def assemble(self, ready: Ready, look_up: Lookup, failures: Mapping[bytes, str]) -> ScoredEntry:
        return self._served.assemble(ready, look_up, failures)

    @override
    def problems(self) -> list[Problem]:
        return self._served.problems()

    def contradicted(self, answer: Answer) -> tuple[int, int]:
        """How many tokens the server names otherwise than the tokenizer, of how many named."""
        return self._served.contradicted(unpacked(answer.body))

    @override
    def identity(self) -> dict[str, Any]:
        return super().identity() | {
            "server": self.kind,
            "asked_by": "response",
            "by_text": self._by_text,
        }


class Positions(Way):
    """One call a position."""

    whole = False

    def __init__(
        self, options: EndpointOptions, server: Server, loaded: LoadedModel | None, mode: Mode
    ) -> None:
        super().__init__(options, server, loaded)
        self.mode: Mode = mode
        self.guess = TokenGuess()
        self._assembler = Assembler(options.model2, self.match_lists)

    def learn(self, point: ProbePoint, answer: Answer, first: Answer) -> None:
        """How many input tokens a call takes, from what the server counted for two."""
        probed = Probed(point.context, answer, point.first, first.input_tokens, 0.0, ())
        self.guess = TokenGuess.learnt(probed)

    @override
    def ready(self, entry: Entry) -> PreparedEntry:
        asked = entry.prompt
        if self.mode == "chat" and self.options.system:
            asked = (Message("system", self.options.system), *asked)
        ready = prepared(replace(entry, prompt=asked), messages_of)
        return replace(ready, entry=entry)

    @override
    def questions(self, ready: PreparedEntry) -> Iterable[Context]:
        return ready.contexts()

    @override
    def tokens(self, question: Context) -> int:
        return round(self.guess.tokens(question))

    @override
    def client(self, timeout_s: float, connections: int) -> Client:
        from kl_core.sources.position_client import PositionClient

        loaded = self.loaded
        written = self.mode == "completion"
        return PositionClient(
            self.server,
            self.options.model2,
            self.mode,
            self.top,
            render=None if not written else render_raw if loaded is None else self._render,
            encode=None if loaded is None else lambda text: encode_text(loaded, text),
            timeout_s=timeout_s,
            max_connections=connections,
        )

    @override
    def assemble(
        self, ready: PreparedEntry, look_up: Lookup, failures: Mapping[bytes, str]
    ) -> ScoredEntry:
        return self._assembler.assemble(ready, look_up, failures)

    @override
    def problems(self) -> list[Problem]:
        return self._assembler.problems()

    @override
    def identity(self) -> dict[str, Any]:
        return super().identity() | {"server": self.mode, "asked_by": "position"}

    def _render(self, prompt: Prompt) -> tuple[int, ...]:
        assert self.loaded is not None
        return encode_prompt(self.loaded, prompt)
