"""One reading of the sample for all of its tests."""

from __future__ import annotations

import pytest
import torch

from .reading import Judge, Scored


@pytest.fixture(scope="session")
def judge() -> Judge:
    """The two models."""
    torch.set_num_threads(1)
    return Judge()


@pytest.fixture(scope="session")
def scored(judge: Judge) -> list[Scored]:
    """Every response with log-probabilities, in all three directories."""
    return [item for folder in ("openrouter", "list", "gemini") for item in judge.read(folder)]
