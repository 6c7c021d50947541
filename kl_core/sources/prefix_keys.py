"""Which text stands before each position of a response, as hashes that can be compared."""

from __future__ import annotations

import hashlib
import json

from kl_core.formats.gaps import find_gaps
from kl_core.records import Prompt, Response

KEY_BYTES = 16
AMONG_UNKNOWN = "it lies among tokens of which the file gives only the bytes together"
AFTER_NAMELESS = "it comes after a special token without a name"


def prompt_key(prompt: Prompt) -> bytes:
    """Equal for equal messages; another conversation is another key."""
    turns = [[turn.role, turn.content] for turn in prompt]
    written = json.dumps(turns, ensure_ascii=True, separators=(",", ":")).encode()
    return hashlib.blake2b(written, digest_size=KEY_BYTES).digest()


def prefix_keys(prompt: bytes, response: Response) -> tuple[list[bytes | None], list[str | None]]:
    """The key of the text before each of the T positions, or why it is not known.

    The text is the bytes of the tokens before the position, however they were cut, parts of
    characters included; the names of special tokens count, and so does the reasoning that
    came before the answer. Equal keys are equal texts after equal prompts.

    Args:
        prompt: `prompt_key` of the prompt.
    """
    tokens = [position.token for position in response.positions]
    gaps = {gap.start: gap for gap in find_gaps(tokens, response.text)}
    digest = hashlib.blake2b(prompt, digest_size=KEY_BYTES)
    if response.reasoning:
        digest = _apart(digest, b"reasoning", response.reasoning)
    keys: list[bytes | None] = []
    reasons: list[str | None] = []
    lost: str | None = None
    skip = 0
    for n, token in enumerate(tokens):
        why = lost or (AMONG_UNKNOWN if n < skip else None)
        keys.append(digest.digest() if why is None else None)
        reasons.append(why)
        if why is not None:
            continue
        gap = gaps.get(n)
        if gap is not None:
            digest.update(gap.data)
            skip = gap.end
        elif token.special:
            digest = _apart(digest, b"special", token.piece)
            lost = None if token.piece else AFTER_NAMELESS
        elif token.data is None:
            lost = f"the bytes of the token {token.piece!r} before it are not known"
        else:
            digest.update(token.data)
    return keys, reasons


def _apart(digest: hashlib.blake2b, kind: bytes, name: str) -> hashlib.blake2b:
    """Goes on after something that is no text: no text gives the same key."""
    data = digest.digest() + name.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=KEY_BYTES, person=kind)
