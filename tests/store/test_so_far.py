"""How many prompts an unfinished run has, and of how many."""

import os
import time

from kl_core.store import so_far, spending
from tests.ui import made_runs


def test_prompts_on_disk_are_counted_and_a_plan_tells_of_how_many(tmp_path):
    """A plan counts what was left when it was made; a search's counts every prompt."""
    run = made_runs.planted(tmp_path, prompts=5)
    assert so_far.finished(run) == 5 and so_far.in_all(run) is None
    spending.write_plan(run, spending.CallPlan("online", "m", prompts=16))
    now = time.time()
    os.utime(spending.plan_path(run), (now + 60, now + 60))
    assert so_far.in_all(run) == 21  # five were there when it was made
    os.utime(spending.plan_path(run), (now - 60, now - 60))
    assert so_far.in_all(run) == 16 and so_far.in_all(run, searched=True) == 16


def test_a_run_without_parts_has_none(tmp_path):
    """Nothing is there, and nothing is read."""
    assert so_far.finished(tmp_path) == 0
