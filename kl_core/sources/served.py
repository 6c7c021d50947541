"""A model behind a server that scores a whole response in one request, as model 2."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from kl_core import measures
from kl_core.errors import ModelError
from kl_core.models.load import LoadedModel, encode_prompt, encode_text
from kl_core.models.render import render_prompt
from kl_core.models.work import Scores
from kl_core.records import (
    Entry,
    Problem,
    Prompt,
    Response,
    ScoredEntry,
    ScoredResponse,
    prompt_text,
    with_error,
)
from kl_core.sources.by_ids import ByIds, Prepared
from kl_core.sources.by_text import ByText
from kl_core.sources.context import vocabulary_of
from kl_core.sources.remote import Lookup
from kl_core.sources.scored_text import ScoredText, ScoreQuestion, unpacked

KEY_BYTES = 16
NOTHING = "none of its tokens is one of model 2's"


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
    """An entry and its questions, one Sheet a response."""

    entry: Entry
    sheets: tuple[Sheet, ...]

    def questions(self) -> Iterator[ScoreQuestion]:
        """Its different questions, in order."""
        seen: set[bytes] = set()
        for sheet in self.sheets:
            if sheet.question is not None and sheet.question.key not in seen:
                seen.add(sheet.question.key)
                yield sheet.question


class Served:
    """Writes questions for a server and puts its answers beside the saved responses.

    Args:
        model2: what tables call the model.
        loaded: its tokenizer; None where the server takes raw text and no ids.
        match_lists: model 2's list is taken no longer than model 1's at each position.
    """

    def __init__(self, model2: str, loaded: LoadedModel | None, match_lists: bool) -> None:
        self._model2, self._loaded = model2, loaded
        self._by_text = ByText(model2, match_lists)
        self._by_ids: ByIds | None = None
        if loaded is not None:
            encode = lambda text: encode_text(loaded, text)  # noqa: E731
            self._by_ids = ByIds(vocabulary_of(loaded), encode, model2, match_lists)
        self._problems: list[Problem] = []

    def problems(self) -> list[Problem]:
        """Rows since the last call."""
        rows, self._problems = self._problems, []
        by_ids = self._by_ids.problems() if self._by_ids is not None else []
        return rows + by_ids + self._by_text.problems()

    def ready(self, entry: Entry) -> Ready:
        """The questions about an entry; what cannot be asked has its reason."""
        try:
            ids, text = self._prompt(entry.prompt)
        except ModelError as error:
            self._add(entry, None, str(error))
            refused = [Sheet(each, None, None, str(error)) for each in entry.responses]
            return Ready(entry, tuple(refused))
        return Ready(entry, tuple(self._sheet(entry, r, ids, text) for r in entry.responses))

    def assemble(self, ready: Ready, look_up: Lookup, failures: Mapping[bytes, str]) -> ScoredEntry:
        """The entry with model 2's lists.

        Args:
            look_up: the journal.
            failures: reasons of the questions that were given up.
        """
        entry = ready.entry
        scored = tuple(self._scored(entry, each, look_up, failures) for each in ready.sheets)
        return ScoredEntry(entry, entry.model, self._model2, scored)

    def _prompt(self, prompt: Prompt) -> tuple[tuple[int, ...] | None, str]:
        if self._loaded is None:
            return None, prompt_text(prompt)
        return encode_prompt(self._loaded, prompt), render_prompt(self._loaded, prompt)

    def _sheet(
        self, entry: Entry, response: Response, ids: tuple[int, ...] | None, text: str
    ) -> Sheet:
        if response.error or not response.positions:
            return Sheet(response, None, None, response.error)
        said = _said(response)
        if self._by_ids is None or ids is None:
            return Sheet(response, _question(None, None, text, said))
        prepared = self._by_ids.prepare(entry, response)
        own = tuple(prepared.alignment.ids)
        if not own:
            return Sheet(response, None, prepared, NOTHING)
        return Sheet(response, _question(ids, own, text, said), prepared)

    def _scored(
        self, entry: Entry, sheet: Sheet, look_up: Lookup, failures: Mapping[bytes, str]
    ) -> ScoredResponse:
        response, question = sheet.response, sheet.question
        if question is None:
            reason = response.error or sheet.reason
            return measures.unscored(with_error(response, reason) if reason else response)
        answer = look_up(question.key)
        if answer is None or answer.error is not None:
            missing = failures.get(question.key, "the request was not answered")
            reason = answer.error if answer is not None and answer.error else missing
            self._add(entry, response, reason)
            return measures.unscored(with_error(response, reason))
        scored = unpacked(answer.body)
        if self._by_ids is not None and sheet.prepared is not None and _by_ids(scored, question):
            return self._by_ids.scored(entry, sheet.prepared, scores_of(scored, sheet.prepared))
        return self._by_text.scored(entry, response, scored)

    def _add(self, entry: Entry, response: Response | None, reason: str) -> None:
        place = f"$[{entry.index}]" + (f".responses[{response.index}]" if response else "")
        hint = "The others are scored. The same command with --reuse asks this again."
        self._problems.append(
            Problem(entry.file, place, reason, hint if response else "The prompt was not scored.")
        )


def _said(response: Response) -> str:
    """What the response adds to the prompt: its tokens' own bytes where all are known."""
    data = [position.token.data for position in response.positions]
    known = [each for each in data if each is not None]
    if len(known) < len(data):
        return response.text
    return b"".join(known).decode("utf-8", "replace")


def _question(
    prompt: tuple[int, ...] | None, response: tuple[int, ...] | None, text: str, said: str
) -> ScoreQuestion:
    whole = repr((prompt, response, text, said)).encode("utf-8", "surrogatepass")
    key = blake2b(whole, digest_size=KEY_BYTES).digest()
    return ScoreQuestion(key, prompt, response, text, said)


def _by_ids(scored: ScoredText, question: ScoreQuestion) -> bool:
    """Whether the answer is about the ids that were asked, and its lists have ids too."""
    ids = question.response_ids
    if ids is None or tuple(token.id for token in scored.tokens) != ids:
        return False
    return all(each.id is not None for top in scored.tops for each in top)


def scores_of(scored: ScoredText, prepared: Prepared) -> Scores:
    """An answer by ids as a scoring engine gives it; entropies are not known, [T] NaN."""
    count = len(scored.tokens)
    width = max((len(top) for top in scored.tops), default=0)
    ids = np.full((count, width), -1, dtype=np.int64)
    values = np.full((count, width), np.nan)
    for row, top in enumerate(scored.tops):
        listed = [(each.id, each.logprob) for each in top if each.id is not None]
        ids[row, : len(listed)] = [number for number, _ in listed]
        values[row, : len(listed)] = [logprob for _, logprob in listed]
    return Scores(
        chosen=np.array([token.logprob for token in scored.tokens], dtype=np.float64),
        rank=np.array(scored.ranks, dtype=np.int64),
        top_ids=ids,
        top_logprobs=values,
        entropy=np.full(count, np.nan),
        wanted=np.full(prepared.wanted.shape, np.nan),
    )


def total_tokens(questions: Sequence[ScoreQuestion]) -> int:
    """Input tokens of some requests: counted where ids are known, four characters each else."""
    return sum(
        len(each.prompt_ids) + len(each.response_ids or ())
        if each.prompt_ids is not None
        else (len(each.prompt_text) + len(each.response_text)) // 4
        for each in questions
    )
