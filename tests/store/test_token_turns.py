"""Tokens of a run whose prompts have several turns."""

from dataclasses import replace

from kl_core.records import Message
from kl_core.store import queries, token_export
from tests import factories
from tests.store.test_restore import make_run


def test_the_tokens_of_a_run_keep_the_turns_of_their_prompt(tmp_path):
    """`messages` beside the labelled text, so that an answer can be taken up again."""
    turns = (Message("system", "s"), Message("user", "q"))
    entry = factories.entry(0)
    entry = replace(entry, entry=replace(entry.entry, prompt=turns))
    cursor = queries.open_run(make_run(tmp_path / "runs", [entry])).cursor()
    row = token_export.token_object(cursor, token_export.bounds(None))["entries"][0]
    assert row["prompt"] == "system: s\n\nuser: q"
    assert row["messages"] == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "q"},
    ]
