"""Names from files as labels that Plotly shows letter by letter."""

from __future__ import annotations

_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;", "%": "&#37;"})
UNNAMED = "(not told)"


def label(name: str | None, limit: int = 22) -> str:
    """A name that cannot act: markup, formulas and invisible characters become plain text.

    Plotly splits text at tags before it resolves entities, so that an escaped `<` is
    drawn and never obeyed; `$` would begin a formula, `%{` a template.
    """
    if name is None or not name.strip():
        return UNNAMED
    flat = "".join(c if c.isprintable() else f"⟨U+{ord(c):04X}⟩" for c in " ".join(name.split()))
    return (flat if len(flat) <= limit else flat[: limit - 1] + "…").translate(_ESCAPES)
