"""A model behind a server that scores a whole response in one request, as model 2."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from kl_core import measures
from kl_core.errors import ModelError
from kl_core.formats.align import Vocabulary
from kl_core.formats.dists import UnusableError
from kl_core.models.load import LoadedModel, encode_prompt, encode_text
from kl_core.models.render import render_prompt, render_raw
from kl_core.records import (
    Entry,
    Problem,
    Prompt,
    Response,
    ScoredEntry,
    ScoredResponse,
    TokenDist,
    with_error,
)
from kl_core.sources.by_ids import NO_CONTEXT, NO_LIST, ByIds, Prepared, Told
from kl_core.sources.by_text import MOST_RANK, NO_VALUE, ByText
from kl_core.sources.context import vocabulary_of
from kl_core.sources.dists import OtherNamesError, ServerLists, checked_logprob
from kl_core.sources.remote import Lookup
from kl_core.sources.scored_text import ScoredText, ScoreQuestion, unpacked

KEY_BYTES = 16
NOTHING = "none of its tokens is one of model 2's"
NO_TEXT = "its tokens add no text, so there is nothing to ask a server that takes text"
UNASKED = "The response was not scored."
AGAIN = "The others are scored. The same command with --reuse asks this again."


@dataclass(frozen=True, slots=True)
class Sheet:
    """One response with what is asked about it.

    Attributes:
        question: None where there is nothing to ask, with the `reason`.
        prepared: the response in local ids, None without a tokenizer.
    """

    response: Response
    question: ScoreQuestion | None
    prepared: Prepared | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Ready:
    """An entry and its questions, one Sheet a response.

    Attributes:
        refused: why no prompt could be written, None where it was.
    """

    entry: Entry
    sheets: tuple[Sheet, ...]
    refused: str | None = None

    def questions(self) -> Iterator[ScoreQuestion]:
        """Its different questions, in order."""
        seen: set[bytes] = set()
        for sheet in self.sheets:
            if sheet.question is not None and sheet.question.key not in seen:
                seen.add(sheet.question.key)
                yield sheet.question


class Served:
    """Writes questions for a server and puts its answers beside the saved responses.

    Problems are noted where an entry is assembled, not where it is only planned.

    Args:
        model2: what tables call the model.
        loaded: its tokenizer; None where the server takes raw text and no ids.
        match_lists: model 2's list is taken no longer than model 1's at each position.
        by_text: the server is sent text although there is a tokenizer: the whole response is
            asked about, where ids would end at the first token that is none of model 2's.
    """

    def __init__(
        self,
        model2: str,
        loaded: LoadedModel | None,
        match_lists: bool,
        by_text: bool = False,
    ) -> None:
        self._model2, self._loaded = model2, loaded
        self._sends_text = by_text
        self._by_text = ByText(model2, match_lists)
        self._by_ids: ByIds | None = None
        self._vocab: Vocabulary | None = None
        if loaded is not None:
            encode = lambda text: encode_text(loaded, text)  # noqa: E731
            self._vocab = vocabulary_of(loaded)
            self._by_ids = ByIds(self._vocab, encode, model2, match_lists)
        self._problems: list[Problem] = []

    def problems(self) -> list[Problem]:
        """Rows since the last call."""
        rows, self._problems = self._problems, []
        by_ids = self._by_ids.problems() if self._by_ids is not None else []
        return rows + by_ids + self._by_text.problems()

    def contradicted(self, scored: ScoredText) -> tuple[int, int]:
        """How many names in an answer are not those of the tokenizer's, and how many came.

        Tokens and candidates without a name or an id are not counted; (0, 0) without a
        tokenizer.
        """
        if self._vocab is None:
            return 0, 0
        ids = [each.id for each in scored.tokens if each.id is not None]
        return ServerLists(self._vocab, scored, _meant(self._vocab, ids)).contradicted()

    def ready(self, entry: Entry) -> Ready:
        """The questions about an entry; what cannot be asked has its reason."""
        try:
            ids, text = self._prompt(entry.prompt)
        except ModelError as error:
            refused = [Sheet(each, None, None, str(error)) for each in entry.responses]
            return Ready(entry, tuple(refused), str(error))
        return Ready(entry, tuple(self._sheet(entry, r, ids, text) for r in entry.responses))

    def assemble(self, ready: Ready, look_up: Lookup, failures: Mapping[bytes, str]) -> ScoredEntry:
        """The entry with model 2's lists; without any where nothing could be asked.

        Args:
            look_up: the journal.
            failures: reasons of the questions that were given up.
        """
        entry = ready.entry
        if ready.refused is not None:
            self._add(entry, None, ready.refused, "The prompt was not scored.")
        scored = tuple(self._scored(ready, each, look_up, failures) for each in ready.sheets)
        return ScoredEntry(entry, entry.model, self._model2, scored)

    def _prompt(self, prompt: Prompt) -> tuple[tuple[int, ...] | None, str]:
        if self._loaded is None:
            return None, render_raw(prompt)
        return encode_prompt(self._loaded, prompt), render_prompt(self._loaded, prompt)

    def _sheet(
        self, entry: Entry, response: Response, ids: tuple[int, ...] | None, text: str
    ) -> Sheet:
        if response.error or not response.positions:
            return Sheet(response, None, None, response.error)
        said = _said(response)
        if self._by_ids is None or self._vocab is None or ids is None:
            return _text_sheet(response, (None, None), text, said)
        prepared = self._by_ids.prepare(response)
        own = tuple(prepared.alignment.ids)
        meant = _meant(self._vocab, own)
        if self._sends_text:
            # the ids of a part would be counted for the whole
            return _text_sheet(response, (ids, own) if meant == said else (None, None), text, said)
        if not own:
            return Sheet(response, None, prepared, NOTHING)
        return Sheet(response, _question(ids, own, text, meant), prepared)

    def _scored(
        self, ready: Ready, sheet: Sheet, look_up: Lookup, failures: Mapping[bytes, str]
    ) -> ScoredResponse:
        entry, response, question = ready.entry, sheet.response, sheet.question
        if question is None:
            if response.error or sheet.reason is None:
                return measures.unscored(response)
            if ready.refused is None:
                self._add(entry, response, sheet.reason, UNASKED)
            return measures.unscored(with_error(response, sheet.reason))
        answer = look_up(question.key)
        if answer is None or answer.error is not None:
            missing = failures.get(question.key, "the request was not answered")
            reason = answer.error if answer is not None and answer.error else missing
            self._add(entry, response, reason, AGAIN)
            return measures.unscored(with_error(response, reason))
        scored = unpacked(answer.body)
        if sheet.prepared is not None and _about_ids(scored, question):
            return self._scored_by_ids(entry, sheet.prepared, scored, question)
        return self._by_text.scored(entry, response, scored)

    def _scored_by_ids(
        self, entry: Entry, prepared: Prepared, scored: ScoredText, question: ScoreQuestion
    ) -> ScoredResponse:
        assert self._by_ids is not None
        assert self._vocab is not None
        lists = ServerLists(self._vocab, scored, question.response_text)
        told, faults = told_by(scored, lists, self._vocab, not question.prompt_ids)
        result = self._by_ids.told(entry, prepared, told)
        wrong, named = lists.contradicted()
        if wrong:
            self._add(
                entry,
                prepared.response,
                f"{wrong} of the {named} tokens that model 2's server names have other names than "
                "in the tokenizer",
                "Positions with such names have no value. Give the model's own tokenizer with "
                "--tokenizer.",
            )
        if faults:
            many = f"{len(faults)} positions" if len(faults) > 1 else "one position"
            most, _ = Counter(faults).most_common(1)[0]
            others = len(set(faults)) > 1
            reason = f"{many} got no complete value: {most}{', among others' if others else ''}"
            hint = "The others are scored; check what the server was asked for."
            self._add(entry, prepared.response, reason, hint)
        return result

    def _add(self, entry: Entry, response: Response | None, reason: str, hint: str) -> None:
        place = f"$[{entry.index}]" + (f".responses[{response.index}]" if response else "")
        self._problems.append(Problem(entry.file, place, reason, hint))


def _text_sheet(
    response: Response,
    ids: tuple[tuple[int, ...] | None, tuple[int, ...] | None],
    text: str,
    said: str,
) -> Sheet:
    if not said:
        return Sheet(response, None, None, NO_TEXT)
    return Sheet(response, _question(*ids, text, said))


def _said(response: Response) -> str:
    """What the response adds to the prompt: its tokens' own bytes where all are known."""
    data = [position.token.data for position in response.positions]
    known = [each for each in data if each is not None]
    if len(known) < len(data):
        return response.text
    return b"".join(known).decode("utf-8", "replace")


