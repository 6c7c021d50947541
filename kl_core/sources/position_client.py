"""One position a call at an OpenAI-shaped server: the next token's list after a given text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from kl_core.errors import InputError
from kl_core.records import Prompt
from kl_core.sources.calls import Answer, CallError, Context
from kl_core.sources.chat_wire import chat_body, read_chat_reply
from kl_core.sources.openai_client import OpenAiClient
from kl_core.sources.servers import Server

Mode = Literal["completion", "chat"]
Render = Callable[[Prompt], str | tuple[int, ...]]
Encode = Callable[[str], Sequence[int]]
Json = dict[str, Any]


class PositionClient:
    """Asks one context a call; no retries in here. To be made inside the running event loop.

    `chat` sends model 1's text as a turn of the assistant to be continued; the server's template
    may strip white space at its end. `completion` sends the prompt as its template writes it and
    the text after it, and leaves nothing to the server. Text that begins with a special token
    gets a second one from servers that add their own; ids do not.

    Args:
        server, model: who is asked.
        mode: by which of the two.
        render: completion: the prompt as text or ids.
        encode: completion: text to ids without special tokens; needed where `render` gives ids.
        top: length k of the lists.
        extra: fields to add to every request, as they are.
        timeout_s, max_connections: of the OpenAiClient.

    Raises:
        InputError: `completion` without `render`, or the key's variable is not set.
    """

    def __init__(
        self,
        server: Server,
        model: str,
        mode: Mode,
        top: int,
        *,
        render: Render | None = None,
        encode: Encode | None = None,
        extra: Mapping[str, Any] | None = None,
        timeout_s: float = 60.0,
        max_connections: int = 50,
    ) -> None:
        if mode == "completion" and render is None:
            raise InputError(
                "completions need the prompt as the model's template writes it: give a "
                "--tokenizer, or ask by chat"
            )
        self._model, self._mode, self._top = model, mode, top
        self._render, self._encode, self._extra = render, encode, dict(extra or {})
        self._client = OpenAiClient(server, timeout_s, max_connections)

    def __repr__(self) -> str:
        return f"PositionClient({self._model}, {self._mode}, {self._client!r})"

    async def __call__(self, context: Context) -> Answer:
        """Ask for the next token's list.

        Raises:
            CallError: whatever went wrong, sorted by what to do about it.
        """
        try:
            path, body = self._asked(context)
        except InputError as error:
            raise CallError("bad prompt", str(error), "refused") from None
        return read_chat_reply(await self._client.post(path, self._complete(body)))

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    def _asked(self, context: Context) -> tuple[str, Json]:
        limits: Json = {"max_tokens": 1, "temperature": 0}
        if self._mode == "chat":
            body = chat_body(self._model, context.prompt, context.prefix, self._client.server)
            lists: Json = {"logprobs": True, "top_logprobs": self._top}
            return "/chat/completions", body | limits | lists
        prompt = self._written(context)
        body = {"model": self._model, "prompt": prompt, "logprobs": self._top}
        return "/completions", body | limits

    def _complete(self, body: Json) -> Json:
        """With the caller's fields; OpenRouter drops in silence what is not required."""
        body |= self._extra
        if self._client.server.openrouter:
            body["provider"] = {"require_parameters": True, **(body.get("provider") or {})}
        return body

    def _written(self, context: Context) -> str | list[int]:
        assert self._render is not None  # since __init__
        rendered = self._render(context.prompt)
        if isinstance(rendered, str):
            text = rendered + context.prefix
            return text if self._encode is None else list(self._encode(text))
        if self._encode is None:
            raise InputError("a prompt of token ids needs the text after it encoded as well")
        return [*rendered, *(self._encode(context.prefix) if context.end else ())]
