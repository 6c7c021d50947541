"""What reading several responses of a prompt at once asks of a run."""

from __future__ import annotations

from kl_core.errors import InputError
from kl_core.records import LEFT_OUT
from kl_core.store.aggregate import SCALED
from kl_core.store.query import Query

_VALUES = {**SCALED, "log_ratio": "log_ratio"}


def values_query(prompt_id: int, measure: str) -> Query:
    """(slot, response_id, tokens, values, asked) of a prompt's responses, by slot.

    `values` holds the measure at each position in order, signs kept, `asked` whether model 2
    was asked there, or came there by itself; null for a response without tokens.

    Raises:
        InputError: no such measure.
    """
    if measure not in _VALUES:
        raise InputError(f"no measure {measure!r}; choose one of {', '.join(_VALUES)}")
    sql = f"""SELECT r.slot, r.response_id, r.tokens,
            list(({_VALUES[measure]})::DOUBLE ORDER BY t.position)
              FILTER (WHERE t.position IS NOT NULL) AS values,
            list(coalesce(t.reason NOT IN {LEFT_OUT}, true) ORDER BY t.position)
              FILTER (WHERE t.position IS NOT NULL) AS asked
        FROM responses r LEFT JOIN tokens t USING (response_id)
        WHERE r.prompt_id = ? AND r.slot >= 0
        GROUP BY r.slot, r.response_id, r.tokens ORDER BY r.slot"""
    return Query(sql, (prompt_id,))
