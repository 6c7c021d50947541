"""Fields that keep their value while they are not drawn, with what is wrong right below them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from kl_core.ui import markup

Check = Callable[[], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of one form; forms of other names know nothing of it.

    Attributes:
        form: begins the keys of the fields and names the session's record of their values.
    """

    form: str

    def values(self) -> dict[str, Any]:
        """Name → what is set, of the fields drawn or not."""
        found: dict[str, Any] = st.session_state.setdefault(f"{self.form}_kept", {})
        return found

    def fill(self, new: Mapping[str, Any]) -> None:
        """Set these and empty all others; to be called before the fields are drawn."""
        kept = self.values()
        for name in kept:
            st.session_state.pop(self.key(name), None)
        kept.clear()
        kept.update(new)

    def key(self, name: str) -> str:
        """The key of a field's widget."""
        return f"{self.form}_{name}"

    def text(self, name: str, label: str, check: Check, **looks: Any) -> None:
        """A line of text, and what is wrong with it once there is some."""
        st.session_state.setdefault(self.key(name), self.values().get(name) or "")
        said = st.text_input(label, key=self.key(name), **looks).strip()
        self.values()[name] = said or None
        if said:
            self.fault(name, check)

    def fault(self, name: str, check: Check) -> None:
        """What is wrong with a field, below it."""
        if problem := check().get(name):
            wrong(problem)

    def number(
        self, name: str, label: str, least: float, most: float | None = None, **looks: Any
    ) -> None:
        """A number, or nothing for the option's default."""
        st.session_state.setdefault(self.key(name), self.values().get(name))
        self.values()[name] = st.number_input(label, least, most, None, key=self.key(name), **looks)

    def tick(self, name: str, label: str, **looks: Any) -> None:
        """Yes or no."""
        st.session_state.setdefault(self.key(name), bool(self.values().get(name)))
        self.values()[name] = st.checkbox(label, key=self.key(name), **looks)

    def share(self, name: str, label: str, least: int, step: int, **looks: Any) -> None:
        """A share as percent; all of it is the option's default."""
        kept = self.values().get(name)
        percent = 100 if kept is None else min(100, max(least, step * round(100 * kept / step)))
        st.session_state.setdefault(self.key(name), percent)
        said = st.slider(label, least, 100, step=step, key=self.key(name), format="%d %%", **looks)
        self.values()[name] = None if said == 100 else said / 100

    def choice(
        self,
        name: str,
        label: str,
        options: Mapping[str, str],
        captions: Sequence[str],
        **looks: Any,
    ) -> None:
        """One of a few, each with a sentence; the first is what is set where nothing is.

        Args:
            options: value → label.
        """
        kept = self.values().get(name)
        first = next(iter(options))
        st.session_state.setdefault(self.key(name), kept if kept in options else first)
        self.values()[name] = st.radio(
            label,
            list(options),
            format_func=options.__getitem__,
            captions=captions,
            key=self.key(name),
            **looks,
        )


def wrong(problem: str) -> None:
    """A sentence below the field just drawn."""
    said = markup.inert(f"{problem[0].upper()}{problem[1:]}.")
    st.markdown(f":small[:red[:material/error: {said}]]")
