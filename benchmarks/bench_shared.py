"""The free comparison of two folders, whole and against a plain nested loop over positions.

python benchmarks/bench_shared.py [--prompts 500] [--responses 20] [--tokens 100] [--loop 3]

Writes both folders under a temporary folder: answers that follow one likely text and leave it
now and then, top-5 lists. `--loop` prompts are compared by a nested loop as well: every position
of one side with every position of the other, by the text before them.
"""

from __future__ import annotations

import argparse
import math
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kl_core.formats.reader import discover, read_entries
from kl_core.jobs.import_run import ImportRequest, prepare
from kl_core.jobs.worker import carry_out, folder_for
from kl_core.records import Entry, ProblemLog, Response
from kl_core.sources.second_input import SecondInput
from kl_core.sources.shared_contexts import SharedContexts
from kl_core.store.summary import run_summary

STRAY = 0.03  # chance that a token is not the likely one
WORDS = [f" w{n}" for n in range(400)]


def write(folder: Path, prompts: int, responses: int, tokens: int, seed: int) -> Path:
    """One file a prompt; both folders have the same likely texts."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for number in range(prompts):
        likely = np.random.default_rng(number).integers(0, len(WORDS), tokens)
        made = [_response(rng, likely) for _ in range(responses)]
        record = {"prompt": f"prompt {number}", "model": folder.name, "responses": made}
        (folder / f"p{number:05}.json").write_bytes(msgspec.json.encode(record))
    return folder


def _response(rng: np.random.Generator, likely: Any) -> dict[str, Any]:
    strayed = np.where(rng.random(len(likely)) < STRAY, rng.integers(0, len(WORDS), len(likely)), 0)
    content: list[dict[str, Any]] = []
    for place, word in enumerate(likely.tolist()):
        top = [(word + n * 7 + place) % len(WORDS) if n else word for n in range(5)]
        logprobs = [math.log(0.5 / 2**n) for n in range(5)]
        items = [{"token": WORDS[t], "logprob": v} for t, v in zip(top, logprobs, strict=True)]
        said = int(strayed[place]) or word
        own = logprobs[top.index(said)] if said in top else math.log(0.01)
        content.append({"token": WORDS[said], "logprob": own, "top_logprobs": items})
    text = "".join([str(item["token"]) for item in content])
    return {"choices": [{"message": {"content": text}, "logprobs": {"content": content}}]}


def whole(first: Path, second: Path, root: Path) -> None:
    """`import --against` in this process: read, compare, store, build the database."""
    start = time.perf_counter()
    frozen, title, work = prepare(ImportRequest(first, None, second))
    run_dir = folder_for("import", frozen, root, title)
    carry_out(run_dir, work)
    elapsed_s = time.perf_counter() - start
    summary = run_summary(run_dir)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"import --against: {summary['tokens']:,} positions, {summary['scored_tokens']:,} shared, "
        f"{summary['shared_contexts']:,} contexts in {elapsed_s:.1f} s "
        f"({summary['tokens'] / elapsed_s:,.0f} positions/s), peak {peak_mb:.0f} MB"
    )


def looked_up(first: Path, second: Path, prompts: int) -> None:
    """Finding shared contexts alone, by hash and by a nested loop; both must agree."""
    log = ProblemLog()
    pattern = ",".join(f"p{number:05}.json" for number in range(prompts))
    entries = list(_entries(first, pattern, log))
    others = list(_entries(second, pattern, log))
    shared = SharedContexts(SecondInput(discover(second, pattern, log), "q"))
    start = time.perf_counter()
    shared._other.read(lambda *_: None)
    read_s = time.perf_counter() - start
    start = time.perf_counter()
    for entry in entries:
        shared.count(entry)
    hashed_s = time.perf_counter() - start
    start = time.perf_counter()
    found = sum(_nested(one, other) for one, other in zip(entries, others, strict=True))
    nested_s = time.perf_counter() - start
    if found != shared.contexts:
        raise SystemExit(f"the nested loop finds {found} contexts, the hashes {shared.contexts}")
    print(
        f"{prompts} prompts, {found:,} contexts: nested loop {nested_s:.2f} s, by hash "
        f"{hashed_s:.3f} s ({nested_s / hashed_s:,.0f} times faster; reading the second folder "
        f"and hashing it {read_s:.2f} s)"
    )


def _entries(folder: Path, pattern: str, log: ProblemLog) -> Iterator[Entry]:
    return (each for each in read_entries(folder, pattern, log) if isinstance(each, Entry))


def _nested(one: Entry, other: Entry) -> int:
    """Distinct texts before a position of `one` that some position of `other` has too."""
    ours, theirs = _prefixes(one.responses), _prefixes(other.responses)
    found = set()
    for text in ours:
        for there in theirs:
            if text == there:
                found.add(text)
                break
    return len(found)


def _prefixes(responses: tuple[Response, ...]) -> list[bytes]:
    made = []
    for response in responses:
        said = b""
        for position in response.positions:
            made.append(said)
            said += position.token.data or b""
    return made


def main() -> None:
    """Make the folders, compare them, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=500)
    parser.add_argument("--responses", type=int, default=20)
    parser.add_argument("--tokens", type=int, default=100)
    parser.add_argument("--loop", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        sizes = asked.prompts, asked.responses, asked.tokens
        first = write(Path(place, "p"), *sizes, seed=1)
        second = write(Path(place, "q"), *sizes, seed=2)
        looked_up(first, second, min(asked.loop, asked.prompts))
        whole(first, second, Path(place, "runs"))


if __name__ == "__main__":
    main()
