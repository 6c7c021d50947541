"""The routes of OpenAI-shaped servers: chat, completions, models, and what tells servers apart."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from kl_core.emulator import openai_chat, openai_completion, sglang
from kl_core.emulator.generate import error_response, json_response
from kl_core.emulator.openai_asked import served
from kl_core.emulator.openai_calls import Calls, Kind, require_key
from kl_core.emulator.openai_error import OpenAiError
from kl_core.emulator.state import State

VLLM_VERSION = "0.11.0"
CHAT = Kind("/v1/chat/completions", openai_chat.read, openai_chat.reply)
COMPLETIONS = Kind("/v1/completions", openai_completion.read, openai_completion.reply)
GENERATE = Kind("/generate", sglang.read, sglang.reply)


def routes(state: State) -> list[web.RouteDef]:
    """The routes of this module."""
    calls, about = Calls(state), _About(state)

    async def chat(request: web.Request) -> web.StreamResponse:
        return await calls.answer(request, CHAT)

    async def completions(request: web.Request) -> web.StreamResponse:
        if not state.settings.completions:
            return _missing(state, COMPLETIONS.route)
        return await calls.answer(request, COMPLETIONS)

    async def generate(request: web.Request) -> web.StreamResponse:
        if "sglang" not in state.settings.scoring:
            return _missing(state, GENERATE.route)
        return await calls.answer(request, GENERATE)

    return [
        web.post(CHAT.route, chat),
        web.post(COMPLETIONS.route, completions),
        web.post(GENERATE.route, generate),
        web.get("/v1/models", about.models),
        web.get("/version", about.version),
        web.get("/get_model_info", about.model_info),
    ]


def _missing(state: State, route: str) -> web.Response:
    """404 in the words of FastAPI, which all these servers are made with."""
    state.stats.asked(route)
    return web.json_response({"detail": "Not Found"}, status=404)


class _About:
    """What a server tells about itself."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def models(self, request: web.Request) -> web.Response:
        """OpenAI's list of models, with OpenRouter's prices where the settings have some."""
        self._state.stats.asked("/v1/models")
        try:
            require_key(self._state.settings, request)
            data = [self._model(name) for name in served(self._state)]
        except OpenAiError as error:
            return error_response(error)
        return json_response({"object": "list", "data": data})

    async def version(self, request: web.Request) -> web.Response:
        """The version, as vLLM tells it; needs no key."""
        if "vllm" not in self._state.settings.scoring:
            return _missing(self._state, "/version")
        self._state.stats.asked("/version")
        return json_response({"version": VLLM_VERSION})

    async def model_info(self, request: web.Request) -> web.Response:
        """SGLang's words about its one model."""
        if "sglang" not in self._state.settings.scoring:
            return _missing(self._state, "/get_model_info")
        self._state.stats.asked("/get_model_info")
        try:
            require_key(self._state.settings, request)
            path = str(self._state.models_dir / served(self._state)[-1])
        except OpenAiError as error:
            return error_response(error)
        return json_response(
            {
                "model_path": path,
                "tokenizer_path": path,
                "is_generation": True,
                "preferred_sampling_params": None,
                "weight_version": "default",
            }
        )

    def _model(self, name: str) -> dict[str, Any]:
        settings = self._state.settings
        owner = "sglang" if settings.scoring == ("sglang",) else "vllm"
        found: dict[str, Any] = {
            "id": name,
            "object": "model",
            "created": 0,
            "owned_by": owner if settings.scoring else "emulator",
        }
        if settings.input_price is not None or settings.output_price is not None:
            found["pricing"] = {
                "prompt": _per_token(settings.input_price),
                "completion": _per_token(settings.output_price),
            }
        return found


def _per_token(dollars_per_million: float | None) -> str:
    """Dollars a token, as OpenRouter writes them."""
    text = f"{(dollars_per_million or 0) / 1e6:.15f}".rstrip("0").rstrip(".")
    return text or "0"
