"""The fields of the Gemini page."""

from __future__ import annotations

from kl_core.ui.form_fields import Check, Fields, wrong

__all__ = ["Check", "fill", "number", "share", "text", "tick", "values", "wrong"]

FIELDS = Fields("ask")
values, fill = FIELDS.values, FIELDS.fill
text, number, tick, share = FIELDS.text, FIELDS.number, FIELDS.tick, FIELDS.share
