"""A whole saved response scored by one call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from kl_core.sources import score_echo, score_sglang, score_vllm
from kl_core.sources.calls import Answer, CallError
from kl_core.sources.chat_wire import model_of
from kl_core.sources.json_values import count, mapping
from kl_core.sources.openai_client import OpenAiClient
from kl_core.sources.redaction import redacted
from kl_core.sources.scored_text import ScoredText, ScoreQuestion, ServerKind, packed
from kl_core.sources.served_models import may_be_same, names_at_root, same_name
from kl_core.sources.servers import Server

NAME_TRIES = 3
Json = dict[str, Any]


class ScoreClient:
    """Asks one question a call; no retries in here. To be made inside the running event loop.

    Args:
        server, model: who is asked.
        kind: by which protocol.
        top: length k of the lists.
        by_text: echo only: text is sent although the questions have ids.
        start: echo by text: what the server puts before texts by itself (`Found.start`); learnt
            from a reply that shows it twice.
        timeout_s, max_connections: of the OpenAiClient.

    Raises:
        InputError: the key's variable is not set.
    """

    def __init__(
        self,
        server: Server,
        model: str,
        kind: ServerKind,
        top: int,
        *,
        by_text: bool = False,
        start: str = "",
        timeout_s: float = 60.0,
        max_connections: int = 50,
    ) -> None:
        self._model, self._kind, self._top = model, kind, top
        self._by_text, self._start = by_text, start
        self._client = OpenAiClient(server, timeout_s, max_connections)
        self._asking_name = asyncio.Lock()
        self._served: str | None = None  # SGLang's name for its model, once it was asked
        self._unknown = 0

    def __repr__(self) -> str:
        return f"ScoreClient({self._model}, {self._kind}, {self._client!r})"

    @property
    def start(self) -> str:
        """What the server puts before texts by itself, as far as it is known."""
        return self._start

    async def __call__(self, question: ScoreQuestion) -> Answer:
        """Ask once; the answer's body is a packed ScoredText.

        Raises:
            CallError: whatever went wrong, sorted by what to do about it.
        """
        if self._kind == "vllm":
            body = score_vllm.body(question, self._model, self._top)
            reply = await self._post(score_vllm.PATH, body)
            return self._answer(reply, lambda: score_vllm.read(reply, question, self._top))
        if self._kind == "sglang":
            body = score_sglang.body(question, self._model, self._top)
            reply = await self._client.post(score_sglang.PATH, body, root=True)
            answer = self._answer(reply, lambda: score_sglang.read(reply, question, self._top))
            return msgspec.structs.replace(answer, model=await self._name(answer.input_tokens))
        return await self._echo(question)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def _echo(self, question: ScoreQuestion) -> Answer:
        ids, start = not self._by_text and question.response_ids is not None, self._start
        body = score_echo.body(question, self._model, self._top, ids, start)
        reply = await self._post(score_echo.PATH, body)
        if ids:
            return self._answer(reply, lambda: score_echo.read_ids(reply, question, self._top))
        read = lambda: score_echo.read_text(reply, question, self._top, start)  # noqa: E731
        try:
            return self._answer(reply, read)
        except score_echo.DoubledStartError as error:
            self._start = error.start
            raise

    async def _post(self, path: str, body: Json) -> Json:
        """The reply; a text that fills the context is asked about again without a drawn token.

        Few servers take a request for no token, so only what has no room for one is sent so; a
        server that refuses that as well is told of by its first sentence.
        """
        try:
            return await self._client.post(path, body)
        except CallError as error:
            if error.kind != "too long":
                raise
            first = error
        try:
            return await self._client.post(path, body | {"max_tokens": 0})
        except CallError as error:
            raise (first if error.retry in ("refused", "stop") else error) from None

    def _answer(self, reply: Mapping[str, Any], read: Callable[[], ScoredText]) -> Answer:
        """What was read of a reply, and what it cost, which an error tells as well."""
        told = mapping(reply.get("usage")) or mapping(reply.get("meta_info"))
        tokens_in = count(told, "prompt_tokens")
        name = model_of(reply)
        if self._kind != "sglang" and name and not may_be_same(self._model, name):
            raise _other_model(self._model, name, "answered", tokens_in)
        try:
            body = packed(read())
        except CallError as error:
            error.input_tokens = tokens_in
            raise
        return Answer(
            model=name,
            input_tokens=tokens_in,
            output_tokens=count(told, "completion_tokens"),
            body=body,
        )

    async def _name(self, spent: int) -> str:
        """What SGLang calls its model, asked once; "" where it does not tell.

        It is asked after the first good answer, because a server that is no SGLang lists
        models that say nothing about `/generate`.

        Raises:
            CallError: it is another model than the one asked for (stop).
        """
        async with self._asking_name:
            if self._served is None:
                self._served = await self._find_name(spent)
        return self._served or ""

    async def _find_name(self, spent: int) -> str | None:
        """None where it is to be asked again."""
        try:
            names = await names_at_root(self._client)
        except CallError:
            self._unknown += 1
            return "" if self._unknown >= NAME_TRIES else None
        if names and not any(same_name(self._model, name) for name in names):
            raise _other_model(self._model, " or ".join(names), "is served", spent)
        if any(name.casefold() == self._model.casefold() for name in names):
            return self._model
        same = [name for name in names if same_name(self._model, name)]
        return same[0].rstrip("/").rsplit("/", 1)[-1] if same else ""


def _other_model(asked: str, told: str, how: str, spent: int) -> CallError:
    names = redacted(told)[:200], redacted(asked)[:200]
    reason = (
        f"{names[0]} {how} where {names[1]} was asked for: give the served name with --model2, "
        "or another --base-url"
    )
    return CallError("other model", reason, "stop", input_tokens=spent)
