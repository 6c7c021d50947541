"""A whole saved response scored by one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kl_core.sources import score_echo, score_sglang, score_vllm
from kl_core.sources.calls import Answer, CallError
from kl_core.sources.chat_wire import count, mapping
from kl_core.sources.openai_client import OpenAiClient
from kl_core.sources.scored_text import ScoredText, ScoreQuestion, ServerKind, packed
from kl_core.sources.servers import Server


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
            reply = await self._client.post(score_vllm.PATH, body)
            return _answer(reply, lambda: score_vllm.read(reply, question, self._top))
        if self._kind == "sglang":
            body = score_sglang.body(question, self._model, self._top)
            reply = await self._client.post(score_sglang.PATH, body, root=True)
            return _answer(reply, lambda: score_sglang.read(reply, question, self._top))
        return await self._echo(question)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def _echo(self, question: ScoreQuestion) -> Answer:
        ids, start = not self._by_text and question.response_ids is not None, self._start
        body = score_echo.body(question, self._model, self._top, ids, start)
        reply = await self._client.post(score_echo.PATH, body)
        if ids:
            return _answer(reply, lambda: score_echo.read_ids(reply, question, self._top))
        try:
            return _answer(reply, lambda: score_echo.read_text(reply, question, self._top, start))
        except score_echo.DoubledStartError as error:
            self._start = error.start
            raise


def _answer(reply: Mapping[str, Any], read: Callable[[], ScoredText]) -> Answer:
    """What was read of a reply, and what it cost, which is told of one without use as well."""
    told = mapping(reply.get("usage")) or mapping(reply.get("meta_info"))
    tokens_in = count(told, "prompt_tokens")
    try:
        body = packed(read())
    except CallError as error:
        error.input_tokens = tokens_in
        raise
    return Answer(
        model=str(reply.get("model") or ""),
        input_tokens=tokens_in,
        output_tokens=count(told, "completion_tokens"),
        body=body,
    )
