"""Match the tokens of a file with local token ids, by bytes and not by index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

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


def align(tokens: Sequence[Token], vocab: Vocabulary, encode: Encode) -> Alignment:
    """Give every token of a response its local ids, or a reason why it has none.

    Tokens that resolve keep their own ids: the text is never encoded again. Only a
    run between special tokens in which one does not resolve is joined, encoded and
    matched at common byte boundaries.

    Args:
        tokens: the sampled tokens of one response.
        vocab: the local vocabulary.
        encode: text → local ids, without special tokens added.
    """
    builder = _Builder(tokens, vocab, encode)
    start = 0
    for n, token in enumerate(tokens):
        if token.special:
            builder.add_run(start, n)
            builder.add_special(n)
            start = n + 1
    builder.add_run(start, len(tokens))
    return Alignment(tuple(builder.ids), tuple(builder.segments), tuple(builder.reasons))


class _Builder:
    """Collects ids, segments and reasons, run by run."""

    def __init__(self, tokens: Sequence[Token], vocab: Vocabulary, encode: Encode) -> None:
        self.tokens = tokens
        self.vocab = vocab
        self.encode = encode
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
        found = [self.vocab.resolve(token) for token in self.tokens[start:end]]
        if all(found):
            for n, ids in enumerate(found, start):
                self._take(n, n + 1, ids[:1])
            return
        self._add_encoded(start, end)

    def _add_encoded(self, start: int, end: int) -> None:
        """Encode the run's text and cut it at the byte offsets both sides share."""
        usable = self._usable_end(start, end)
        run = [token.data or b"" for token in self.tokens[start:usable]]
        whole = b"".join(run)
        text, kept = _whole_characters(whole)
        ids = list(self.encode(text)) if text else []
        local = _without_added_space(self.vocab.text_bytes(ids), kept)
        agreed = _common_prefix(b"".join(local), kept)
        api_ends, local_ends = list(accumulate(map(len, run))), list(accumulate(map(len, local)))
        done = self._cut(start, ids, api_ends, local_ends, agreed)
        if done < usable:
            if agreed < len(kept):
                self.lost = "the second model's tokenizer does not give this text back"
            else:
                self.lost = "it lies inside a character, which cannot be encoded as text"
            self._refuse(done, usable, self.lost)
        if usable < end:
            piece = self.tokens[usable].piece
            self.lost = f"the bytes of the token {piece!r} are not known: the text is lost here"
            self._refuse(usable, end, self.lost)

    def _usable_end(self, start: int, end: int) -> int:
        """Where the known text of a run ends: at the first token of unknown bytes."""
        for n in range(start, end):
            if self.tokens[n].data is None:
                return n
        return end

    def _cut(
        self,
        start: int,
        ids: Sequence[int],
        api_ends: Sequence[int],
        local_ends: Sequence[int],
        agreed: int,
    ) -> int:
        """Add a segment up to each common boundary; returns the first token left over."""
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
                self._take(start + api_from, start + api, ids[local_from:local])
                api_from, local_from = api, local
        return start + api_from


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
