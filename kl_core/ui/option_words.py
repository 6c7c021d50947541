"""Sentences of a worker for a page: a field's label in place of an option's name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_BEFORE = r"(?<![\w./`'\"?&-])"
_AFTER = r"(?![\w-]|\.\w)"


def with_labels(text: str, labels: Mapping[str, str]) -> str:
    """The sentence as the form's reader knows the fields.

    Taken for an option's name are `--base-url`, `the model's base_url in the configuration`,
    `models[1].base_url`, and a name that no sentence has by chance: one with `_` or a dot.

    Args:
        labels: name in a configuration (`base_url`, `prompts.field`) → label of its field.
    """

    def label(found: re.Match[str]) -> str:
        place, name = found["place"], next(filter(None, found.group("of", "set", "opt", "bare")))
        said = labels[name.replace("-", "_")]
        return said if place is None else f"{said} of model {int(place) + 1}"

    return _pattern(labels).sub(label, text) if labels else text


def _pattern(names: Iterable[str]) -> re.Pattern[str]:
    longest = sorted(names, key=len, reverse=True)
    whole = "|".join(map(re.escape, longest))
    options = "|".join(re.escape(name.replace("_", "-")) for name in longest)
    odd = "|".join(re.escape(name) for name in longest if "_" in name or "." in name)
    ways = [
        rf"models\[(?P<place>\d{{1,4}})\]\.(?P<of>{whole})",
        rf"(?:the model's )?(?P<set>{whole})(?: of the model)? in the configuration",
        rf"(?:the model's )?--(?P<opt>{options})",
        rf"(?P<bare>{odd or '(?!)'})",
    ]
    return re.compile(rf"{_BEFORE}(?:{'|'.join(ways)}){_AFTER}")
