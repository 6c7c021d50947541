"""Runs of `sample` in this process against a server in a thread."""

from __future__ import annotations

from pathlib import Path

import msgspec

from kl_core.formats.reader import read_entries
from kl_core.formats.sampling_config import ModelConfig, PromptSource, SamplingConfig
from kl_core.jobs import sample, worker
from kl_core.jobs.gemini_options import PoolOptions, SpendOptions
from kl_core.jobs.sample_options import SampleOptions, SampleRequest, whole_paths
from kl_core.records import Entry, ProblemLog

PROMPTS = ("What is a haiku?", "Who lives in the lighthouse?", "How far away is the sun?")
MODEL = "tiny-base"


def config(output_dir: Path, base_url: str, models=(MODEL,), **more) -> SamplingConfig:
    """Three prompts, two samples each, by one model unless told otherwise."""
    made = tuple(
        one
        if isinstance(one, ModelConfig)
        else ModelConfig(name=one, base_url=f"{base_url}/v1", key_env="SAMPLE_TEST_KEY")
        for one in models
    )
    settings = {"samples": 2, "max_tokens": 12, "top_logprobs": 5, "seed": 7} | more
    settings.setdefault("prompts", PromptSource(texts=PROMPTS))
    return SamplingConfig(output_dir=str(output_dir), models=made, **settings)


def start(
    root: Path,
    wanted: SamplingConfig,
    *,
    from_tokens: Path | None = None,
    overwrite: bool = False,
    yes: bool = True,
    ask=None,
    max_cost: float | None = None,
    **pool,
) -> Path:
    """One run to its end, or to its error; returns its folder."""
    options = SampleOptions(whole_paths(wanted), from_tokens, overwrite)
    pool = {"max_concurrent": 8, "timeout_s": 30.0} | pool
    request = SampleRequest(options, PoolOptions(**pool), SpendOptions(max_cost, yes), ask)
    frozen, title, work = sample.prepare(request)
    run_dir = worker.folder_for("sample", frozen, root, title)
    worker.carry_out(run_dir, work)
    return run_dir


def entries(folder: Path) -> dict[str, Entry]:
    """What the ordinary reader finds in a folder, by file; it must have nothing to say."""
    log = ProblemLog()
    found = {each.file: each for each in read_entries(folder, None, log)}
    assert not log.rows, log.rows
    return found


def texts(folder: Path) -> dict[str, list[str]]:
    """The texts of all files by name."""
    return {
        name: [response.text for response in each.responses]
        for name, each in entries(folder).items()
    }


def contents(folder: Path) -> dict[str, object]:
    """The files as JSON, without what a server draws anew for each reply."""
    found = {}
    for path in sorted(folder.rglob("*.json")):
        record = msgspec.json.decode(path.read_bytes())
        for item in record["responses"]:
            item.pop("id", None)
            item.pop("created", None)
        found[str(path.relative_to(folder))] = record
    return found
