"""`import DIR --against DIR2` as a user types it."""

from __future__ import annotations

import json

from tests import writing
from tests.jobs.test_import_against import pair


def test_the_summary_says_what_was_shared_and_what_the_means_are_of(tmp_path):
    """For a person one line and its caveat, for a program two keys."""
    folder, against = pair(tmp_path)
    said = writing.call(tmp_path / "runs", "import", folder, "--against", against).stdout
    assert "free comparison: 12 of 19 positions, 12 distinct contexts, no call" in said
    assert "Means are over the shared positions alone" in said
    assert "P = p, Q = q" in said
    told = writing.call(tmp_path / "more", "import", folder, "--against", against, "--json").stdout
    summary = json.loads(told)
    assert (summary["shared_contexts"], summary["scored_tokens"]) == (12, 12)
    assert summary["against"] == str(against)


def test_a_second_folder_that_is_not_there_is_one_sentence(tmp_path):
    """No run, no traceback."""
    folder, _ = pair(tmp_path)
    done = writing.call(tmp_path / "r", "import", folder, "--against", "/no/such", expect=2)
    assert "/no/such does not exist" in done.stderr
