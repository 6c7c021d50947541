"""A server's tokens of a saved response put beside the file's by their bytes: scored."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kl_core import measures
from kl_core.formats.align import Segment
from kl_core.formats.align_bytes import ByteAlignment, align_bytes
from kl_core.formats.dists import UnusableError, build_dist
from kl_core.formats.tokens import Known, TokenTable, TokenTables, decide_style, literal_names
from kl_core.records import Entry, Problem, Response, ScoredResponse, TokenDist
from kl_core.sources.calls import Candidate
from kl_core.sources.paired_lists import paired_by_id
from kl_core.sources.scored_text import ScoredText

LOW_COVERAGE = 0.9
MOST_RANK = 2**31  # a larger number is the rank of nothing
NO_VALUE = "model 2's server gave no probability for this token"
NO_LIST1 = "model 1's list of candidates is missing here"
ONE_AS_SEVERAL = "several tokens of model 2: only the log-ratio is known"


class ByText:
    """Makes scored responses of a server's answers; P is the file's model, Q the server's.

    Args:
        model2: what tables and problems call the server's model.
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

    def scored(self, entry: Entry, response: Response, scored_text: ScoredText) -> ScoredResponse:
        """The response with the server's view; nats, P‖Q.

        Tokens with the same bytes at the same place are compared one to one; a stretch that
        the two cut differently has a log-ratio and no KL; the others keep a reason.
        """
        if not response.positions or response.error:
            return measures.unscored(response)
        tokens = [position.token for position in response.positions]
        table = self._table(scored_text, response.text)
        theirs = [table.look_up(each.token, each.id) for each in scored_text.tokens]
        others = [known[0] for known in theirs]
        alignment = align_bytes(tokens, others, response.text, scored_text.skipped)
        made = _Made(response, alignment, scored_text, theirs, table, self._match_lists)
        self._note_coverage(entry, response, alignment)
        self._note_lists(entry, response, made.failed)
        own, dists2 = paired_by_id(response, made.dists2)
        return measures.score(
            own,
            dists2,
            made.reasons,
            "floor",
            known2=made.known,
            spans=made.spans,
            span_logprob2=made.span_logprob2,
        )

    def _table(self, scored_text: ScoredText, text: str) -> TokenTable:
        """How the server writes its tokens, told by them, the text and all candidates."""
        sampled = [each.token for each in scored_text.tokens]
        said = text.encode("utf-8", "replace")[scored_text.skipped :].decode("utf-8", "replace")
        pieces = (each.token for top in scored_text.tops for each in top)
        return self._tables.get(decide_style(sampled, said, pieces), literal_names(sampled, said))

    def _note_coverage(self, entry: Entry, response: Response, alignment: ByteAlignment) -> None:
        """One row where too few tokens are one to one; an end token that no text shows is none."""
        last = response.positions[-1].token
        count = len(response.positions) - (last.special and alignment.reasons[-1] is not None)
        matched = sum([segment.one_to_one for segment in alignment.segments])
        if not count or matched / count >= LOW_COVERAGE:
            return
        reasons = Counter([reason for reason in alignment.reasons[:count] if reason])
        in_spans = count - matched - reasons.total()
        cause = "the tokenizers differ"
        if reasons and reasons.total() >= in_spans:
            cause = reasons.most_common(1)[0][0]
        self._note(
            entry,
            response,
            alignment.reasons.index(cause) if cause in alignment.reasons else None,
            f"only {100 * matched / count:.0f} % of its tokens could be matched with tokens of "
            f"{self._model2}: {cause}",
            "The matched ones are scored. Score with a model that has the same tokenizer for a "
            "full comparison.",
        )

    def _note_lists(self, entry: Entry, response: Response, failed: dict[str, list[int]]) -> None:
        for reason, places in failed.items():
            many = f"{len(places)} positions" if len(places) > 1 else "one position"
            hint = "The others are scored; check what the server was asked for."
            self._note(entry, response, places[0], f"{many} got no value: {reason}", hint)

    def _note(
        self, entry: Entry, response: Response, token: int | None, reason: str, hint: str
    ) -> None:
        place = f"$[{entry.index}].responses[{response.index}]"
        place += "" if token is None else f", token {token}"
        self._problems.append(Problem(entry.file, place, reason, hint))


