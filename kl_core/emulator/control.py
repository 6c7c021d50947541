"""Watching and changing a running server: /emulator/settings, /stats and /reset."""

from __future__ import annotations

from dataclasses import asdict

import msgspec
from aiohttp import web

from kl_core.emulator.api_error import ApiError
from kl_core.emulator.change import changed
from kl_core.emulator.generate import error_response, json_response
from kl_core.emulator.state import State
from kl_core.errors import InputError


def routes(state: State) -> list[web.RouteDef]:
    """The routes of this module."""
    control = Control(state)
    return [
        web.get("/emulator/settings", control.settings),
        web.put("/emulator/settings", control.change),
        web.get("/emulator/stats", control.stats),
        web.post("/emulator/reset", control.reset),
    ]


class Control:
    """What no real server has."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def settings(self, request: web.Request) -> web.Response:
        """The present settings."""
        return json_response(asdict(self._state.settings))

    async def change(self, request: web.Request) -> web.Response:
        """Change the settings named in the body; the others stay."""
        try:
            change = msgspec.json.decode(await request.read(), type=dict)
            self._state.settings = changed(self._state.settings, change)
        except (InputError, msgspec.DecodeError) as error:
            return error_response(ApiError(400, str(error)))
        return await self.settings(request)

    async def stats(self, request: web.Request) -> web.Response:
        """Counts since the start or the last reset; `?contexts=1` adds each context's."""
        report = self._state.stats.report()
        if request.query.get("contexts"):
            report["successes"] = self._state.stats.successes()
        return json_response(report)

    async def reset(self, request: web.Request) -> web.Response:
        """Forget the counts; the same calls meet the same faults again."""
        self._state.stats.reset()
        return json_response({})
