"""Where each model is asked to continue: of this machine, a server, or Gemini."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kl_core.formats.sampling_config import Api, ModelConfig
from kl_core.store import runs
from kl_core.ui import endpoint_keys, endpoint_settings, figures, gemini_settings

Values = Mapping[str, Any]
WHERE = {"local": "Local", "openai": "Server", "gemini": "Gemini"}
_SPEC = ("revision", "dtype", "device", "adapter", "trust_remote_code", "chat_template", "raw")


def guess(name: str, params: Values, second: bool) -> dict[str, Any]:
    """Fields of a model's side, as far as a run or the sample models tell.

    Args:
        name: of the model, as the run names it.
        params: the run's params.json.
        second: it is model 2 of the run.
    """
    request = _mapping(params.get("request"))
    found = _mapping(params.get("identity2")) if second else {}
    if found.get("server") and found.get("base_url"):
        named = {key: found.get(key) for key in ("base_url", "key_env")}
        if found["server"] == "completion":  # the server was asked without a chat
            named |= {"continue_by": "completion", "tokenizer": request.get("tokenizer")}
        return {"where": "openai", "name": str(found.get("name") or name), **named}
    if second and params.get("kind") in ("prefill", "batch"):
        kept = {key: request.get(key) for key in ("project_id", "location", "base_url")}
        return {"where": "gemini", "name": str(request.get("model2") or name), **kept}
    spec = _mapping(request.get("model" if second else "model1"))
    if second and not spec:
        spec = _mapping(request.get("model2"))
    if isinstance(spec.get("model"), str):
        return {"where": "local", "name": spec["model"], "spec": spec}
    return {"where": "local", "name": shipped(name)} if shipped(name) else _server(name)


def name_at(where: str, name: str) -> str:
    """What a model of the run is called there: a folder of this machine is no name for a server.

    Args:
        name: of the model, as the run names it; empty for one that the run does not know.
    """
    if where != "local":
        return figures.model_name(name)
    hub = name.count("/") == 1 and name[0] not in "/.~"
    return shipped(name) or (name if hub else "")


def shipped(name: str) -> str | None:
    """The folder of a sample model of that name, as typed from the repository; None without."""
    folder = runs.REPOSITORY / "sample_data" / "models"
    last = name.rstrip("/").rsplit("/", 1)[-1]
    there = last not in ("", ".", "..") and (folder / last / "config.json").is_file()
    return f"sample_data/models/{last}" if there else None


def _server(name: str) -> dict[str, Any]:
    return {"where": "openai", "name": name}


def config(values: Values, label: str | None = None) -> ModelConfig:
    """A side as `sample` takes it.

    Args:
        label: name of its folder of responses.
    """
    where: Api = values.get("where") or "local"
    name = str(values.get("name") or "")
    given: dict[str, Any] = {}
    if where == "local":
        spec = _mapping(values.get("spec"))
        if spec.get("model") == name:  # the run's own settings go with the run's own model
            given = {key: spec[key] for key in _SPEC if spec.get(key) is not None}
    elif where == "openai":
        names = ("base_url", "key_env", "continue_by", "tokenizer")
        given = {key: values.get(key) for key in names}
    else:
        given = {key: values.get(key) for key in ("project_id", "location", "base_url")}
    given = {key: value for key, value in given.items() if value not in (None, "")}
    return ModelConfig(name=name, api=where, label=label, **given)


def problems(values: Values) -> dict[str, str]:
    """Field → why it cannot be used; empty where all is well."""
    where = values.get("where") or "local"
    found: dict[str, str | None] = {}
    if not values.get("name"):
        found["name"] = "type a folder of this machine, or the model's name there"
    if where == "openai":
        url = values.get("base_url") or ""
        found["base_url"] = (
            endpoint_settings.url_problem(url, values.get("key_env"))
            if url
            else "type the server's base URL"
        )
        found["key_env"] = endpoint_keys.problem(url, values.get("key_env"))
    if where == "gemini":
        asked = {"model2": values.get("name"), "project_id": values.get("project_id")}
        wrong = gemini_settings.problems("prefill", asked)
        found |= {"name": wrong.get("model2"), "project_id": wrong.get("project_id")}
    return {name: said for name, said in found.items() if said}


def free(model: ModelConfig) -> bool:
    """Whether a model is asked on this machine, where nothing is charged."""
    return model.api == "local" or gemini_settings.is_loopback(model.base_url or "")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
