"""Answers of a remote model put beside the saved response: a scored entry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from kl_core import measures
from kl_core.formats.dists import UnusableError, build_dist
from kl_core.formats.tokens import TokenTable, TokenTables, decide_style
from kl_core.records import (
    NOT_ASKED,
    Entry,
    Problem,
    Response,
    ScoredEntry,
    ScoredResponse,
    TokenDist,
    with_error,
)
from kl_core.sources.calls import Answer
from kl_core.sources.contexts import PreparedEntry, PreparedResponse
from kl_core.sources.paired_lists import paired_by_id

Lookup = Callable[[bytes], Answer | None]


class Assembler:
    """Makes scored entries of prepared ones; P is the file's model, Q the remote one.

    Model 1's token is what is scored, whatever model 2 would have said there.

    Args:
        model2: what tables call the remote model.
        match_lists: model 2's list is taken no longer than model 1's at each position, so
            that equal models have a floor KL of 0; the rest of it stands beside the list.
    """

    def __init__(self, model2: str, match_lists: bool) -> None:
        self._model2 = model2
        self._match_lists = match_lists
        self._tables = TokenTables()
        self._problems: list[Problem] = []

    def problems(self) -> list[Problem]:
        """Rows since the last call."""
        rows, self._problems = self._problems, []
        return rows

    def assemble(
        self,
        prepared: PreparedEntry,
        look_up: Lookup,
        failures: Mapping[bytes, str],
        asked: Sequence[frozenset[int] | None] = (),
    ) -> ScoredEntry:
        """The entry with model 2's lists.

        Args:
            look_up: the journal.
            failures: reasons of the contexts that were given up.
            asked: per response the positions that were to be asked; None (and a missing
                item) for all of them.
        """
        entry = prepared.entry
        if prepared.refusal is not None:
            self._add(entry, f"$[{entry.index}]", prepared.refusal, "The prompt was not asked.")
        scored = []
        for slot, (response, calls) in enumerate(
            zip(entry.responses, prepared.responses, strict=True)
        ):
            if prepared.refusal is not None:
                error = response.error or prepared.refusal
                scored.append(measures.unscored(with_error(response, error)))
                continue
            wanted = asked[slot] if slot < len(asked) else None
            scored.append(self._scored(entry, response, calls, look_up, failures, wanted))
        self._note_censored(entry, scored)
        return ScoredEntry(entry, entry.model, self._model2, tuple(scored))

    def _scored(
        self,
        entry: Entry,
        response: Response,
        calls: PreparedResponse,
        look_up: Lookup,
        failures: Mapping[bytes, str],
        wanted: frozenset[int] | None,
    ) -> ScoredResponse:
        if not response.positions or response.error:
            return measures.unscored(response)
        reasons = list(calls.reasons)
        answers: dict[int, Answer] = {}
        for n, context in enumerate(calls.contexts):
            if context is None:
                continue
            if wanted is not None and n not in wanted:
                reasons[n] = NOT_ASKED
                continue
            answer = look_up(context.key)
            if answer is None:
                reasons[n] = failures.get(context.key, "the call was not answered")
            elif answer.error is not None:
                reasons[n] = answer.error
            else:
                answers[n] = answer
        dists2: list[TokenDist | None] = [None] * len(reasons)
        table = self._table(answers.values())
        for n, answer in answers.items():
            try:
                dists2[n] = self._dist(answer, table, response.positions[n].dist)
            except UnusableError as error:
                reasons[n] = f"model 2's list cannot be used: {error}"
        self._note_failures(entry, response, calls, reasons)
        return measures.score(*paired_by_id(response, dists2), reasons, "floor")

    def _table(self, answers: Iterable[Answer]) -> TokenTable:
        """One way of writing tokens for a whole response, told by all its candidates."""
        pieces = (c.token for a in answers for c in a.top)
        return self._tables.get(decide_style([], "", pieces))

    def _dist(self, answer: Answer, table: TokenTable, dist1: TokenDist | None) -> TokenDist:
        known = [table.look_up(each.token, each.id) for each in answer.top]
        chosen = answer.chosen or answer.top[0]
        dist, _ = build_dist(
            known,
            [each.logprob for each in answer.top],
            table.look_up(chosen.token, chosen.id),
            chosen.logprob,
            longer=False,
            note=lambda *_: None,
        )
        if self._match_lists and dist1 is not None:
            return replace(dist, listed=min(dist1.listed, dist.listed))
        return dist

    def _note_failures(
        self,
        entry: Entry,
        response: Response,
        calls: PreparedResponse,
        reasons: Sequence[str | None],
    ) -> None:
        """One row a reason: positions that were asked and have no value."""
        places: dict[str, list[int]] = {}
        for n, (context, reason) in enumerate(zip(calls.contexts, reasons, strict=True)):
            if context is not None and reason is not None and reason != NOT_ASKED:
                places.setdefault(reason, []).append(n)
        for reason, found in places.items():
            many = f"{len(found)} positions" if len(found) > 1 else "one position"
            self._add(
                entry,
                f"$[{entry.index}].responses[{response.index}], token {found[0]}",
                f"{many} got no value: {reason}",
                "The others are scored. The same command with --reuse asks these again.",
            )

    def _note_censored(self, entry: Entry, scored: Sequence[ScoredResponse]) -> None:
        places = [
            (response.response.index, n)
            for response in scored
            for n in response.measures.censored.nonzero()[0].tolist()
        ]
        if not places:
            return
        slot, n = places[0]
        count = f"{len(places)} sampled tokens are" if len(places) > 1 else "a sampled token is"
        self._add(
            entry,
            f"$[{entry.index}].responses[{slot}], token {n}",
            f"{count} not among model 2's top candidates (censored)",
            "KL is computed from the lists; their log-ratios are not known, only bounded.",
        )

    def _add(self, entry: Entry, where: str, reason: str, hint: str) -> None:
        self._problems.append(Problem(entry.file, where, reason, hint))
