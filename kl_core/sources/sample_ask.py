"""Whom samples are asked of: one asker for each way of reaching a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from kl_core.errors import InputError
from kl_core.formats.sampling_config import ModelConfig
from kl_core.sources.calls import Ask
from kl_core.sources.endpoint import Endpoint, resolve_endpoint
from kl_core.sources.sample_question import SampleQuestion
from kl_core.sources.sample_settings import Settings
from kl_core.sources.sample_words import worded
from kl_core.sources.servers import Server, resolve_server


class Sampler(Ask[SampleQuestion], Protocol):
    """Asks one sample a call."""

    async def close(self) -> None:
        """Let go of connections and models."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a model is reached; both None for a local one. Never a key."""

    server: Server | None = None
    endpoint: Endpoint | None = None

    @property
    def address(self) -> str:
        """The address of the calls, "" for Google's own and for a local model."""
        if self.server is not None:
            return self.server.base_url
        base = self.endpoint.base_url if self.endpoint is not None else None
        return base.rstrip("/") if base else ""

    @property
    def name(self) -> str:
        """For sentences."""
        if self.endpoint is not None:
            return self.endpoint.name
        return self.address or "this machine"

    @property
    def loopback(self) -> bool:
        """Whether the calls stay on this machine."""
        found = self.server or self.endpoint
        return found is None or found.loopback

    @property
    def free(self) -> bool:
        """Whether nobody charges for the calls where nobody says so."""
        return self.server.free if self.server is not None else self.loopback


def place_of(model: ModelConfig) -> Place:
    """Check a model's address and key as far as it can be without a call.

    Raises:
        InputError: an address that cannot be used, or a key that is missing.
        ModelError: a local model that is not there.
    """
    try:
        return _found(model)
    except InputError as error:
        raise InputError(f"the model {model.folder}: {worded(str(error))}") from error


def _found(model: ModelConfig) -> Place:
    if model.api == "gemini":
        return Place(endpoint=resolve_endpoint(model.project_id, model.location, model.base_url))
    if model.api == "local":
        from kl_core.models.load import check_spec
        from kl_core.sources.sample_local import spec_of

        check_spec(spec_of(model))
        return Place()
    return Place(server=resolve_server(model.base_url or "", model.key_env))


def make_ask(
    model: ModelConfig,
    settings: Settings,
    place: Place,
    timeout_s: float = 120.0,
    max_connections: int = 20,
) -> Sampler:
    """An asker for one model, to be made inside the running event loop.

    Args:
        place: what `place_of` found.

    Raises:
        InputError: a name that is none, or a key that is gone.
    """
    if place.server is not None:
        from kl_core.sources.openai_client import OpenAiClient
        from kl_core.sources.sample_openai import OpenAiSampler

        client = OpenAiClient(place.server, timeout_s, max_connections)
        return OpenAiSampler(model, settings, place.server, client)
    if place.endpoint is not None:
        from kl_core.sources.gemini_client import GeminiClient
        from kl_core.sources.gemini_wire import WireSettings
        from kl_core.sources.sample_gemini import GeminiSampler

        wire = WireSettings(model.name)
        gemini = GeminiClient(place.endpoint, wire, timeout_s, max_connections)
        return GeminiSampler(model, settings, gemini)
    from kl_core.sources.sample_local import LocalSampler

    return LocalSampler(model, settings)
