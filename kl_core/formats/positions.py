"""The `content` list of log-probabilities of one response → its positions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from kl_core.formats.dists import OUTSIDE, UnusableError, build_dist, read_logprob
from kl_core.formats.notes import Notes
from kl_core.formats.tokens import (
    UNKNOWN_TOKEN,
    Known,
    TokenTable,
    TokenTables,
    decide_style,
    literal_names,
    tokens_match_text,
)
from kl_core.records import Position, TokenDist

_CHECK = "Check how the file was made; the other positions are used."


def read_positions(
    content: Sequence[Any], text: str, place: str, notes: Notes, tables: TokenTables
) -> tuple[Position, ...]:
    """All positions of one response; what is wrong with one goes to `notes`.

    Args:
        content: items `{token, logprob, bytes?, token_id?, top_logprobs?}`.
        text: the response text, which decides how the pieces are written.
        place: JSON path of `content`, for the notes.
        notes: takes what is wrong.
        tables: the tokens seen so far.
    """
    table = table_for(content, text, tables)
    bad_before = table.bad_bytes
    reader = _PositionReader(table, _usual_length(content), place, notes)
    positions = tuple([reader.read(n, item) for n, item in enumerate(content)])
    if table.bad_bytes > bad_before:
        notes.add(
            place, place, "bytes", "some `bytes` are not lists of values 0 to 255", "Not used."
        )
    if positions and not tokens_match_text([p.token for p in positions], text):
        notes.add(
            place,
            place,
            "text",
            f"the bytes of the {len(positions)} tokens do not give the response text",
            "Both are kept; the token view shows the tokens. Tokens may be missing from the file.",
        )
    return positions


def table_for(content: Sequence[Any], text: str, tables: TokenTables) -> TokenTable:
    """The token table that fits a response: its style, and names that are really text."""
    sampled = [piece for piece in map(_piece, content) if piece is not None]
    style = decide_style(sampled, text, _candidate_pieces(content))
    return tables.get(style, literal_names(sampled, text))


def _piece(item: Any) -> str | None:
    piece = item.get("token") if isinstance(item, dict) else None
    return piece if isinstance(piece, str) else None


def top_list(item: Any) -> list[Any]:
    """The candidates of one item, [] where there are none."""
    tops = item.get("top_logprobs") if isinstance(item, dict) else None
    return tops if isinstance(tops, list) else []


def _candidate_pieces(content: Sequence[Any]) -> Iterable[str]:
    for item in content:
        for candidate in top_list(item):
            piece = _piece(candidate)
            if piece is not None:
                yield piece


def _usual_length(content: Sequence[Any]) -> int:
    """The most frequent length of the lists, 0 without any.

    One less where every list of that length, the longest, ends with the sampled token
    and others are one shorter: then the server appends it, here at most positions.
    """
    counts = Counter([len(tops) for tops in map(top_list, content) if tops])
    if not counts:
        return 0
    usual, longest = counts.most_common(1)[0][0], max(counts)
    if usual == longest and longest - 1 in counts:
        items = [item for item in content if len(top_list(item)) == longest]
        return longest - 1 if all(_ends_with_sampled(item) for item in items) else usual
    return usual


def _ends_with_sampled(item: Any) -> bool:
    tops = top_list(item)
    return _piece(tops[-1]) == _piece(item) and _piece(item) is not None


class _PositionReader:
    """Reads the items of one response."""

    def __init__(self, table: TokenTable, usual: int, place: str, notes: Notes) -> None:
        self._table = table
        self._usual = usual
        self._place = place
        self._notes = notes
        self._at = 0

    def _note(self, kind: str, reason: str, hint: str) -> None:
        self._notes.add(self._place, f"{self._place}[{self._at}]", kind, reason, hint)

    def read(self, at: int, item: Any) -> Position:
        """One position; never raises: what is wrong becomes its reason and a note."""
        self._at = at
        piece = _piece(item)
        if piece is None:
            reason = "the log-probability item has no token string"
            self._note("token", reason, _CHECK)
            return Position(UNKNOWN_TOKEN, None, None, reason)
        chosen = self._table.look_up(piece, item_id(item), item.get("bytes"))
        logprob = None
        try:
            logprob = self._chosen_logprob(item)
            dist, logprob = self._dist(item, chosen, logprob)
        except UnusableError as error:
            reason = str(error)
            kind = "positive" if "above 0" in reason else reason[:32]
            self._note(kind, f"a position cannot be scored: {reason}", _CHECK)
            return Position(chosen[0], logprob, None, reason)
        if logprob is None:
            self._note(
                "sampled",
                "the sampled token has no log-probability (-9999: outside the list)",
                "Its log-ratio is not known; the lists are used.",
            )
        return Position(chosen[0], logprob, dist)

    def _chosen_logprob(self, item: dict[str, Any]) -> float | None:
        logprob = read_logprob(item.get("logprob"))
        return logprob if logprob > OUTSIDE else None

    def _dist(
        self, item: dict[str, Any], chosen: Known, logprob: float | None
    ) -> tuple[TokenDist, float | None]:
        tops = top_list(item)
        look_up = self._table.look_up
        known: list[Known] = []
        values: list[float] = []
        for top in tops:
            try:
                piece, value, get = top["token"], top["logprob"], top.get
            except (TypeError, KeyError, AttributeError):
                raise UnusableError("a candidate is not {token, logprob}") from None
            if type(piece) is not str:
                raise UnusableError("a candidate is not {token, logprob}")
            if type(value) is not float or not value <= 0.0:
                value = read_logprob(value)
            token_id = get("token_id")
            known.append(look_up(piece, get("id") if token_id is None else token_id, get("bytes")))
            values.append(value)
        longer = len(tops) > self._usual
        return build_dist(known, values, chosen, logprob, longer=longer, note=self._note)


def item_id(item: dict[str, Any]) -> object:
    """The token id of an item, under either name it goes by; None without one."""
    token_id = item.get("token_id")
    return item.get("id") if token_id is None else token_id
