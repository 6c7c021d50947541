"""Distributions made up from a hash of the context: no model, fast, always the same."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import numpy as np

from kl_core.emulator.following import Following, Ids, Whole
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
    positions: int | None = None
    bos: int | None = None
    _by_bytes: dict[bytes, int] = field(default_factory=dict)

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

    def closed(self, prompt: Prompt) -> Ids:
        """As start, with nothing said."""
        return self.start(prompt, "")

    def following(self, ids: Ids) -> Following:
        """Made up from a hash of all ids."""
        return self._made_up(blake2b(b"".join([_of(n) for n in ids]), digest_size=8).digest())

    def encode(self, text: str, special: bool) -> Ids:
        """The longest token that fits, again and again; bytes without a token are left out."""
        known = self._vocabulary()
        longest = max(map(len, known))
        data = text.encode("utf-8", "surrogatepass")
        ids: list[int] = []
        at = 0
        while at < len(data):
            sizes = range(min(longest, len(data) - at), 0, -1)
            size = next((n for n in sizes if data[at : at + n] in known), 0)
            if size:
                ids.append(known[data[at : at + size]])
            at += max(1, size)
        return tuple(ids)

    def whole(self, ids: Ids, top: int) -> Whole:
        """Each token by `following` of those before it; unlisted ones share what is left."""
        hashed = blake2b(digest_size=8)
        steps: list[Following] = []
        for number in ids:
            hashed.update(_of(number))
            steps.append(self._made_up(hashed.copy().digest()))
        known = [self._own(step, n) for step, n in zip(steps, ids[1:], strict=False)]
        rows = steps[:-1]
        width = min(top, LISTED, len(self.spelling))
        return Whole(
            ids,
            np.array([logprob for logprob, _ in known], np.float32),
            np.array([rank for _, rank in known], np.int64),
            np.array([step.ids[:width] for step in rows], np.int64).reshape(len(rows), width),
            np.array([step.logprobs[:width] for step in rows], np.float32).reshape(-1, width),
            steps[-1],
        )

    def _own(self, step: Following, number: int) -> tuple[float, int]:
        """Log-probability and rank of any token."""
        listed = [int(each) for each in step.ids]
        if number in listed:
            at = listed.index(number)
            return float(step.logprobs[at]), at + 1
        left = 1 - math.fsum([math.exp(float(value)) for value in step.logprobs])
        return math.log(left / max(1, len(self.spelling) - len(listed))), len(listed) + 1

    def _vocabulary(self) -> dict[bytes, int]:
        """Ids by the bytes they stand for in a text, special tokens by their names."""
        if not self._by_bytes:
            spelling = self.spelling
            for number, data in enumerate(spelling.data):
                self._by_bytes.setdefault(data or spelling.shown[number].encode(), number)
        return self._by_bytes

    def _made_up(self, digest: bytes) -> Following:
        size = len(self.spelling)
        first, step = digest[0] | digest[1] << 8, digest[2] | 1
        listed = min(LISTED, size)
        chosen = list(dict.fromkeys([(first + n * step) % size for n in range(listed)]))
        fall = FALLS[digest[3]]
        top = MASSES[digest[4]] + math.log1p(-math.exp(fall))
        top -= math.log1p(-math.exp(len(chosen) * fall))
        return Following(chosen, [top + n * fall for n in range(len(chosen))])


def _of(number: int) -> bytes:
    return number.to_bytes(4, "little")
