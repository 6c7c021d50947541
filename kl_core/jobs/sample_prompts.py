"""The prompts of a run of `sample`: read once, and the same on every resume."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from kl_core.errors import RunError
from kl_core.formats.sampled_files import file_name
from kl_core.formats.started import Origin, read_started
from kl_core.jobs.sample_options import SampleOptions
from kl_core.jobs.worker import Worker
from kl_core.records import Message, Problem, ProblemLog, Prompt
from kl_core.sources.prompt_datasets import prompts_of
from kl_core.store.files import write_atomic

_NAME = "prompts.json"


class Asked(msgspec.Struct, frozen=True):
    """One prompt.

    Attributes:
        turns: role and text of each turn.
        file: the name of its file of responses, the same for every model.
        origin: the token at which a started answer is taken up.
    """

    turns: tuple[tuple[str, str], ...]
    file: str
    origin: Origin | None = None

    @property
    def prompt(self) -> Prompt:
        """Its turns."""
        return tuple(Message(role, text) for role, text in self.turns)


def asked_prompts(worker: Worker, options: SampleOptions) -> list[Asked]:
    """The run's prompts, each file name once; what cannot be used is a problem of the run.

    Raises:
        InputError: they cannot be read, or none is left.
    """
    kept = worker.run_dir / _NAME
    if kept.exists():
        return _read(kept)
    worker.stage("reading prompts", None, "")
    log = ProblemLog()
    found = _found(options, log)
    text = msgspec.json.encode(found).decode()
    worker.parts.add_problems(log.drain())
    worker.parts.flush()
    write_atomic(kept, text)
    return found


def _found(options: SampleOptions, log: ProblemLog) -> list[Asked]:
    if options.from_tokens is not None:
        begun = read_started(options.from_tokens, log)
        every = [_asked(one.prompt, one.origin) for one in begun]
    else:
        assert options.config.prompts is not None
        every = [_asked(prompt, None) for prompt in prompts_of(options.config.prompts, log)]
    by_file = {each.file: each for each in reversed(every)}
    found = [each for each in every if by_file.get(each.file) is each]
    if len(found) < len(every):
        log.rows.append(_repeated(every, found))
    return found


def _asked(prompt: Prompt, origin: Origin | None) -> Asked:
    turns = tuple((turn.role, turn.content) for turn in prompt)
    return Asked(turns, file_name(prompt, origin), origin)


def _repeated(every: Sequence[Asked], found: Sequence[Asked]) -> Problem:
    return Problem(
        "",
        "prompts",
        f"{len(every) - len(found)} of {len(every)} prompts would be written to the file of "
        "another prompt, and were left out",
        "Sample them with another configuration, into another output folder.",
    )


def _read(path: Path) -> list[Asked]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Asked])
    except (OSError, msgspec.MsgspecError) as error:
        raise RunError(f"{path} cannot be read ({error}); start a new run") from error
