"""Two tokenisations of one text, cut at the bytes they share."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kl_core.formats.align_bytes import (
    ENDED,
    GOES_ON,
    OTHER_TEXT,
    WITH_PROMPT,
    ByteAlignment,
    align_bytes,
)
from kl_core.records import Token


def token(data: bytes | None, piece: str | None = None) -> Token:
    shown = (data or b"\xff").decode("utf-8", "replace")
    return Token(shown, data, None, shown if piece is None else piece)


def special(name: str) -> Token:
    return Token(name, b"", None, name, special=True)


def tokens(*texts: str) -> list[Token]:
    return [special(t) if t[:2] == "<|" or not t else token(t.encode()) for t in texts]


def places(found: ByteAlignment) -> list[tuple[int, int, int, int]]:
    return [(s.api_start, s.api_end, s.local_start, s.local_end) for s in found.segments]


def test_equal_tokens_are_one_to_one():
    """The same cut on both sides."""
    found = align_bytes(tokens("The", " cat"), tokens("The", " cat"), "The cat")
    assert places(found) == [(0, 1, 0, 1), (1, 2, 1, 2)]
    assert found.reasons == (None, None)


def test_stretches_cut_differently_are_joined_up_to_the_next_shared_boundary():
    """`un|happ|y` and `unh|appy` end together only at the last byte."""
    found = align_bytes(
        tokens("So", "un", "happ", "y", "!"), tokens("So", "unh", "appy", "!"), "Sounhappy!"
    )
    assert places(found) == [(0, 1, 0, 1), (1, 4, 1, 3), (4, 5, 3, 4)]
    assert not any(segment.one_to_one for segment in found.segments[1:2])


def test_bytes_that_a_server_writes_as_replacement_are_found_in_the_text():
    """Four tokens of one character each side: those of unknown bytes are one stretch."""
    ours = [token(b"a"), *[token(bytes([byte])) for byte in "😀".encode()], token(b"b")]
    theirs = [token(b"a"), *[token(None, "�")] * 4, token(b"b")]
    assert places(align_bytes(ours, theirs, "a😀b")) == [(0, 1, 0, 1), (1, 5, 1, 5), (5, 6, 5, 6)]


def test_parts_of_a_character_written_as_nothing_belong_to_the_whole_one():
    """Some servers write `""` until a character is complete: never one to one."""
    ours = [token("😀".encode()[:2]), token("😀".encode()[2:]), token(b"b")]
    theirs = tokens("", "😀", "b")
    assert places(align_bytes(ours, theirs, "😀b")) == [(0, 2, 0, 2), (2, 3, 2, 3)]
    assert places(align_bytes(tokens("", "😀"), tokens("", "😀"), "😀")) == [(0, 2, 0, 2)]


def test_tokens_that_straddle_the_prompt_have_no_place():
    """The first two bytes lie in a token of the prompt; ` cat` begins inside one of ours."""
    found = align_bytes(tokens("The", " cat", "!"), tokens("e", " cat", "!"), "The cat!", 2)
    assert places(found) == [(1, 2, 1, 2), (2, 3, 2, 3)]
    assert found.reasons == (WITH_PROMPT, None, None)


def test_the_first_difference_in_the_text_ends_the_comparison():
    """A text the server changed is never taken for the response, not even where it fits again."""
    found = align_bytes(tokens("A", "B", "C"), tokens("A", "X", "C"), "ABC")
    assert places(found) == [(0, 1, 0, 1)]
    assert found.reasons == (None, OTHER_TEXT, OTHER_TEXT)


@pytest.mark.parametrize(
    ("theirs", "reason"), [(["A"], ENDED), (["A", "BC", "D"], GOES_ON), (["A", "B"], None)]
)
def test_ends_that_do_not_meet_have_a_reason(theirs, reason):
    """A shorter text, a token beyond the end, and the good case."""
    assert align_bytes(tokens("A", "B"), tokens(*theirs), "AB").reasons == (None, reason)


def test_special_tokens_meet_only_their_own_name():
    """An end token that the text leaves out is unmatched; what follows another one is lost."""
    ours = tokens("A", "<|end|>")
    assert places(align_bytes(ours, tokens("A", "<|end|>"), "A"))[1] == (1, 2, 1, 2)
    assert align_bytes(ours, tokens("A"), "A").reasons == (
        None,
        "model 2's text has no special token '<|end|>' here",
    )
    middle = align_bytes(tokens("A", "<|x|>", "B"), tokens("A", "B"), "AB")
    assert len(middle.segments) == 1
    assert middle.reasons[2] is not None
    other_way = align_bytes(tokens("A", "B"), tokens("A", "<|x|>", "B"), "AB")
    assert len(other_way.segments) == 1
    assert other_way.reasons[1] is not None


def test_a_token_whose_bytes_nobody_knows_ends_the_comparison():
    """Without its bytes the place of what follows is not known."""
    found = align_bytes([token(b"A"), token(None, "�"), token(b"B")], tokens("A", "B"), "")
    assert len(found.segments) == 1
    assert found.reasons[1] == found.reasons[2]
    assert "not known" in (found.reasons[1] or "")


def _cut(data: bytes, ends: set[int]) -> list[Token]:
    bounds = [0, *sorted({end for end in ends if 0 < end < len(data)}), len(data)]
    return [token(data[a:b]) for a, b in pairwise(bounds)]


@given(
    st.text(min_size=1, max_size=12),
    st.sets(st.integers(1, 40)),
    st.sets(st.integers(1, 40)),
    st.integers(0, 3),
)
def test_segments_lie_between_all_shared_boundaries(text, ends1, ends2, skipped):
    """Held against the plain definition: sort both sets of boundaries, cut where both are."""
    data = text.encode()
    skipped = min(skipped, len(data) - 1)
    ours, theirs = _cut(data, ends1), _cut(data[skipped:], {end - skipped for end in ends2})
    found = align_bytes(ours, theirs, text, skipped)
    starts1, starts2 = {0: 0}, {skipped: 0}
    for starts, side in ((starts1, ours), (starts2, theirs)):
        at = next(iter(starts))
        for n, each in enumerate(side, 1):
            at += len(each.data or b"")
            starts[at] = n
    shared = sorted(starts1.keys() & starts2.keys())
    expected = [(starts1[a], starts1[b], starts2[a], starts2[b]) for a, b in pairwise(shared)]
    assert places(found) == expected
    covered = {n for s in found.segments for n in range(s.api_start, s.api_end)}
    assert [reason is None for reason in found.reasons] == [n in covered for n in range(len(ours))]
