"""Notes beside the rows they are on: for filters, lists and exports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from kl_core.store import notes
from kl_core.store.export import Change
from kl_core.store.notes import Note
from kl_core.store.query import Cursor, Query

TABLE = pa.schema(
    [
        ("file", pa.string()),
        ("entry", pa.int32()),
        ("slot", pa.int32()),
        ("position", pa.int32()),
        ("prompt_id", pa.int64()),
        ("prompt", pa.string()),
        ("token", pa.string()),
        ("text", pa.string()),
        ("tags", pa.list_(pa.string())),
        ("updated", pa.string()),
    ]
)


def tagged(run_dir: Path, cursor: Cursor, tags: Sequence[str]) -> tuple[int, ...]:
    """Ids of the prompts with one of these tags, on themselves or on anything in them."""
    wanted = set(tags)
    chosen = [note for note in notes.read(run_dir) if wanted & set(note.tags)]
    return tuple(sorted({row["prompt_id"] for row in _prompts(cursor, chosen).values()}))


def table(run_dir: Path, cursor: Cursor) -> pa.Table:
    """Every note with the prompt and the token it is on; null where the run has no such place."""
    found = notes.read(run_dir)
    prompts, tokens = _prompts(cursor, found), _tokens(cursor, found)
    rows = []
    for note in found:
        head = prompts.get((note.file, note.entry), {})
        rows.append(
            {
                "file": note.file,
                "entry": note.entry,
                "slot": note.slot,
                "position": note.position,
                "prompt_id": head.get("prompt_id"),
                "prompt": head.get("prompt"),
                "token": tokens.get(note.key),
                "text": note.text,
                "tags": list(note.tags),
                "updated": note.updated,
            }
        )
    return pa.Table.from_pylist(rows, schema=TABLE)


def beside_prompts(run_dir: Path) -> Change | None:
    """Adds `note` and `tags` of the prompt itself to rows of prompts; None without any note.

    The rows need `file` and `entry`.
    """
    on_prompts = {
        (note.file, note.entry): note for note in notes.read(run_dir) if note.slot is None
    }
    if not on_prompts:
        return None

    def change(batch: pa.RecordBatch) -> pa.RecordBatch:
        places = zip(batch["file"].to_pylist(), batch["entry"].to_pylist(), strict=True)
        here = [on_prompts.get(place) for place in places]
        texts = pa.array([note.text if note else None for note in here], pa.string())
        tags = pa.array([list(note.tags) if note else None for note in here], pa.list_(pa.string()))
        return batch.append_column("note", texts).append_column("tags", tags)

    return change


def _prompts(cursor: Cursor, found: Iterable[Note]) -> dict[tuple[str, int], dict[str, Any]]:
    places = sorted({(note.file, note.entry) for note in found})
    sql = """SELECT p.file, p.entry, p.prompt_id, p.prompt FROM prompts p
             JOIN (SELECT unnest(?::VARCHAR[]) AS file, unnest(?::INTEGER[]) AS entry) n
             USING (file, entry)"""
    query = Query(sql, ([file for file, _ in places], [entry for _, entry in places]))
    return {(row["file"], row["entry"]): row for row in query.rows(cursor)}


def _tokens(cursor: Cursor, found: Iterable[Note]) -> dict[notes.Key, str]:
    keys = [note.key for note in found if note.slot is not None and note.position is not None]
    sql = """SELECT r.file, r.entry, r.slot, t.position, t.token
             FROM (SELECT unnest(?::VARCHAR[]) AS file, unnest(?::INTEGER[]) AS entry,
                          unnest(?::INTEGER[]) AS slot, unnest(?::INTEGER[]) AS position) n
             JOIN responses r USING (file, entry, slot)
             JOIN tokens t ON t.response_id = r.response_id AND t.position = n.position"""
    columns = tuple([key[place] for key in keys] for place in range(4))
    rows = Query(sql, columns).rows(cursor)
    return {(row["file"], row["entry"], row["slot"], row["position"]): row["token"] for row in rows}
