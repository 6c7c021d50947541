"""What tests of long jobs share."""

from __future__ import annotations

import shutil

import pytest

from tests.jobs.gemini import SAMPLES

TWO = ("what-is-a-haiku.json", "who-lives-in-the-lighthouse.json")


@pytest.fixture
def few(tmp_path):
    """A folder of two sample files, 416 positions."""
    folder = tmp_path / "few"
    folder.mkdir()
    for name in TWO:
        shutil.copy(SAMPLES / name, folder / name)
    return folder
