"""One server for all protocols, in this thread or beside it."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from kl_core.emulator import control, generate, openai_routes, storage, vertex
from kl_core.emulator.cloud import cloud_of
from kl_core.emulator.settings import Settings
from kl_core.emulator.state import State
from kl_core.errors import InputError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
HOST = "127.0.0.1"
PATIENCE_S = 0.05  # for open calls at the end; aiohttp takes 0 for no limit
MOST_BYTES = 2**31  # uploads to the storage included


def application(state: State) -> web.Application:
    """All routes over one state."""

    @web.middleware
    async def noticed(request: web.Request, handler: Handler) -> web.StreamResponse:
        state.stats.touch()
        return await handler(request)

    app = web.Application(client_max_size=MOST_BYTES, middlewares=[noticed])
    for module in (generate, vertex, storage, openai_routes, control):
        app.add_routes(module.routes(state))
    return app


@asynccontextmanager
async def serving(state: State, port: int = 0) -> AsyncIterator[str]:
    """Serve on this computer alone; yields the base URL. Open calls are cut off at the end.

    Args:
        port: 0 for a free one.

    Raises:
        InputError: the port is taken.
    """
    runner = web.AppRunner(
        application(state), access_log=None, handler_cancellation=True, shutdown_timeout=PATIENCE_S
    )
    await runner.setup()
    try:
        await _listen(runner, port)
        yield f"http://{HOST}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
        state.close()
        shutil.rmtree(cloud_of(state).folder, ignore_errors=True)


async def _listen(runner: web.AppRunner, port: int) -> None:
    try:
        await web.TCPSite(runner, HOST, port, backlog=2048).start()
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        raise InputError(
            f"port {port} cannot be used ({os.strerror(error.errno)}): an emulator may run "
            "there already; choose another with --port, or 0 for a free one"
        ) from error


class Running:
    """A server beside the caller.

    Attributes:
        base_url: where it listens.
        state: what its routes share.
    """

    def __init__(self, base_url: str, state: State) -> None:
        self.base_url = base_url
        self.state = state

    @property
    def settings(self) -> Settings:
        """How it behaves; assign to change it from the next call on."""
        return self.state.settings

    @settings.setter
    def settings(self, value: Settings) -> None:
        self.state.settings = value

    def stats(self) -> dict[str, Any]:
        """See Stats.report."""
        return self.state.stats.report()

    def reset(self) -> None:
        """Forget the counts and the numbers of attempts."""
        self.state.stats.reset()


@contextmanager
def running(settings: Settings | None = None, models_dir: Path | None = None) -> Iterator[Running]:
    """A server in a thread of its own on a free port, gone at the end of the block.

    Raises:
        ModelError: the folder holds no model.
    """
    state = State(settings, models_dir)
    ready: list[str] = []
    failed: list[BaseException] = []
    listening = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with serving(state) as base_url:
            ready.append(base_url)
            listening.set()
            await stop.wait()

    def work() -> None:
        try:
            loop.run_until_complete(serve())
        except BaseException as error:
            failed.append(error)
        finally:
            listening.set()
            loop.close()

    thread = threading.Thread(target=work, name="emulator", daemon=True)
    thread.start()
    listening.wait()
    if failed:
        raise failed[0]
    try:
        yield Running(ready[0], state)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
