"""Options that several commands share, so that they read and mean the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RunId = Annotated[
    str, typer.Argument(help="A run's id, a part only it has, or its name.", show_default=False)
]
InputDir = Annotated[
    Path,
    typer.Option(
        help="Folder, zip or file of responses with log-probabilities.", show_default=False
    ),
]
AnyResponses = Annotated[
    Path,
    typer.Option(
        help="Folder, zip or file of responses; their text is enough.", show_default=False
    ),
]
OutputDir = Annotated[
    Path | None,
    typer.Option(help="Write one <name>_kl.json per prompt here, beside recording the run."),
]
RunsDir = Annotated[
    Path | None,
    typer.Option(
        help="Where runs are kept. [default: KL_RUNS_DIR, or cache/runs of the repository]"
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON summary object on standard output.")
]
Pattern = Annotated[
    str | None,
    typer.Option(
        help="Comma-separated file name patterns. [default: *.json, *.jsonl and .gz of them]"
    ),
]
TopK = Annotated[
    int, typer.Option(min=5, max=100, help="Candidates kept of the local model at each position.")
]
MatchingTopK = Annotated[
    int | None,
    typer.Option(
        min=5,
        max=100,
        help="Length of the local model's lists. Lists of another length than the file's make "
        "the floor estimate larger. [default: as long as the file's, position by position]",
    ),
]
Dtype = Annotated[
    str, typer.Option(help="auto, float32, bfloat16 or float16; auto is float32 on a CPU.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:0 or mps.")]
DeviceMap = Annotated[
    str | None, typer.Option(help="As transformers takes it; `auto` spreads over several GPUs.")
]
MaxPrompts = Annotated[int | None, typer.Option(min=1, help="Stop after so many prompts.")]
BatchTokens = Annotated[
    int, typer.Option(min=64, help="Tokens in one forward pass; lower it when memory is short.")
]
Trust = Annotated[
    bool,
    typer.Option("--trust-remote-code", help="Run Python code that the model's repository ships."),
]
Reasoning = Annotated[
    bool, typer.Option("--include-reasoning", help="Put the saved reasoning before the response.")
]
ChatTemplate = Annotated[
    str | None, typer.Option(help="A jinja file, or the template itself, instead of the model's.")
]
System = Annotated[str | None, typer.Option(help="A system message before every prompt.")]
Raw = Annotated[
    bool, typer.Option("--raw", help="Prompts are plain text: for base models without a template.")
]
