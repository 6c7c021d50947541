"""What the terminal prints: figures, tables, prompts."""

import os
import sys

import pytest

from kl_core.cli import output
from kl_core.store.summary import run_summary
from tests.ui import made_runs


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([0.296, 0.00091, 0.0000783], ["0.296", "0.000910", "0.0000783"]),
        ([0.296, 0.00000783], ["2.96e-01", "7.83e-06"]),
        ([0.0, None, float("inf"), 12.0], ["0", "–", "inf", "12.0"]),
    ],
)
def test_a_column_has_one_notation_and_three_digits(values, shown):
    """No 7.83e-05 beside a 0.00091."""
    assert output.same_notation(values) == shown


def test_an_interval_is_rounded_outwards():
    """No end promises more than was found."""
    assert output.interval({"low": 0.05738, "high": 1.6031}) == " (0.0573 – 1.61)"
    assert output.interval({"low": 0.0, "high": 0.5}) == " (0 – 0.500)"
    assert output.interval({"low": None, "high": None}) == " ± ?"


def test_tables_and_problems_fit_the_terminal(tmp_path, capsys, monkeypatch):
    """Their rows are cut to its width, where it is one."""
    summary = run_summary(made_runs.searched(tmp_path, 2, budget=0.3))
    summary["problems"] = [
        {"file": "f" * 50, "where": "$[0]", "reason": "r" * 80, "hint": "h" * 100}
    ]
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(output.shutil, "get_terminal_size", lambda: os.terminal_size((80, 24)))
    output.print_summary(summary)
    lines = capsys.readouterr().out.splitlines()
    start = next(n for n, line in enumerate(lines) if "most divergent" in line)
    assert max(len(line) for line in lines[start:-1]) <= 80
