"""Match the tokens of a file with local token ids, by bytes and not by index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from kl_core.formats.gaps import Gap, find_gaps
from kl_core.formats.vocabulary import Vocabulary, resolve_dist
from kl_core.records import Token

__all__ = ["Alignment", "Segment", "Vocabulary", "align", "resolve_dist"]

Encode = Callable[[str], Sequence[int]]


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the same bytes on both sides.

    File tokens [api_start, api_end) are local ids [local_start, local_end).
    """

    api_start: int
    api_end: int
    local_start: int
    local_end: int

    @property
    def one_to_one(self) -> bool:
        """Whether one file token is one local token, so that a KL can be given."""
        return self.api_end - self.api_start == 1 and self.local_end - self.local_start == 1


@dataclass(frozen=True, slots=True)
class Alignment:
    """How a response of a file reads in a local vocabulary.

    Attributes:
        ids: local ids of the whole response, without specials that do not exist here.
        segments: in order; every file token without a reason lies in exactly one.
        reasons: per file token why it has no place in `ids`; None where it has.
    """

    ids: tuple[int, ...]
    segments: tuple[Segment, ...]
    reasons: tuple[str | None, ...]

    @property
    def coverage(self) -> float:
        """Share of file tokens that are matched one to one; 0 for an empty response."""
        if not self.reasons:
            return 0.0
        return sum([segment.one_to_one for segment in self.segments]) / len(self.reasons)


def align(
    tokens: Sequence[Token], vocab: Vocabulary, encode: Encode, text: str | None = None
) -> Alignment:
    """Give every token of a response its local ids, or a reason why it has none.

    Tokens that resolve keep their own ids: the text is never encoded again. Only a
    run between special tokens in which one does not resolve is joined, encoded and
    matched at common byte boundaries. Neighbouring tokens of unknown bytes become one
    span, encoded on its own, where the text shows what they add.

    Args:
        tokens: the sampled tokens of one response.
        vocab: the local vocabulary.
        encode: text → local ids, without special tokens added.
        text: the response text; it settles the bytes that the tokens do not give.
    """
    builder = _Builder(tokens, vocab, encode, find_gaps(tokens, text))
    start = 0
    for n, token in enumerate(tokens):
        if token.special:
            builder.add_run(start, n)
            builder.add_special(n)
            start = n + 1
    builder.add_run(start, len(tokens))
    return Alignment(tuple(builder.ids), tuple(builder.segments), tuple(builder.reasons))


@dataclass(frozen=True, slots=True)
class _Unit:
    """File tokens [start, end) that are matched together; `data` None where not known."""

    start: int
    end: int
    data: bytes | None


