"""Failures in the words of `sample`, whose models stand in a configuration."""

from __future__ import annotations

import re

from kl_core.sources.calls import CallError

_OPTIONS = re.compile(r"--(base-url|key-env|project-id|location|tokenizer)\b")


def worded(sentence: str) -> str:
    """A sentence with a model's fields in place of options that `sample` does not have."""
    return _OPTIONS.sub(
        lambda found: f"the model's {found[1].replace('-', '_')} in the configuration", sentence
    )


def of_configuration(error: CallError) -> CallError:
    """The same failure, `worded`."""
    return CallError(
        error.kind,
        worded(error.reason),
        error.retry,
        error.retry_after_s,
        error.input_tokens,
        error.output_tokens,
    )


def unexpected(what: str, name: str, error: Exception) -> CallError:
    """A failure of this machine's own, which ends one model's calls and no other's."""
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        reason = (
            f"{what} {name} does not fit into memory: take a smaller dtype or max_tokens, another "
            "device, or a smaller model"
        )
        return CallError("memory", reason, "denied")
    said = " ".join(str(error).split())[:300] or "no message"
    reason = f"{what} {name} failed ({type(error).__name__}: {said}): check its files and device"
    return CallError("model", reason, "denied")
