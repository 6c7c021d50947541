"""Response files written for tests, and the command line as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[1]


def openai_file(path: Path, prompt: str, tokens: int, responses: int = 1, seed: int = 0) -> None:
    """One prompt a file, `tokens` positions a response, top-5 lists that sum below one."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(responses):
        content = []
        for _ in range(tokens):
            logprobs = np.log(rng.dirichlet(np.ones(6))[:5])
            order = np.argsort(-logprobs)
            top = [{"token": f" t{i}", "logprob": float(logprobs[i])} for i in order]
            content.append({**top[0], "top_logprobs": top})
        text = "".join(item["token"] for item in content)
        message = {"role": "assistant", "content": text}
        made.append(
            {"provider": "P", "choices": [{"message": message, "logprobs": {"content": content}}]}
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"prompt": prompt, "model": "m", "responses": made}))


def folder(path: Path, files: int, tokens: int = 20, responses: int = 1) -> Path:
    """A directory of such files."""
    for number in range(files):
        openai_file(path / f"p{number:04}.json", f"prompt {number}", tokens, responses, number)
    return path


def environment(runs_dir: Path, **more: str) -> dict[str, str]:
    """The environment of a command: its own runs folder, one thread."""
    return {**os.environ, "KL_RUNS_DIR": str(runs_dir), "OMP_NUM_THREADS": "1", **more}


def command(*words: object) -> list[str]:
    """`python -m kl_core WORDS`."""
    return [sys.executable, "-m", "kl_core", *map(str, words)]


def call(runs_dir: Path, *words: object, expect: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; the exit code must be the expected one."""
    return call_with(environment(runs_dir), *words, expect=expect)


def call_with(
    variables: dict[str, str], *words: object, expect: int = 0
) -> subprocess.CompletedProcess[str]:
    """The same in an environment of one's own."""
    done = subprocess.run(
        command(*words),
        env=variables,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == expect, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done
