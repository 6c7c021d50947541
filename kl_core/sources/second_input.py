"""The responses of model 2, found by prompt without holding all of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

from kl_core.formats.discover import SourceFile
from kl_core.formats.reader import read_file
from kl_core.formats.tokens import TokenTables
from kl_core.records import Entry, Problem, ProblemLog, Prompt, ScoredEntry
from kl_core.sources.prefix_keys import prompt_key
from kl_core.sources.prefix_lists import PrefixLists

HOLD_POSITIONS = 300_000  # lists kept at a time, about 1.5 KB each with 20 candidates
SECOND = "second folder"
Progress = Callable[[int, str], None]


@dataclass(slots=True)
class _Found:
    """A prompt of the second input.

    Attributes:
        files: numbers of the files that hold it, in order.
        file, index: where it stands first.
    """

    prompt: Prompt
    file: str
    index: int
    files: list[int] = field(default_factory=list)
    met: bool = False


class SecondInput:
    """Where to look up what model 2 said after a text.

    `read` goes through all files once and notes which prompts each holds; the lists
    themselves are kept while they fit into HOLD_POSITIONS, and read again from their file
    when they are wanted later. Files in the order of the first input are read twice at most;
    one file is always kept whole.

    Attributes:
        model: the model of the first entry that names one; entries of other models are left
            out, with a problem.
    """

    def __init__(self, files: Sequence[SourceFile], name: str, hold: int = HOLD_POSITIONS) -> None:
        self.model = name
        self._files = files
        self._named: str | None = None
        self._hold = hold
        self._tables = TokenTables()
        self._found: dict[bytes, _Found] = {}
        self._kept: OrderedDict[int, dict[bytes, PrefixLists]] = OrderedDict()
        self._held = 0
        self._others: dict[str, int] = {}
        self._problems: list[Problem] = []

    def read(self, progress: Progress) -> None:
        """Find the prompts; `progress` takes bytes read and a line of text."""
        done = 0
        for number, file in enumerate(self._files):
            log = ProblemLog()
            self._keep(number, self._load(number, log, first=True))
            self._problems += [replace(row, file=_shown(row.file)) for row in log.drain()]
            done += file.size_bytes
            progress(done, f"{len(self._found):,} prompts of model 2 found")
        if self._others:
            named = ", ".join(f"{name} ({count})" for name, count in self._others.items())
            self._problems.append(
                Problem(
                    SECOND,
                    "",
                    f"it holds responses of several models; compared is {self.model}, left out "
                    f"are entries of {named}",
                    "Put the responses of each model into a folder of their own.",
                )
            )

    def problems(self) -> list[Problem]:
        """Rows since the last call."""
        rows, self._problems = self._problems, []
        return rows

    def lists(self, prompt: Prompt) -> PrefixLists | None:
        """What model 2 said in its responses to the prompt; None where it has none."""
        key = prompt_key(prompt)
        found = self._found.get(key) if prompt else None
        if found is None:
            return None
        found.met = True
        parts = [self._of_file(number)[key] for number in found.files]
        if len(parts) == 1:
            return parts[0]
        whole = PrefixLists()
        for part in parts:
            whole.merge(part)
        return whole

    def unmet(self) -> list[tuple[Prompt, str, int]]:
        """Prompts that were never looked up: prompt, file, index, in order."""
        return [(f.prompt, f.file, f.index) for f in self._found.values() if not f.met]

    def _of_file(self, number: int) -> dict[bytes, PrefixLists]:
        kept = self._kept.get(number)
        if kept is None:
            kept = self._load(number, ProblemLog(), first=False)
            self._keep(number, kept)
        self._kept.move_to_end(number)
        return kept

    def _load(self, number: int, log: ProblemLog, first: bool) -> dict[bytes, PrefixLists]:
        """The lists of one file by prompt; `first` notes where each prompt is."""
        loaded: dict[bytes, PrefixLists] = {}
        with closing(read_file(self._files[number], log, self._tables)) as entries:
            for entry in entries:
                if isinstance(entry, ScoredEntry):
                    place = f"$[{entry.entry.index}]"
                    log.add(
                        entry.entry.file, place, "it is a result already", "Open it with import."
                    )
                elif entry.prompt and self._is_of_model(entry, first):
                    key = prompt_key(entry.prompt)
                    if first:
                        self._note(key, entry, number)
                    lists = loaded.setdefault(key, PrefixLists())
                    for response in entry.responses:
                        lists.add(key, response)
        return loaded

    def _is_of_model(self, entry: Entry, first: bool) -> bool:
        model = entry.model or next((r.model for r in entry.responses if r.model), None)
        if model is None:
            return True
        if self._named is None:
            self._named = self.model = model
        if model != self._named and first:
            self._others[model] = self._others.get(model, 0) + 1
        return model == self._named

    def _note(self, key: bytes, entry: Entry, number: int) -> None:
        found = self._found.setdefault(key, _Found(entry.prompt, entry.file, entry.index))
        if not found.files or found.files[-1] != number:
            found.files.append(number)

    def _keep(self, number: int, loaded: dict[bytes, PrefixLists]) -> None:
        """Keep a file's lists, letting go of those that were not wanted for longest."""
        self._kept[number] = loaded
        self._held += _size(loaded)
        while len(self._kept) > 1 and self._held > self._hold:
            _, gone = self._kept.popitem(last=False)
            self._held -= _size(gone)


def _size(loaded: dict[bytes, PrefixLists]) -> int:
    return sum([len(lists.lists) for lists in loaded.values()])


def _shown(file: str) -> str:
    return f"{SECOND}: {file}" if file else SECOND
