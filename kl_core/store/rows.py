"""Scored records as columns: what goes into the Parquet parts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from kl_core.measures import position_keys, unscored
from kl_core.numeric.divergence import normalized_kl
from kl_core.records import Response, ScoredEntry, ScoredResponse, TokenDist, prompt_text
from kl_core.store import estimates, forms, schema

_SCALARS = ("response_id", "position", "token", "piece", "data", "token_id", "special")
_MARKS = ("rank1", "rank2", "censored", "same_top", "reason", "span_start", "span_end")
# column of `tokens` → field of TokenMeasures
FROM_MEASURES = {
    "kl": "headline",
    "kl_reverse": "reverse",
    "js": "js",
    "kl_lower": "lower",
    "kl_tail": "tail",
    "kl_rank": "rank_kl",
    "entropy1": "entropy1",
    "entropy2": "entropy2",
    "entropy1_full": "entropy1_full",
    "entropy2_full": "entropy2_full",
    "logprob1": "logprob1",
    "logprob2": "logprob2",
    "log_ratio": "log_ratio",
    "rest1": "rest1",
    "rest2": "rest2",
}


class CandidateLists:
    """One LIST<STRUCT> column, gathered flat."""

    def __init__(self) -> None:
        self._offsets = [0]
        self._nulls: list[bool] = []
        self._columns: tuple[list[Any], ...] = ([], [], [], [], [], [])

    def add(self, dist: TokenDist | None, keys: Sequence[int]) -> None:
        """Append one position's list, null where there is none."""
        self._nulls.append(dist is None)
        if dist is not None:
            text, ids, key, logprob, listed, special = self._columns
            size = len(dist.tokens)
            text.extend([token.text for token in dist.tokens])
            ids.extend([token.id for token in dist.tokens])
            key.extend(keys)
            logprob.extend(dist.logprobs)
            listed.extend([True] * dist.listed + [False] * (size - dist.listed))
            special.extend([token.special for token in dist.tokens])
        self._offsets.append(len(self._columns[0]))

    def array(self) -> pa.Array:
        """The column as Arrow."""
        types = [field.type for field in schema.CANDIDATE]
        arrays = [pa.array(c, t) for c, t in zip(self._columns, types, strict=True)]
        flat = pa.StructArray.from_arrays(arrays, fields=list(schema.CANDIDATE))
        mask = pa.array(self._nulls, pa.bool_()) if any(self._nulls) else None
        offsets = pa.array(self._offsets, pa.int32())
        return pa.ListArray.from_arrays(offsets, flat, mask=mask)


