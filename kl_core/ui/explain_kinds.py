"""Sentences on tokens that are no plain text: special, byte, blank, invisible, spans."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from kl_core.ui import visible
from kl_core.ui.figures import counted, signed

Around = Sequence[dict[str, Any]]
REACH = 8  # tokens on each side that may tell which character a byte belongs to
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
# what special tokens of common vocabularies do; matched in order on their lower-case name
_ROLES = (
    (r"eot|end_?of_?turn|im_end|eom|end_message", "it ends a turn"),
    (r"eos|end_?of_?(text|sequence|sentence)|^</s>$|^<\|end\|>$", "it ends the text"),
    (r"bos|begin_?of|^<s>$|startoftext", "it begins the text"),
    (r"start_?of_?turn|im_start|header|role|user|assistant|system", "it marks who speaks"),
    (r"think|reason|channel", "it marks reasoning or a channel"),
    (r"tool|function|call", "it marks a tool call"),
    (r"pad", "it fills up a batch"),
    (r"unk", "it stands for text outside the vocabulary"),
    (r"fim|prefix|suffix|middle|mask", "it marks a gap to fill in"),
    (r"image|audio|video|vision", "it stands for other media"),
)
_BLANKS = {"\n": "line break", "\t": "tab", "\r": "carriage return", "\u00a0": "no-break space"}


def kind(text: str, special: bool) -> str:
    """`special`, `byte` or nothing: the tag beside a candidate."""
    return "special" if special else "byte" if _BYTE.fullmatch(text) else ""


def needs_around(token: dict[str, Any]) -> tuple[int, int] | None:
    """(first, last) position of the neighbours an explanation needs; None for none."""
    place, start = token["position"], token["span_start"]
    if start is not None:
        return min(start, place), max(token["span_end"] - 1, place)
    if kind(token["token"], token["special"]) == "byte" or "\ufffd" in token["token"]:
        return max(0, place - REACH), place + REACH
    return None


def sentence(token: dict[str, Any], around: Around) -> str:
    """What kind of token this is, empty for plain text."""
    text = token["token"]
    if token["special"]:
        return f"{visible.plain(text)} is a special token: {_role(text)}. It adds no text."
    if match := _BYTE.fullmatch(text):
        return _byte(token, match[1].upper(), around)
    if "\ufffd" in text and not token.get("data"):
        return (
            "This token is part of a character, and the file does not tell which bytes: it may "
            "be any of several tokens."
        )
    return _blank(text) or _invisible(text)


def span(token: dict[str, Any], around: Around) -> str:
    """What an alignment span covers, empty outside one."""
    start, end = token["span_start"], token["span_end"]
    if start is None:
        return ""
    inside = [one for one in around if start <= one["position"] < end]
    covered = "".join(one["token"] for one in inside)
    joined = f" “{visible.plain(covered, 60)}”" if covered else ""
    ratio = next((one["log_ratio"] for one in inside if one["position"] == start), None)
    if ratio is None and token["position"] == start:
        ratio = token["log_ratio"]
    whole = f" ln P − ln Q of the whole span is {signed(ratio)} nats." if ratio is not None else ""
    return (
        f"Positions {start}–{end - 1}{joined} are one span of {counted(end - start, 'token')}: "
        "model 2's tokenizer cuts this text at other places, so its next-token list answers "
        f"another question and there is no KL here.{whole}"
    )


def _role(text: str) -> str:
    name = text.strip().lower()
    for pattern, what in _ROLES:
        if re.search(pattern, name):
            return f"going by its name, {what}"
    return "a control token of the vocabulary"


def _byte(token: dict[str, Any], code: str, around: Around) -> str:
    character = _character(token["position"], around)
    if character is None:
        return f"{token['token']} is the byte {code}: a part of a character, or no text at all."
    start, end, text = character
    if end - start == 1:
        return f"{token['token']} is the byte {code}, the character “{visible.plain(text)}”."
    return (
        f"{token['token']} is the byte {code}, a part of the character “{visible.plain(text)}” "
        f"at positions {start}–{end - 1}."
    )


def _character(position: int, around: Around) -> tuple[int, int, str] | None:
    """(first position, one past the last, text) of the character around a byte."""
    texts = [one["token"] for one in around]
    joined = visible.join_characters(texts, [one["data"] for one in around])
    place = next((i for i, one in enumerate(around) if one["position"] == position), None)
    if place is None:
        return None
    start = place
    while start > 0 and joined[start] is None:
        start -= 1
    text = joined[start]
    if text is None or _BYTE.fullmatch(text):
        return None
    end = place + 1
    while end < len(joined) and joined[end] is None:
        end += 1
    return around[start]["position"], around[end - 1]["position"] + 1, text


def _blank(text: str) -> str:
    """A token of blanks alone is drawn as marks; say so."""
    if not text or not text.isspace():
        return ""
    if not text.strip(" "):
        what = "a single space" if len(text) == 1 else f"{len(text)} spaces"
        return f"This token is {what}, drawn as “{'·' * min(len(text), 8)}”."
    counts: dict[str, int] = {}
    for char in text:
        name = "space" if char == " " else _BLANKS.get(char) or _name(char)
        counts[name] = counts.get(name, 0) + 1
    return f"This token is {', '.join(counted(n, name) for name, n in counts.items())}."


def _invisible(text: str) -> str:
    """Characters that are drawn as ⟨U+…⟩, by their names."""
    shown = visible.show(text)
    hidden = sorted({char for char in text if f"⟨U+{ord(char):04X}⟩" in shown})
    if not hidden:
        return ""
    names = ", ".join(f"U+{ord(char):04X} {_name(char)}" for char in hidden[:3])
    more = f" and {len(hidden) - 3} more" if len(hidden) > 3 else ""
    return f"This token holds what a reader would not see: {names}{more}."


def _name(char: str) -> str:
    return unicodedata.name(char, "control character").lower()
