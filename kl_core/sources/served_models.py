"""What a server says it serves, at which prices, and whether a name is that of the model asked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from kl_core.sources.calls import CallError
from kl_core.sources.json_values import mapping
from kl_core.sources.openai_client import OpenAiClient
from kl_core.sources.pricing import Price
from kl_core.sources.servers import Server

PATH = "/models"
INFO = "/get_model_info"


async def names_at_root(client: OpenAiClient) -> tuple[str, ...]:
    """What an SGLang server calls the one model that `/generate` asks; () where it tells nothing.

    `/v1/models` has its served name, and adapters, which name it as their `parent` and are not
    what `/generate` asks; a list of several is a gateway's, and the path of the loaded weights
    in `/get_model_info` alone tells then.

    Raises:
        CallError: nothing is known, and a failure may pass (again).
    """
    passing: CallError | None = None
    listed, path = [], ""
    try:
        listed = _own_names((await client.get(PATH)).get("data"))
    except CallError as error:
        passing = error
    try:
        told = (await client.get(INFO, root=True)).get("model_path")
        path = told if isinstance(told, str) else ""
    except CallError as error:
        passing = error if passing is None or error.retry == "again" else passing
    if len(listed) > 1 and path:
        listed = []
    names = tuple(dict.fromkeys([*listed, *([path] if path else [])]))
    if not names and passing is not None and passing.retry == "again":
        raise passing
    return names


def _own_names(data: Any) -> list[str]:
    cards = [mapping(each) for each in data] if isinstance(data, list) else []
    names = [card.get("id") for card in cards if not card.get("parent")]
    return [name for name in names if isinstance(name, str) and name]


def same_name(asked: str, told: str) -> bool:
    """Whether two names are one model's: equal, or equal after the last slash."""
    return asked.casefold() == told.casefold() or _last(asked) == _last(told)


def may_be_same(asked: str, told: str) -> bool:
    """Whether a reply's name may be that of the model asked for.

    Gateways answer with a longer or dated name, and leave out what follows a colon (`:free`).
    """
    plain = asked if ":" in told else asked.partition(":")[0]
    return same_name(plain, told) or _last(plain) in told.casefold()


def _last(name: str) -> str:
    return name.rstrip("/").rsplit("/", 1)[-1].casefold()


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
    except (ValueError, OverflowError):
        return None
    return value if math.isfinite(value) and value >= 0 else None