class TokenColumns:
    """Buffer of the `tokens` table."""

    def __init__(self) -> None:
        self._lists: dict[str, list[Any]] = {name: [] for name in (*_SCALARS, *_MARKS)}
        self._floats: dict[str, list[np.ndarray[Any, Any]]] = {n: [] for n in schema.MEASURES}
        self._lists |= {name: [] for name in schema.RESTORING}
        self._top1, self._top2 = CandidateLists(), CandidateLists()
        self._forms = forms.Forms()
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def add(self, response_id: int, scored: ScoredResponse) -> None:
        """Append the positions of one response."""
        positions = scored.response.positions
        count = len(positions)
        if not count:
            return
        self._rows += count
        tokens = [position.token for position in positions]
        spans = scored.spans or (None,) * count
        columns: dict[str, Sequence[Any]] = {
            "response_id": [response_id] * count,
            "position": range(count),
            "token": [token.text for token in tokens],
            "piece": [token.piece for token in tokens],
            "data": [token.data for token in tokens],
            "token_id": [token.id for token in tokens],
            "special": [token.special for token in tokens],
            "rank1": _known(scored.measures.rank1),
            "rank2": _known(scored.measures.rank2),
            "censored": scored.measures.censored.tolist(),
            "reason": scored.reasons,
            "span_start": [span[0] if span else None for span in spans],
            "span_end": [span[1] if span else None for span in spans],
            "sampled_logprob": [position.logprob for position in positions],
            "input_reason": [position.reason for position in positions],
        }
        for name, values in columns.items():
            self._lists[name].extend(values)
        self._add_measures(scored)
        for position, dist2, (keys1, keys2) in zip(
            positions, scored.dists2, position_keys(scored), strict=True
        ):
            self._top1.add(position.dist, keys1)
            self._top2.add(dist2, keys2)
            self._add_form("1", position.dist)
            self._add_form("2", dist2)
            # a first candidate of unknown identity (below -1) agrees with nothing we can tell
            both = keys1 and keys2 and min(keys1[0], keys2[0]) >= 0
            self._lists["same_top"].append(keys1[0] == keys2[0] if both else None)

    def _add_form(self, side: str, dist: TokenDist | None) -> None:
        form = 0 if dist is None else self._forms.of(dist)
        self._lists[f"form{side}"].append(form)
        for name, stored in (("pieces", forms.stored_pieces), ("data", forms.stored_data)):
            self._lists[f"{name}{side}"].append(None if dist is None else stored(dist, form))

    def _add_measures(self, scored: ScoredResponse) -> None:
        values = {c: getattr(scored.measures, f) for c, f in FROM_MEASURES.items()}
        with np.errstate(invalid="ignore"):  # inf − inf, from other people's result files
            ratio = normalized_kl(values["kl"], values["entropy1"], values["entropy2"])
        values["normalized"] = ratio
        for name, array in values.items():
            self._floats[name].append(np.asarray(array, dtype=np.float64))

    def table(self) -> pa.Table:
        """The buffer as Arrow, NaN as null."""
        arrays: list[pa.Array] = []
        for field in schema.TOKENS:
            if field.name in self._floats:
                chunks = self._floats[field.name]
                values = np.concatenate(chunks) if chunks else np.empty(0)
                arrays.append(pa.array(values, pa.float64(), from_pandas=True))
            elif field.name == "top1":
                arrays.append(self._top1.array())
            elif field.name == "top2":
                arrays.append(self._top2.array())
            else:
                arrays.append(pa.array(self._lists[field.name], field.type))
        return pa.Table.from_arrays(arrays, schema=schema.TOKENS)


class ResponseRows:
    """Buffer of the `responses` table."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(
        self, prompt_id: int, response_id: int, entry: ScoredEntry, scored: ScoredResponse
    ) -> None:
        """Append one response with its prompt."""
        source, response = entry.entry, scored.response
        messages = [{"role": m.role, "content": m.content} for m in source.prompt]
        self._rows.append(
            {
                "response_id": response_id,
                "prompt_id": prompt_id,
                "slot": response.index,
                "file": source.file,
                "entry": source.index,
                "entries_in_file": source.entries_in_file,
                "prompt": prompt_text(source.prompt),
                "prompt_json": json.dumps(messages, ensure_ascii=False),
                "text": response.text,
                "provider": response.provider,
                "model": response.model,
                "finish_reason": response.finish_reason,
                "reasoning": response.reasoning,
                "error": response.error,
                "measure": scored.measure,
                "model1": entry.model1,
                "model2": entry.model2,
                **estimates.columns(scored.estimate),
                **estimates.columns(entry.estimate, schema.PROMPT),
            }
        )

    def add_placeholder(self, prompt_id: int, response_id: int, entry: ScoredEntry) -> None:
        """Keep a prompt that came without responses, as a row of slot -1."""
        empty = unscored(Response(index=-1, text="", error="the entry has no responses"))
        self.add(prompt_id, response_id, entry, empty)

    def table(self) -> pa.Table:
        """The buffer as Arrow."""
        return pa.Table.from_pylist(self._rows, schema=schema.RESPONSES)


def _known(ranks: np.ndarray[Any, Any]) -> list[int | None]:
    return [int(rank) if rank > 0 else None for rank in ranks]