def _meant(vocab: Vocabulary, ids: Sequence[int]) -> str:
    """The text that ids stand for."""
    return b"".join(vocab.text_bytes(ids)).decode("utf-8", "replace")


def _question(
    prompt: tuple[int, ...] | None, response: tuple[int, ...] | None, text: str, said: str
) -> ScoreQuestion:
    whole = repr((prompt, response, text, said)).encode("utf-8", "surrogatepass")
    key = blake2b(whole, digest_size=KEY_BYTES).digest()
    return ScoreQuestion(key, prompt, response, text, said)


def _about_ids(scored: ScoredText, question: ScoreQuestion) -> bool:
    """Whether the answer is about the ids that were asked."""
    ids = question.response_ids
    return ids is not None and tuple(token.id for token in scored.tokens) == ids


def told_by(
    scored: ScoredText, lists: ServerLists, vocab: Vocabulary, empty_prompt: bool
) -> tuple[Told, list[str]]:
    """An answer about ids, checked value by value.

    Returns:
        What it tells, and why places lack a value or a list; tokens and lists with other names
        than the tokenizer's are not among these reasons.
    """
    count = len(scored.tokens)
    chosen, ranks = np.full(count, np.nan), np.full(count, -1, dtype=np.int64)
    dists: list[TokenDist | None] = [None] * count
    refused: list[str | None] = [None] * count
    unlisted: list[str | None] = [None] * count
    faults: list[str] = []
    for row, token in enumerate(scored.tokens):
        assert token.id is not None
        if lists.wrong(token, row):
            refused[row] = (
                f"the server's token at this place is {token.token!r}, the tokenizer says "
                f"{vocab.token(token.id).piece!r}"
            )
            continue
        try:
            own = checked_logprob(token.logprob)
        except UnusableError as error:
            refused[row] = str(error)
            faults.append(str(error))
            continue
        try:
            dists[row], own = lists.dist(row, token.id, own)
        except UnusableError as error:
            unlisted[row] = str(error)
            if not isinstance(error, OtherNamesError):
                faults.append(str(error))
        if math.isnan(own) and dists[row] is None:
            nothing_before = empty_prompt and row == 0
            refused[row] = NO_CONTEXT if nothing_before else unlisted[row] or NO_VALUE
            if not nothing_before and unlisted[row] is None:
                faults.append(NO_VALUE)
        elif dists[row] is None and unlisted[row] is None:
            faults.append(NO_LIST)
        chosen[row] = own
        if 0 < scored.ranks[row] < MOST_RANK:
            ranks[row] = scored.ranks[row]
    return Told(chosen, ranks, np.full(count, np.nan), dists, refused, unlisted), faults


def total_tokens(questions: Sequence[ScoreQuestion]) -> int:
    """Input tokens of some requests: counted where ids are known, four characters each else."""
    return sum(
        len(each.prompt_ids) + len(each.response_ids or ())
        if each.prompt_ids is not None
        else (len(each.prompt_text) + len(each.response_text)) // 4
        for each in questions
    )
