"""What a server says it serves, and at which prices."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from kl_core.sources.chat_wire import mapping
from kl_core.sources.openai_client import OpenAiClient
from kl_core.sources.pricing import Price
from kl_core.sources.servers import Server

PATH = "/models"


async def served_models(server: Server, timeout_s: float = 60.0) -> list[str]:
    """Names of the models, in the server's order.

    Raises:
        CallError: whatever went wrong, sorted by what to do about it.
        InputError: the key's variable is not set.
    """
    return list(await listed_prices(server, timeout_s))


async def listed_prices(server: Server, timeout_s: float = 60.0) -> dict[str, Price]:
    """The price of each model by its name; unknown (None) where the server lists none.

    OpenRouter lists dollars a token as text; negative ones stand for prices that vary.

    Raises:
        CallError, InputError: as served_models.
    """
    client = OpenAiClient(server, timeout_s, 1)
    try:
        reply = await client.get(PATH)
    finally:
        await client.close()
    listed = reply.get("data")
    found: dict[str, Price] = {}
    for each in listed if isinstance(listed, list) else ():
        name = mapping(each).get("id")
        if isinstance(name, str) and name:
            found.setdefault(name, _price(mapping(each.get("pricing"))))
    return found


def _price(pricing: Mapping[str, Any]) -> Price:
    return Price(_per_million(pricing.get("prompt")), _per_million(pricing.get("completion")))


def _per_million(written: Any) -> float | None:
    if isinstance(written, bool) or not isinstance(written, int | float | str):
        return None
    try:
        value = float(written) * 1e6
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
