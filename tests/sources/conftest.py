"""The shipped sample models, loaded once a process."""

import functools
import json
from pathlib import Path

import pytest
import torch

from kl_core.formats.reader import read_entries
from kl_core.models.load import ModelSpec
from kl_core.records import ProblemLog
from kl_core.sources.local import LocalScorer
from kl_core.sources.local_pair import LocalPair

SAMPLE = Path(__file__).resolve().parents[2] / "sample_data"
BASE, TUNED = (str(SAMPLE / "models" / name) for name in ("tiny-base", "tiny-tuned"))
torch.set_num_threads(1)


@functools.cache
def scorer(model, include_reasoning=False, raw=False, top_k=None):
    spec = ModelSpec(model, dtype="float32", device="cpu", raw=raw)
    return LocalScorer.load(spec, top_k, 4096, include_reasoning)


@functools.cache
def pair():
    specs = (ModelSpec(BASE, device="cpu"), ModelSpec(TUNED, device="cpu"))
    return LocalPair.load(*specs, 20, 4096, include_reasoning=False)


@functools.cache
def sample_entries(folder="openrouter"):
    log = ProblemLog()
    return tuple(read_entries(SAMPLE / "responses" / folder, None, log))


@functools.cache
def scored_sample(model, top_k=None):
    return tuple(scorer(model, top_k=top_k).score(sample_entries()))


@pytest.fixture(scope="session")
def facts():
    return json.loads((SAMPLE / "truth.json").read_text())["facts"]
