"""What `export --view NAME` means: the rows of each view of a run, from its options."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow as pa

from kl_core.errors import InputError
from kl_core.store import notes_tables, queries, schema, token_tables
from kl_core.store.export import Change
from kl_core.store.filters import PromptFilter, Range
from kl_core.store.query import Cursor, Query

CHART = "chart:"
WHOLE = ("summary", "results")  # objects and files, not rows
LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of a view; None or empty for those not given.

    Attributes:
        least, most: `column=value`, as typed.
        min_kl: nats a token's KL needs before `normalized` means anything.
        min_count: occurrences a group of tokens needs.
    """

    sort: str | None = None
    ascending: bool = False
    search: str = ""
    provider: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    finish_reason: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    least: tuple[str, ...] = ()
    most: tuple[str, ...] = ()
    prompt: int | None = None
    response: int | None = None
    score: str | None = None
    limit: int | None = None
    lists: bool = False
    min_kl: float | None = None
    min_count: int | None = None


@dataclass(frozen=True, slots=True)
class View:
    """Rows and what is added to them on their way out."""

    source: Query | pa.Table
    change: Change | None = None


def view(name: str, run_dir: Path, cursor: Cursor, asked: Asked) -> View:
    """The rows of a view.

    Raises:
        InputError: no such view, an option that it does not have, or one that is no text.
    """
    _refuse_impossible(asked)
    if name.startswith(CHART):
        _only(name, asked, ())
        return View(chart(name).query())
    if name not in _VIEWS:
        raise InputError(f"no view is called {name!r}; choose one of {', '.join(names())}")
    make, taken = _VIEWS[name]
    _only(name, asked, taken)
    return make(run_dir, cursor, asked)


def names() -> list[str]:
    """Every view, charts by their pattern."""
    return [*_VIEWS, *WHOLE, f"{CHART}NAME"]


def chart(name: str) -> Any:
    """A chart of the registry by `chart:NAME`.

    Raises:
        InputError: there is no such chart.
    """
    from kl_core.plots.registry import CHARTS  # plotly takes half a second to import

    found = CHARTS.get(name.removeprefix(CHART))
    if found is None:
        raise InputError(
            f"no chart is called {name.removeprefix(CHART)!r}; choose one of {', '.join(CHARTS)}"
        )
    return found


def refuse_options(name: str, asked: Asked) -> None:
    """Views that are whole take none.

    Raises:
        InputError: one was given.
    """
    _only(name, asked, ())


def _refuse_impossible(asked: Asked) -> None:
    """What no database takes: bytes that are no UTF-8 (lone surrogates here), huge numbers."""
    for option in fields(Asked):
        given = getattr(asked, option.name)
        for one in given if isinstance(given, tuple) else (given,):
            if isinstance(one, str) and one != one.encode("utf-8", "replace").decode():
                raise InputError(
                    f"--{_word(option.name)} {one!a} is no UTF-8 text; type it as UTF-8"
                )
            if type(one) is int and abs(one) > LARGEST:
                raise InputError(
                    f"--{_word(option.name)} {one} is beyond {LARGEST}, the largest whole "
                    "number of a run; give a smaller one"
                )


def _word(option: str) -> str:
    """An option as it is typed."""
    return {"least": "min", "most": "max"}.get(option, option).replace("_", "-")


def _only(name: str, asked: Asked, taken: Sequence[str]) -> None:
    nothing = Asked()
    for option in fields(Asked):
        given = getattr(asked, option.name) != getattr(nothing, option.name)
        if given and option.name not in taken:
            raise InputError(
                f"--{_word(option.name)} means nothing for --view {name}; leave it out"
            )


def bounds(least: Sequence[str], most: Sequence[str]) -> tuple[Range, ...]:
    """`column=value` texts as ranges.

    Raises:
        InputError: a text is not of that form.
    """
    low = [Range(column, low=value) for column, value in map(_bound, least)]
    return (*low, *(Range(column, high=value) for column, value in map(_bound, most)))


def _bound(text: str) -> tuple[str, float]:
    column, _, number = text.partition("=")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise InputError(f"{text!r} is no bound; write it as mean_kl=0.5")
    return column.strip(), value


def _prompts(run_dir: Path, cursor: Cursor, asked: Asked) -> View:
    tagged = notes_tables.tagged(run_dir, cursor, asked.tag) if asked.tag else None
    where = PromptFilter(
        asked.search,
        asked.provider,
        asked.model,
        asked.finish_reason,
        bounds(asked.least, asked.most),
        tagged,
    )
    scored = queries.summary(cursor).get("measure") is not None
    sort = asked.sort or ("mean_kl" if scored else "mean_surprisal1")
    query = queries.prompts_query(sort, not asked.ascending, asked.limit, where=where)
    return View(query, notes_tables.beside_prompts(run_dir))


