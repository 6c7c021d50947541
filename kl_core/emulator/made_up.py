"""Distributions made up from a hash of the context: no model, fast, always the same."""

from __future__ import annotations

import math
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from kl_core.emulator.following import Following, Ids
from kl_core.emulator.spelling import Spelling
from kl_core.records import Prompt

LISTED = 20
FALLS = tuple(-0.1 - 2.3 * n / 255 for n in range(256))  # log of the ratio between neighbours
MASSES = tuple(math.log(0.9 + 0.0999 * n / 255) for n in range(256))


@dataclass(frozen=True, slots=True)
class MadeUp:
    """Twenty tokens with geometrically falling probabilities, 0.9 to 0.9999 in sum."""

    spelling: Spelling
    ends: frozenset[int] = frozenset()

    @classmethod
    def of_folder(cls, folder: Path) -> MadeUp:
        """Answers with the vocabulary of a saved model.

        Raises:
            ModelError: as Spelling.of_folder.
        """
        return cls(Spelling.of_folder(folder))

    def start(self, prompt: Prompt, said: str) -> Ids:
        """Four bytes of the text make one id, so that counts of tokens look like some."""
        text = "".join([f"\x02{turn.role}\x03{turn.content}" for turn in prompt])
        data = f"{text}\x04{said}".encode("utf-8", "surrogatepass")
        data += bytes(-len(data) % 4)
        return tuple(memoryview(data).cast("I"))

    def following(self, ids: Ids) -> Following:
        """Made up from a hash of all ids."""
        digest = blake2b(b"".join([n.to_bytes(4, "little") for n in ids]), digest_size=8).digest()
        size = len(self.spelling)
        first, step = digest[0] | digest[1] << 8, digest[2] | 1
        listed = min(LISTED, size)
        chosen = list(dict.fromkeys([(first + n * step) % size for n in range(listed)]))
        fall = FALLS[digest[3]]
        top = MASSES[digest[4]] + math.log1p(-math.exp(fall))
        top -= math.log1p(-math.exp(len(chosen) * fall))
        return Following(chosen, [top + n * fall for n in range(len(chosen))])
