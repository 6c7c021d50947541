"""Keep tiny models on one thread: the tests run side by side."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """One thread a process."""
    torch.set_num_threads(1)
