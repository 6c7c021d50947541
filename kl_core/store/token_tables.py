"""The highest tokens of a run, and its tokens grouped by their text: tables and queries."""

from __future__ import annotations

from kl_core.store.schema import NORMALIZED_MIN_KL

TOP_TOKENS = 1000


def top_tokens() -> str:
    """The highest positions of the whole run, by KL and by KL/(H1+H2)."""
    parts = [
        f"""SELECT '{score}' AS score_type, row_number() OVER () AS rank, * FROM (
        SELECT t.{score} AS score, t.response_id, t.position, r.prompt_id, t.token, t.kl,
               t.kl_lower, t.entropy1, t.entropy2
        FROM tokens t JOIN response_rows r USING (response_id)
        WHERE t.{score} IS NOT NULL AND ({score == "kl"} OR t.kl >= {NORMALIZED_MIN_KL})
        ORDER BY t.{score} DESC, t.response_id, t.position LIMIT {TOP_TOKENS})"""
        for score in ("kl", "normalized")
    ]
    return "CREATE TABLE top_tokens AS " + " UNION ALL ".join(f"({part})" for part in parts)


STATEMENTS: tuple[str, ...] = (top_tokens(),)
