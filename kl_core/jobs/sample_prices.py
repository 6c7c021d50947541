"""What sampling from a model costs: the user's price, the server's own, or the table's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from kl_core.formats.sampling_config import ModelConfig
from kl_core.jobs.patience import watched
from kl_core.jobs.worker import Worker
from kl_core.sources.calls import CallError
from kl_core.sources.pricing import FREE, Price, price_of
from kl_core.sources.sample_ask import Place

UNKNOWN = Price(None, None)
LIST_TIMEOUT_S = 20.0
Listed = dict[str, dict[str, Price]]


def price_for(model: ModelConfig, place: Place, listed: Price = UNKNOWN) -> Price:
    """Dollars per million tokens; one that nobody charges for is free where nobody says otherwise.

    Args:
        listed: what the server itself says.

    Raises:
        InputError: the price table cannot be read.
    """
    said = Price(model.input_price, model.output_price)
    if said.input is None and said.output is None and place.free and listed == UNKNOWN:
        return FREE
    known = listed
    if known == UNKNOWN and place.endpoint is not None:
        known = price_of(model.name, batch=False)
    if said.input is not None and said.output is not None:
        return said
    return Price(
        known.input if said.input is None else said.input,
        known.output if said.output is None else said.output,
        known.date,
    )


def price_lists(worker: Worker, places: Iterable[Place]) -> Listed:
    """What OpenAI-shaped servers say their models cost: by address, then by model.

    A server that tells nothing has no list; nothing is tried twice for a price.

    Raises:
        RunCancelled: the user asked to stop.
    """
    servers = {place.address: place for place in places if place.server is not None}
    return asyncio.run(_ask_all(worker, list(servers.values())))


async def _ask_all(worker: Worker, places: list[Place]) -> Listed:
    found = await watched(worker, asyncio.gather(*[_ask(place) for place in places]))
    return {place.address: prices for place, prices in zip(places, found, strict=True)}


async def _ask(place: Place) -> dict[str, Price]:
    from kl_core.sources.served_models import listed_prices

    assert place.server is not None
    try:
        return await listed_prices(place.server, LIST_TIMEOUT_S)
    except CallError:
        return {}
