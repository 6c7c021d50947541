"""Two models' saved responses to the same prompts, compared wherever both came to one text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kl_core import measures
from kl_core.records import (
    NO_RESPONSES,
    NOT_REACHED,
    Entry,
    Problem,
    Prompt,
    Response,
    ScoredEntry,
    ScoredResponse,
    TokenDist,
    prompt_text,
)
from kl_core.sources.paired_lists import paired_by_id
from kl_core.sources.prefix_keys import prefix_keys, prompt_key
from kl_core.sources.prefix_lists import PrefixLists
from kl_core.sources.second_input import SECOND, SecondInput

NO_LIST1 = "model 1's list of candidates is missing here"
NO_LIST2 = "model 2 came to this text and gave no list"
_TITLE = 60


class SharedContexts:
    """Scores entries by what another model said after the same texts; no call is made.

    P is the model of the entries given, Q that of the second input. A position is compared
    where some response of Q to the same prompt has a token boundary after the same bytes,
    and a list there: then both lists are distributions over what comes next in one context.
    With different tokenizers the context is the same text and may be other tokens, and what
    comes next is cut by each in its own way: candidates are the same where their bytes are,
    and a longer token of one is none of the other's.

    Q's list is taken no longer than P's at each position, so that equal models have a floor
    KL of 0; the rest of it stands beside the list.
    """

    def __init__(self, other: SecondInput) -> None:
        self._other = other
        self._met: set[bytes] = set()
        self._told: set[bytes] = set()
        self._without: list[tuple[Prompt, str, int]] = []
        self._problems: list[Problem] = []

    @property
    def contexts(self) -> int:
        """How many different contexts were compared so far."""
        return len(self._met)

    def problems(self) -> list[Problem]:
        """Rows since the last call."""
        rows, self._problems = self._problems, []
        return [*self._other.problems(), *rows]

    def scored(self, entry: Entry) -> ScoredEntry:
        """The entry with Q's lists where it has them, and a reason elsewhere."""
        lists = self._lists(entry, tell=True)
        key = prompt_key(entry.prompt)
        responses = tuple(self._scored(response, key, lists) for response in entry.responses)
        model = entry.model or next((r.model for r in entry.responses if r.model), None)
        return ScoredEntry(entry, model, self._other.model, responses)

    def count(self, entry: Entry) -> None:
        """Count the contexts of an entry that an earlier start has scored."""
        lists = self._lists(entry, tell=False)
        key = prompt_key(entry.prompt)
        for response in entry.responses:
            if response.positions and not response.error:
                self._looked_up(response, key, lists)

    def left_over(self) -> list[Problem]:
        """One row for the prompts of each side that the other has not."""
        rows = []
        if self._without:
            reason = f"{_prompts(self._without)} no responses in the second folder"
            rows.append(_unmatched(self._without, "", reason, "not compared"))
        if unmet := self._other.unmet():
            reason = f"{_prompts(unmet)} responses in the second folder only"
            rows.append(_unmatched(unmet, f"{SECOND}: ", reason, "not used"))
        return rows

    def _lists(self, entry: Entry, tell: bool) -> PrefixLists | None:
        lists = self._other.lists(entry.prompt)
        if lists is None:
            self._without.append((entry.prompt, entry.file, entry.index))
        elif tell and lists.differing:
            self._tell_differing(entry, lists)
        return lists

    def _scored(
        self, response: Response, prompt: bytes, lists: PrefixLists | None
    ) -> ScoredResponse:
        if not response.positions or response.error:
            return measures.unscored(response)
        dists2, reasons = self._looked_up(response, prompt, lists)
        own, others = paired_by_id(_cut(response, dists2), dists2)
        return measures.score(own, others, reasons, "floor")

    def _looked_up(
        self, response: Response, prompt: bytes, lists: PrefixLists | None
    ) -> tuple[Sequence[TokenDist | None], Sequence[str | None]]:
        keys, unknown = prefix_keys(prompt, response)
        dists2: list[TokenDist | None] = [None] * len(keys)
        reasons: list[str | None] = [None] * len(keys)
        for n, (position, key) in enumerate(zip(response.positions, keys, strict=True)):
            dist = position.dist
            reasons[n] = position.reason or unknown[n] or (NO_LIST1 if dist is None else None)
            if reasons[n] is not None or key is None or dist is None:
                continue
            if lists is None or key not in lists.lists:
                reasons[n] = NO_RESPONSES if lists is None else NOT_REACHED
                continue
            other = lists.lists[key]
            if other is None:
                reasons[n] = NO_LIST2
                continue
            dists2[n] = replace(other, listed=min(other.listed, dist.listed))
            self._met.add(key)
        return dists2, reasons

    def _tell_differing(self, entry: Entry, lists: PrefixLists) -> None:
        """One row a prompt where model 2 said different things after one text."""
        key = prompt_key(entry.prompt)
        if key in self._told:
            return
        self._told.add(key)
        many = len(lists.differing)
        texts = f"{many:,} texts" if many > 1 else "one text"
        self._problems.append(
            Problem(
                entry.file,
                f"$[{entry.index}]",
                f"model 2's own lists differ after {texts} of this prompt, by up to "
                f"{lists.apart:.2g} in the probability of one token",
                "The first list of each text is compared. Its provider may have several "
                "versions or machines.",
            )
        )


def _cut(response: Response, dists2: Sequence[TokenDist | None]) -> Response:
    """Model 1's lists no longer than model 2's, or equal models would not have a floor of 0.

    What is cut off stands beside the list, for the certified bound.
    """
    positions = tuple(
        position
        if other is None or position.dist is None or position.dist.listed <= other.listed
        else replace(position, dist=replace(position.dist, listed=other.listed))
        for position, other in zip(response.positions, dists2, strict=True)
    )
    return replace(response, positions=positions)


def _prompts(rows: Sequence[object]) -> str:
    return f"{len(rows):,} prompts have" if len(rows) > 1 else "one prompt has"


def _unmatched(
    rows: Sequence[tuple[Prompt, str, int]], before: str, reason: str, fate: str
) -> Problem:
    prompt, file, index = rows[0]
    text = " ".join(prompt_text(prompt).split()) or "no prompt at all"
    shown = text if len(text) <= _TITLE else text[: _TITLE - 1] + "…"
    which = "the first is " if len(rows) > 1 else ""
    return Problem(
        f"{before}{file}",
        f"$[{index}]",
        f"{reason}: {which}{shown!r}",
        f"Prompts match where all their messages are equal; such prompts are {fate}.",
    )