def _responses(run_dir: Path, cursor: Cursor, asked: Asked) -> View:
    if asked.prompt is None:
        return View(Query(f"SELECT * FROM responses ORDER BY prompt_id, slot{_page(asked)}"))
    if queries.prompt(cursor, asked.prompt) is None:
        raise InputError(
            f"run {run_dir.name} has no prompt {asked.prompt}; --view prompts lists them"
        )
    found = queries.responses_query(asked.prompt)
    return View(Query(found.sql + _page(asked), found.arguments))


def _tokens(run_dir: Path, cursor: Cursor, asked: Asked) -> View:
    """Of one response, of all responses of a prompt, or of the whole run."""
    plain = [name for name in schema.TOKENS.names if name not in schema.LISTS]
    wanted = [*plain, *(("top1", "top2") if asked.lists else ())]
    columns = ", ".join(f"t.{name}" for name in wanted)
    order = f"ORDER BY t.response_id, t.position{_page(asked)}"
    if asked.response is not None and asked.prompt is not None:
        raise InputError("--prompt and --response are two ways to choose; give one")
    if asked.response is not None:
        condition, arguments = "t.response_id = ?", (asked.response,)
    elif asked.prompt is not None:
        inside = "SELECT response_id FROM responses WHERE prompt_id = ?"
        condition, arguments = f"t.response_id IN ({inside})", (asked.prompt,)
    else:
        # a database has them in order; sorting would hold all of them in memory
        live = queries.run_version(run_dir).startswith("live-")
        whole = order if live else _page(asked)
        return View(Query(f"SELECT {columns} FROM tokens t {whole}"))
    known = "response_id" if asked.response is not None else "prompt_id"
    there = f"SELECT count(*) FROM responses WHERE {known} = ?"
    if not Query(there, arguments).number(cursor):
        what = known.removesuffix("_id")
        raise InputError(
            f"run {run_dir.name} has no {what} {arguments[0]}; --view {what}s lists them"
        )
    return View(Query(f"SELECT {columns} FROM tokens t WHERE {condition} {order}", arguments))


def _top_tokens(run_dir: Path, cursor: Cursor, asked: Asked) -> View:
    low, high = _score_bounds(asked)
    score = _score(cursor, asked, token_tables.SCORES)
    if asked.min_kl is not None and score != "normalized":
        raise InputError(f"--min-kl means nothing for --score {score}; use --min score=NATS")
    floor = schema.NORMALIZED_MIN_KL if asked.min_kl is None else asked.min_kl
    query = token_tables.top_tokens_query(
        score, low, high, floor, asked.search, asked.limit, context=False
    )
    return View(query)


def _token_groups(run_dir: Path, cursor: Cursor, asked: Asked) -> View:
    score = _score(cursor, asked, token_tables.GROUPED)
    query = token_tables.token_groups_query(
        asked.sort or "total",
        not asked.ascending,
        asked.search,
        1 if asked.min_count is None else asked.min_count,
        asked.limit,
        score=score,
    )
    return View(query)


def _score(cursor: Cursor, asked: Asked, known: Sequence[str] | dict[Any, str]) -> Any:
    if asked.score is None:
        return "kl" if queries.summary(cursor).get("measure") else "surprisal1"
    if asked.score not in known:
        raise InputError(
            f"no score is called {asked.score!r} here; choose one of {', '.join(known)}"
        )
    return asked.score


def _score_bounds(asked: Asked) -> tuple[float | None, float | None]:
    low = high = None
    for bound in bounds(asked.least, asked.most):
        if bound.column != "score":
            raise InputError(f"tokens are bounded by their score alone, not by {bound.column!r}")
        low = bound.low if bound.low is not None else low
        high = bound.high if bound.high is not None else high
    return low, high


def _problems(run_dir: Path, cursor: Cursor, asked: Asked) -> View:
    return View(Query(f"SELECT * FROM problems ORDER BY file, place, reason{_page(asked)}"))


def _notes(run_dir: Path, cursor: Cursor, asked: Asked) -> View:
    return View(notes_tables.table(run_dir, cursor))


def _page(asked: Asked) -> str:
    return "" if asked.limit is None else f" LIMIT {int(asked.limit)}"


_FILTERS = ("search", "provider", "model", "finish_reason", "tag", "least", "most")
_VIEWS: dict[str, tuple[Callable[[Path, Cursor, Asked], View], tuple[str, ...]]] = {
    "prompts": (_prompts, (*_FILTERS, "sort", "ascending", "limit")),
    "responses": (_responses, ("prompt", "limit")),
    "tokens": (_tokens, ("prompt", "response", "limit", "lists")),
    "top-tokens": (_top_tokens, ("search", "least", "most", "score", "min_kl", "limit")),
    "token-groups": (
        _token_groups,
        ("search", "sort", "ascending", "score", "min_count", "limit"),
    ),
    "problems": (_problems, ("limit",)),
    "notes": (_notes, ()),
}
