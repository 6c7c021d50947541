"""Queries of the Compare page, kept per pair of runs and versions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import streamlit as st

from kl_core.store import (
    pair_difference,
    pair_figures,
    pair_sums,
    pair_tokens,
    run_pairs,
)
from kl_core.store.pair_difference import Difference
from kl_core.store.query import Cursor, Query
from kl_core.ui import cached, pair_scale
from kl_core.ui.pair_scale import Scale


@dataclass(frozen=True, slots=True)
class PairKey:
    """Two runs as they are now."""

    run_a: str
    version_a: str
    run_b: str
    version_b: str

    @property
    def identity(self) -> str:
        """Names the pair for the browser."""
        names = (Path(self.run_a).name, self.version_a, Path(self.run_b).name, self.version_b)
        return "/".join(names)


def key_of(run_a: Path, run_b: Path) -> PairKey:
    """The pair as it is shown: a live run stands still until the reader asks for more."""
    versions = cached.version(run_a), cached.version(run_b)
    return PairKey(str(run_a), versions[0], str(run_b), versions[1])


@st.cache_resource(max_entries=4, show_spinner="Comparing every token of both runs …")
def _pair(key: PairKey) -> run_pairs.RunPair:
    return run_pairs.open_pair(Path(key.run_a), Path(key.run_b))


def cursor(key: PairKey) -> Cursor:
    """A cursor over both runs; the connection behind it is shared.

    Raises:
        InputError, RunError: they cannot be opened together.
    """
    return _pair(key).cursor()


@st.cache_data(max_entries=16, show_spinner=False)
def counts(key: PairKey) -> dict[str, int]:
    """What was matched and what was not; see run_pairs.counts_query."""
    return run_pairs.counts_query().row(cursor(key)) or {}


@st.cache_data(max_entries=16, show_spinner=False)
def heads(key: PairKey) -> list[dict[str, Any]]:
    """Summaries of A and B."""
    return run_pairs.heads_query().rows(cursor(key))


@st.cache_resource(max_entries=4, show_spinner=False)
def sums(key: PairKey) -> pa.Table:
    """Sums over all tokens, a row a prompt pair."""
    return pair_sums.sums_query().table(cursor(key))


@st.cache_resource(max_entries=16, show_spinner=False)
def prompts(key: PairKey, figure: str, order: str) -> pa.Table:
    """All paired prompts by a figure."""
    return pair_figures.prompts_query(figure, order).table(cursor(key))


@st.cache_data(max_entries=32, show_spinner=False)
def difference(key: PairKey, figure: str) -> Difference:
    """The run-level difference."""
    pairs = prompts(key, figure, "moved")
    return pair_difference.difference(figure, pairs, sums(key), heads(key))


@st.cache_data(max_entries=32, show_spinner=False)
def scale(key: PairKey, figure: str) -> Scale:
    """What full colour stands for."""
    return pair_scale.read(cursor(key), figure)


@st.cache_resource(max_entries=16, show_spinner=False)
def tokens(key: PairKey, figure: str, pairs: tuple[int, ...]) -> pa.Table:
    """Tokens of paired responses with the values of both runs."""
    return pair_tokens.tokens_query(pairs, figure).table(cursor(key))


def run(key: PairKey, query: Query) -> list[dict[str, Any]]:
    """Rows of a query over both runs."""
    return query.rows(cursor(key))


@st.cache_data(max_entries=500, show_spinner=False)
def _first_prompts(run_dir: str, changed_ns: int) -> frozenset[int]:
    return run_pairs.first_prompts(Path(run_dir))


def first_prompts(run_dir: Path) -> frozenset[int]:
    """Marks of the run's first prompts; runs that share some can be compared."""
    try:
        changed_ns = (run_dir / "parts").stat().st_mtime_ns
    except OSError:
        return frozenset()
    return _first_prompts(str(run_dir), changed_ns)
