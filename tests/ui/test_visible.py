"""Token text made visible."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kl_core.ui import visible
from kl_core.ui.visible import CLOSE, OPEN


def marked(glyph: str) -> str:
    return f"{OPEN}{glyph}{CLOSE}"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (" the", " the"),
        ("\n", marked("⏎")),
        ("\t", marked("⇥")),
        (" ", marked("·")),
        ("end ", "end" + marked("·")),
        ("\u202eevil\u202c", f"{marked('⟨U+202E⟩')}evil{marked('⟨U+202C⟩')}"),
        ("\u200bzero", f"{marked('⟨U+200B⟩')}zero"),
        ("\ufeffbom", f"{marked('⟨U+FEFF⟩')}bom"),
        ("\x00", marked("⟨U+0000⟩")),
        ("\ue000", marked("⟨U+E000⟩")),
        ("a\u00a0b", f"a{marked('⍽')}b"),
        ("<b>&amp;", "<b>&amp;"),
    ],
)
def test_what_a_browser_would_hide_is_shown_as_a_mark(text: str, shown: str) -> None:
    """Whitespace that vanishes, control, direction and zero-width characters get a mark."""
    assert visible.show(text) == shown


def test_a_joiner_inside_an_emoji_keeps_its_work() -> None:
    """An emoji sequence or a Persian word stays one, a joiner at an edge is shown."""
    family = "👩\u200d💻"
    assert visible.show(family) == family
    assert visible.show("\u200d💻").startswith(marked("⟨U+200D⟩"))


@given(st.text())
def test_nothing_is_lost_and_nothing_hidden_is_left(text: str) -> None:
    """Each character shows as itself or as one mark, and no control character survives."""
    shown = visible.show(text)
    plain = shown.replace(OPEN, "").replace(CLOSE, "")
    assert shown.count(OPEN) == shown.count(CLOSE)
    assert len(plain) >= len(text)
    assert not any(char in plain for char in "\n\r\t\u202e\u2066\u200b\ufeff\x00\x1b")


def test_a_character_split_over_tokens_shows_in_its_first_token() -> None:
    """The first token carries the whole character, the rest only continue it."""
    texts = [" a", "<0xE2>", "<0x98>", "<0x83>", " b"]
    data = [b" a", b"\xe2", b"\x98", b"\x83", b" b"]
    assert visible.join_characters(texts, data) == [" a", "☃", None, None, " b"]


def test_bytes_that_never_become_a_character_keep_their_own_text() -> None:
    """A lone byte, or one followed by a token of unknown bytes, stays what the file says."""
    assert visible.join_characters(["<0xE2>", " b"], [b"\xe2", b" b"]) == ["<0xE2>", " b"]
    assert visible.join_characters(["<0xE2>", "?"], [b"\xe2", None]) == ["<0xE2>", "?"]


def test_a_token_that_ends_inside_a_character_is_joined_with_the_next() -> None:
    """Text before the split character stays in front of it."""
    data = [b" snow \xe2\x98", b"\x83!"]
    assert visible.join_characters(["x", "y"], data) == [" snow ☃!", None]
