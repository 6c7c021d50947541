"""A button that copies the address of what is on the screen."""

from __future__ import annotations

from functools import cache

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

_CSS = """
button { font-family: var(--st-font); font-size: 14px; padding: 0 12px; height: 2.5rem;
  display: block; border-radius: var(--st-button-radius);
  border: 1px solid var(--st-border-color); background: transparent; color: var(--st-text-color);
  cursor: pointer; white-space: nowrap; width: 100% }
button:hover { border-color: var(--st-primary-color) }
button:focus-visible { outline: 2px solid color-mix(in srgb, var(--st-text-color) 55%, transparent);
  outline-offset: 1px }
"""
_JS = r"""
export default function ({ parentElement }) {
  if (parentElement.querySelector('button')) return;
  const button = document.createElement('button');
  button.textContent = 'Copy link';
  button.title = 'Copies the address of this run, prompt, response and token';
  button.onclick = async () => {
    let copied = true;
    try { await navigator.clipboard.writeText(location.href); } catch { copied = false; }
    button.textContent = copied ? 'Copied' : 'See the address bar';
    setTimeout(() => { button.textContent = 'Copy link'; }, 1500);
  };
  parentElement.append(button);
}
"""


@cache
def _component() -> ComponentRenderer:
    return st.components.v2.component("kl_copy_link", css=_CSS, js=_JS)


def show() -> None:
    """Draw the button."""
    _component()(key="copy_link")