class _Made:
    """What `measures.score` takes, filled segment by segment.

    Attributes:
        dists2, reasons, spans: T items.
        known: log Q and rank of every token that is one of the server's.
        span_logprob2: [T] log Q of a whole stretch on its first position, NaN elsewhere.
        failed: positions that are matched and have no value, by reason.
    """

    def __init__(
        self,
        response: Response,
        alignment: ByteAlignment,
        scored_text: ScoredText,
        theirs: Sequence[Known],
        table: TokenTable,
        match_lists: bool,
    ) -> None:
        count = len(response.positions)
        self.dists2: list[TokenDist | None] = [None] * count
        self.reasons: list[str | None] = list(alignment.reasons)
        self.spans: list[tuple[int, int] | None] = [None] * count
        self.span_logprob2 = np.full(count, np.nan)
        self.known = measures.KnownOfModel2(
            np.full(count, np.nan), np.full(count, -1, dtype=np.int64), np.full(count, np.nan)
        )
        self.failed: dict[str, list[int]] = {}
        self._positions = response.positions
        self._text, self._theirs, self._table = scored_text, theirs, table
        self._match_lists = match_lists
        self._usual = _usual_length(scored_text)
        for segment in alignment.segments:
            if segment.one_to_one:
                self._one(segment.api_start, segment.local_start)
            else:
                self._span(segment)
        for n, position in enumerate(response.positions):
            self.reasons[n] = position.reason or self.reasons[n]

    def _span(self, segment: Segment) -> None:
        start, end = segment.api_start, segment.api_end
        tokens = self._text.tokens[segment.local_start : segment.local_end]
        self.span_logprob2[start] = sum([each.logprob for each in tokens])
        self.spans[start:end] = [(start, end)] * (end - start)
        reason = ONE_AS_SEVERAL
        if end - start > 1:
            reason = f"aligned as a span of {end - start} tokens: only its log-ratio is known"
        self.reasons[start:end] = [reason] * (end - start)

    def _one(self, n: int, m: int) -> None:
        """File token `n` is the server's token `m`."""
        given = self._text.tokens[m].logprob
        rank = self._text.ranks[m]
        self.known.logprob[n] = given
        self.known.rank[n] = rank if 0 < rank < MOST_RANK else -1
        try:
            dist, logprob = self._dist(m, None if math.isnan(given) else given)
        except UnusableError as error:
            unknown = math.isnan(given) and not self._text.tops[m]
            reason = NO_VALUE if unknown else f"model 2's list cannot be used: {error}"
            self.reasons[n] = reason
            if self._positions[n].reason is None:
                self.failed.setdefault(reason, []).append(n)
            return
        if logprob is not None:
            self.known.logprob[n] = logprob
        if self.known.rank[n] < 1:
            self.known.rank[n] = _rank(dist, self._theirs[m])
        dist1 = self._positions[n].dist
        if dist1 is None:
            self.reasons[n] = NO_LIST1
        elif self._match_lists:
            dist = replace(dist, listed=min(dist1.listed, dist.listed))
        self.dists2[n] = dist

    def _dist(self, m: int, logprob: float | None) -> tuple[TokenDist, float | None]:
        """The list as long as the server gave it; the token's own value where it is known."""
        top = self._text.tops[m]
        return build_dist(
            [self._table.look_up(each.token, each.id) for each in top],
            [each.logprob for each in top],
            self._theirs[m],
            logprob,
            longer=len(top) > self._usual,
            note=lambda *_: None,
        )


def _rank(dist: TokenDist, chosen: Known) -> int:
    """The token's place in the list from 1, -1 outside it."""
    if not measures.identified(chosen[0]):
        return -1
    wanted = measures.identity(chosen[0])
    listed = enumerate(dist.tokens[: dist.listed], 1)
    return next((n for n, token in listed if measures.identity(token) == wanted), -1)


def _usual_length(scored_text: ScoredText) -> int:
    """The k of the lists; some servers append the token itself where it is not among the k."""
    lengths = Counter([len(top) for top in scored_text.tops if top])
    if not lengths:
        return 0
    usual, longest = lengths.most_common(1)[0][0], max(lengths)
    if usual == longest and longest - 1 in lengths:
        pairs = zip(scored_text.tops, scored_text.tokens, strict=True)
        if all(_ends_with(top, token) for top, token in pairs if len(top) == longest):
            return longest - 1
    return usual


def _ends_with(top: Sequence[Candidate], token: Candidate) -> bool:
    return (top[-1].token, top[-1].id) == (token.token, token.id)
