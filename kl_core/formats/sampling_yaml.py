"""YAML of a configuration, without YAML's traps, and its errors in words."""

from __future__ import annotations

import difflib
import re
from typing import Any

import msgspec
import yaml

MAX_BYTES = 4_000_000
_KINDS = {
    "float": "a number",
    "int": "a whole number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "a group of fields",
    "null": "nothing",
}
_SECRET = re.compile(r"(?i)^(api_?)?(key|token|secret|password|authorization)$")


class YamlProblem(Exception):  # noqa: N818 - becomes an InputError with the file's name
    """What is wrong with a text as YAML, in one sentence without what stands in it."""


class _Loader(yaml.SafeLoader):
    """YAML in which no field may stand twice."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise YamlProblem(f"line {key.start_mark.line + 1}: a field's name must be text")
        if key.value in seen:
            raise YamlProblem(
                f"line {key.start_mark.line + 1}: the field {key.value!r} stands twice in one "
                "group; keep one of them"
            )
        seen.add(key.value)
    loader.flatten_mapping(node)
    found: dict[Any, Any] = loader.construct_mapping(node, deep=True)
    return found


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def yaml_value(data: bytes | str) -> Any:
    """The value of a YAML text.

    Raises:
        YamlProblem: it is empty, too long, no YAML, or has a field twice.
    """
    if len(data) > MAX_BYTES:
        raise YamlProblem(f"it has {len(data)} bytes; a configuration has less than {MAX_BYTES}")
    try:
        value = yaml.load(data, Loader=_Loader)  # noqa: S506 - a subclass of SafeLoader
    except yaml.YAMLError as error:
        raise YamlProblem(f"it is not YAML: {_said(error)}") from None
    except (UnicodeDecodeError, RecursionError, ValueError) as error:
        raise YamlProblem(f"it is not YAML: {type(error).__name__}") from None
    if value is None:
        raise YamlProblem("it is empty; sample_data/configs/demo.yaml is one to begin with")
    return value


def _said(error: yaml.YAMLError) -> str:
    """The parser's words and the place, without the line itself."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    words = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
    place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
    return f"{words}{place}"


def readable(said: str, kind: type[msgspec.Struct]) -> str:
    """A message of msgspec about a configuration in a reader's words; never a value of the file."""
    problem, _, path = said.partition(" - at `")
    where = path.rstrip("`").removeprefix("$").lstrip(".").replace("[...]", "") or "the file"
    if found := re.match(r"Object contains unknown field `(.*)`", problem, re.DOTALL):
        return _unknown(found[1], where, kind)
    if found := re.match(r"Object missing required field `(.*)`", problem):
        return f"{where} has no {found[1]}; add it"
    if found := re.match(r"Expected `(.+)`, got `(.+)`", problem):
        return _other_kind(found[1], found[2], where)
    if problem.startswith("Invalid enum value"):
        choices = ", ".join(_choices(where, kind)) or "one of the listed words"
        return f"{where} must be one of {choices}"
    return f"{where}: {problem}"


def _unknown(field: str, where: str, kind: type[msgspec.Struct]) -> str:
    if _SECRET.match(field):
        return (
            f"{where} has a field {field!r}: keys are never written into this file; put the key "
            "into an environment variable and name that with key_env"
        )
    names = _fields(where, kind)
    near = difflib.get_close_matches(field, names, 1)
    advice = f"did you mean {near[0]!r}?" if near else f"the fields are {', '.join(names)}"
    return f"{where} has no field {field!r}; {advice}"


def _other_kind(expected: str, got: str, where: str) -> str:
    wanted = [_KINDS.get(name, name) for name in expected.split(" | ") if name != "null"]
    found = "a fraction" if got == "float" else _KINDS.get(got, got)
    sentence = f"{where} must be {' or '.join(wanted)}, not {found}"
    if got == "bool" and "str" in expected.split(" | "):
        return f"{sentence}: YAML reads yes, no, on and off as true and false, so write quotes"
    if got == "str" and wanted[-1:] == ["a number"]:
        return f"{sentence}: write it without quotes, and 0.001 instead of 1e-3"
    if got in {"int", "float", "date", "datetime"} and "str" in expected.split(" | "):
        return f"{sentence}: write it in quotes"
    if got == "str" and "array" in expected.split(" | "):
        return f"{sentence}: write it in brackets, [a, b]"
    return sentence


def _at(where: str, kind: Any) -> Any:
    """The type at a path such as `models[0].api`."""
    for part in [] if where == "the file" else where.replace("[", ".[").split("."):
        kind = _plain(kind)
        if part.startswith("["):
            kind = getattr(kind, "item_type", kind)
        else:
            fields = {f.name: f.type for f in getattr(kind, "fields", ())}
            kind = fields.get(part, kind)
    return _plain(kind)


def _plain(kind: Any) -> Any:
    if isinstance(kind, msgspec.inspect.UnionType):
        return next((t for t in kind.types if not isinstance(t, msgspec.inspect.NoneType)), kind)
    return kind


def _fields(where: str, kind: type[msgspec.Struct]) -> list[str]:
    found = _at(where, msgspec.inspect.type_info(kind))
    return [field.name for field in getattr(found, "fields", ())]


def _choices(where: str, kind: type[msgspec.Struct]) -> list[str]:
    found = _at(where, msgspec.inspect.type_info(kind))
    return [str(value) for value in getattr(found, "values", ())]