class _Builder:
    """Collects ids, segments and reasons, run by run."""

    def __init__(
        self, tokens: Sequence[Token], vocab: Vocabulary, encode: Encode, gaps: Sequence[Gap]
    ) -> None:
        self.tokens = tokens
        self.vocab = vocab
        self.encode = encode
        self.gaps = {gap.start: gap for gap in gaps}
        self.ids: list[int] = []
        self.segments: list[Segment] = []
        self.reasons: list[str | None] = [None] * len(tokens)
        self.lost: str | None = None  # set once the local text can no longer follow

    def _take(self, start: int, end: int, ids: Sequence[int]) -> None:
        at = len(self.ids)
        self.ids += ids
        self.segments.append(Segment(start, end, at, len(self.ids)))

    def _refuse(self, start: int, end: int, reason: str) -> None:
        self.reasons[start:end] = [reason] * (end - start)

    def add_special(self, n: int) -> None:
        """A special token: matched by its exact name only."""
        found = self.vocab.resolve(self.tokens[n])
        if self.lost is not None:
            self._refuse(n, n + 1, self.lost)
        elif found:
            self._take(n, n + 1, found[:1])
        else:
            name = self.tokens[n].piece
            self._refuse(n, n + 1, f"the second model has no special token {name!r}")

    def add_run(self, start: int, end: int) -> None:
        """Ordinary tokens [start, end)."""
        if self.lost is not None:
            self._refuse(start, end, self.lost)
            return
        units = self._units(start, end)
        found = [self._own_ids(unit) for unit in units]
        if all(found):
            for unit, ids in zip(units, found, strict=True):
                self._take(unit.start, unit.end, ids)
            return
        self._add_encoded(units)

    def _units(self, start: int, end: int) -> list[_Unit]:
        units = []
        while start < end:
            gap = self.gaps.get(start)
            unit = _Unit(start, start + 1, self.tokens[start].data)
            if gap is not None:
                unit = _Unit(gap.start, gap.end, gap.data)
            units.append(unit)
            start = unit.end
        return units

    def _own_ids(self, unit: _Unit) -> Sequence[int]:
        """Ids that a unit has whatever stands beside it; () without any."""
        if unit.start not in self.gaps:
            return self.vocab.resolve(self.tokens[unit.start])[:1]
        data = unit.data or b""
        text, whole = _whole_characters(data)
        if whole != data:
            return ()
        ids = list(self.encode(text))
        local = self.vocab.text_bytes(ids)
        if local[:1] == [b" "] and b"".join(local) == b" " + data:  # the space it adds
            return ids[1:]
        return ids if b"".join(local) == data else ()

    def _add_encoded(self, units: Sequence[_Unit]) -> None:
        """Encode the run's text and cut it at the byte offsets both sides share."""
        known = next((n for n, unit in enumerate(units) if unit.data is None), len(units))
        run = [unit.data or b"" for unit in units[:known]]
        whole = b"".join(run)
        text, kept = _whole_characters(whole)
        ids = list(self.encode(text)) if text else []
        local = _without_added_space(self.vocab.text_bytes(ids), kept)
        agreed = _common_prefix(b"".join(local), kept)
        api_ends, local_ends = list(accumulate(map(len, run))), list(accumulate(map(len, local)))
        done = self._cut(units, ids, api_ends, local_ends, agreed)
        end = units[-1].end
        if done < known:
            if agreed < len(kept):
                self.lost = "the second model's tokenizer does not give this text back"
            else:
                self.lost = "it lies inside a character, which cannot be encoded as text"
            self._refuse(units[done].start, end, self.lost)
        elif known < len(units):
            piece = self.tokens[units[known].start].piece
            self.lost = f"the bytes of the token {piece!r} are not known: the text is lost here"
            self._refuse(units[known].start, end, self.lost)

    def _cut(
        self,
        units: Sequence[_Unit],
        ids: Sequence[int],
        api_ends: Sequence[int],
        local_ends: Sequence[int],
        agreed: int,
    ) -> int:
        """Add a segment up to each common boundary; returns the first unit left over."""
        api = local = api_from = local_from = 0
        while api < len(api_ends) and local < len(local_ends):
            if max(api_ends[api], local_ends[local]) > agreed:
                break
            if api_ends[api] < local_ends[local]:
                api += 1
            elif api_ends[api] > local_ends[local]:
                local += 1
            else:
                boundary = api_ends[api]
                while api < len(api_ends) and api_ends[api] == boundary:
                    api += 1
                while local < len(local_ends) and local_ends[local] == boundary:
                    local += 1
                self._take(units[api_from].start, units[api - 1].end, ids[local_from:local])
                api_from, local_from = api, local
        return api_from


def _whole_characters(data: bytes) -> tuple[str, bytes]:
    """The longest start of `data` that is valid UTF-8, as text and as bytes."""
    try:
        return data.decode(), data
    except UnicodeDecodeError as error:
        return data[: error.start].decode(), data[: error.start]


def _without_added_space(local: list[bytes], wanted: bytes) -> list[bytes]:
    """SentencePiece puts a space before a text: take it off the first piece again."""
    if local and local[0].startswith(b" ") and not wanted.startswith(b" "):
        return [local[0][1:], *local[1:]]
    return local


def _common_prefix(left: bytes, right: bytes) -> int:
    """Length of the start both share."""
    size = min(len(left), len(right))
    if left[:size] == right[:size]:
        return size
    return next(n for n in range(size) if left[n] != right[n])
