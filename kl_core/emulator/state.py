"""What all routes share: settings, models, statistics; and an answer without HTTP."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from kl_core.emulator.api_error import ApiError
from kl_core.emulator.asked import Asked, read_body
from kl_core.emulator.following import Source
from kl_core.emulator.made_up import MadeUp
from kl_core.emulator.reply import reply_json, say
from kl_core.emulator.settings import Settings
from kl_core.emulator.stats import Stats
from kl_core.emulator.tiny import TinyModel
from kl_core.errors import ModelError
from kl_core.records import Message

SAMPLE_MODELS = Path(__file__).resolve().parents[2] / "sample_data" / "models"
NO_LOGPROBS = "Logprobs is not supported for this model"
NO_PREFILL = "Requests ending with a model turn are not supported"
T = TypeVar("T")


class State:
    """One server's state; every method may be called from any thread.

    Args:
        settings: how the server behaves; replace the attribute to change it.
        models_dir: its sub-folders are the models served, by their names.

    Raises:
        ModelError: the folder holds no model.
    """

    def __init__(self, settings: Settings | None = None, models_dir: Path | None = None) -> None:
        self.settings = settings or Settings()
        self.models_dir = models_dir or SAMPLE_MODELS
        self.stats = Stats()
        self.names = model_names(self.models_dir)
        self._sources: dict[tuple[str, str], Source] = {}
        self._lock = threading.Lock()
        self._warming: list[Future[None]] = []
        self._models = ThreadPoolExecutor(1, "emulator-model", _one_thread)

    def answer(self, model: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The reply's JSON to a generateContent body, by a model of this server.

        Meant for single calls and for rows of a batch; it neither fails on purpose nor
        waits, and it counts nothing (see `stats.count`). It may take seconds while a model
        loads: call it off the event loop.

        Raises:
            ApiError: what the service would refuse, with code, message and `body()`.
        """
        self.require(model)
        return self.answer_asked(model, self.read(body))

    def require(self, model: str) -> None:
        """Refuse a model that is not served.

        Raises:
            ApiError: 404.
        """
        if model not in self.names:
            raise ApiError(
                404,
                f"models/{model} is not found for API version v1beta, or is not supported for "
                f"generateContent. This server has {', '.join(self.names)}.",
            )

    def read(self, body: Any) -> Asked:
        """A checked body, refused too if the settings say that the model cannot do it.

        Raises:
            ApiError: 400.
        """
        asked = read_body(body)
        if asked.top is not None and not self.settings.logprobs:
            raise ApiError(400, NO_LOGPROBS, "logprobs not supported")
        if asked.prefilled and not self.settings.prefill:
            raise ApiError(400, NO_PREFILL, "prefill not supported")
        return asked

    def answer_asked(self, model: str, asked: Asked, key: bytes | None = None) -> dict[str, Any]:
        """The reply to a checked body.

        Raises:
            ApiError: 400, the prompt is too long or not one for this model.
        """
        key = key or asked.key(model)
        source = self.source(model)
        said = say(source, asked, key)
        version = self.settings.model_version or model
        return reply_json(said, asked, source.spelling, version, key)

    async def answer_later(self, model: str, asked: Asked, key: bytes) -> dict[str, Any]:
        """`answer_asked` off the event loop, as long as a model has to compute for it.

        Raises:
            ApiError: as answer_asked.
            ModelError: the model does not load.
        """
        if self.settings.answers == "hash":
            return self.answer_asked(model, asked, key)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._models, self.answer_asked, model, asked, key)

    async def compute(self, work: Callable[[], T]) -> T:
        """Do what asks a model, off the event loop as long as a model has to compute for it."""
        if self.settings.answers == "hash":
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._models, work)

    async def wait(self, started: float) -> None:
        """Until the least latency since `started` (monotonic seconds) is over."""
        left = started + self.settings.latency_ms / 1000 - time.monotonic()
        if left > 0:
            await asyncio.sleep(left)

    def warm(self) -> None:
        """Begin to load the models, so that the first call need not wait for them."""
        if self.settings.answers == "model":
            for model in self.names:
                self._warming.append(self._models.submit(self._warm, model))

    def busy(self) -> bool:
        """Whether a model is still being loaded, which nothing can interrupt."""
        return any(not one.done() for one in self._warming)

    def _warm(self, model: str) -> None:
        source = self.source(model)
        source.following(source.start((Message("user", "?"),), ""))

    def close(self) -> None:
        """Drop what has not been computed yet."""
        self._models.shutdown(wait=False, cancel_futures=True)

    def source(self, model: str) -> Source:
        """Whoever answers under this name with the present settings.

        Raises:
            ModelError: the model's folder cannot be read.
        """
        place = (self.settings.answers, model)
        with self._lock:
            if place not in self._sources:
                folder = self.models_dir / model
                made = MadeUp.of_folder if place[0] == "hash" else TinyModel
                self._sources[place] = made(folder)
            return self._sources[place]


def _one_thread() -> None:
    """Several threads only get into each other's way in models this small."""
    import torch

    torch.set_num_threads(1)


def model_names(models_dir: Path) -> tuple[str, ...]:
    """Names of the saved models in a folder.

    Raises:
        ModelError: there is none.
    """
    found = sorted(path.parent.name for path in models_dir.glob("*/config.json"))
    if not found:
        raise ModelError(
            f"{models_dir} holds no model; give a folder whose sub-folders are saved models, such "
            f"as {SAMPLE_MODELS.parent.name}/{SAMPLE_MODELS.name}."
        )
    return tuple(found)
