"""The lists of tokens: their figures against NumPy, their bounds, pages and groups."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from kl_core.errors import InputError
from kl_core.formats.kl_write import encode_result
from kl_core.jobs.tokens import TokensRequest, extract
from kl_core.records import ProblemLog
from kl_core.store import queries, runs, token_tables
from kl_core.store.build import build_database
from kl_core.store.parts import PartWriter
from kl_core.store.schema import NORMALIZED_MIN_KL
from tests import factories
from tests.ui import made_runs


@pytest.fixture(scope="module")
def entries():
    return [factories.entry(number, tokens=40) for number in range(6)]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory, entries) -> Path:
    made = runs.create_run(tmp_path_factory.mktemp("tables"), "import", {"request": {}})
    with PartWriter(made) as writer:
        for prompt_id, scored in enumerate(entries):
            writer.add(prompt_id, 2 * prompt_id, scored)
    build_database(made)
    return made


@pytest.fixture
def cursor(run_dir):
    return queries.open_run(run_dir).cursor()


def every_token(entries):
    """(score rows) as NumPy sees them: kl, normalized, surprisal, text, response, position."""
    rows = []
    for number, entry in enumerate(entries):
        for slot, scored in enumerate(entry.responses):
            values = scored.measures
            ratio = values.headline / (values.entropy1 + values.entropy2)
            ratio = np.where(values.headline >= NORMALIZED_MIN_KL, ratio, np.nan)
            for place, position in enumerate(scored.response.positions):
                rows.append(
                    {
                        "kl": values.headline[place],
                        "normalized": ratio[place],
                        "surprisal1": -values.logprob1[place],
                        "lower": values.lower[place],
                        "token": position.token.text,
                        "response_id": 2 * number + slot,
                        "position": place,
                    }
                )
    return rows


def expected(entries, score, least=-np.inf, most=np.inf, text=""):
    """The same list in plain Python."""
    kept = [
        row
        for row in every_token(entries)
        if least <= row[score] <= most and text.lower() in row["token"].lower()
    ]
    return sorted(kept, key=lambda row: (-row[score], row["response_id"], row["position"]))


def places(rows):
    return [(row["response_id"], row["position"]) for row in rows]


@pytest.mark.parametrize("score", ["kl", "normalized", "surprisal1"])
def test_the_list_is_the_runs_tokens_highest_first(cursor, entries, score) -> None:
    """Order, scores, bounds and texts are those of the records, for each score."""
    found = token_tables.top_tokens_query(score, limit=50).rows(cursor)
    wanted = expected(entries, score)[:50]
    assert places(found) == places(wanted)
    assert [row["score"] for row in found] == pytest.approx([row[score] for row in wanted])
    assert [row["kl_lower"] for row in found] == pytest.approx([row["lower"] for row in wanted])
    assert [row["token"] for row in found] == [row["token"] for row in wanted]


@pytest.mark.parametrize(
    ("score", "least", "most", "text"),
    [
        ("kl", 0.5, None, ""),
        ("kl", None, 0.5, ""),
        ("kl", 0.1, 0.9, "w1"),
        ("normalized", 0.1, 0.4, ""),
        ("surprisal1", 1.0, 3.0, "W2"),
    ],
)
def test_bounds_and_text_leave_what_plain_python_leaves(
    cursor, entries, score, least, most, text
) -> None:
    """Both bounds are included; the count is that of the list, over all pages."""
    low, high = -np.inf if least is None else least, np.inf if most is None else most
    wanted = expected(entries, score, low, high, text)
    assert 0 < len(wanted) < len(every_token(entries))
    found = token_tables.top_tokens_query(score, least, most, text=text, limit=None).rows(cursor)
    assert places(found) == places(wanted)
    count = token_tables.top_tokens_count_query(score, least, most, text=text)
    assert count.number(cursor) == len(wanted)
    page = token_tables.top_tokens_query(score, least, most, text=text, limit=5, offset=3)
    assert places(page.rows(cursor)) == places(wanted[3:8])


def test_a_bound_itself_is_included(cursor, entries) -> None:
    """`least` and `most` equal to a score keep the token with that score."""
    value = float(expected(entries, "kl")[7]["kl"])
    for bounds in ({"least": value}, {"most": value}):
        rows = token_tables.top_tokens_query("kl", **bounds, limit=None).rows(cursor)
        assert value in [row["score"] for row in rows]


def test_the_least_kl_of_normalised_scores_can_be_moved(cursor, entries) -> None:
    """Another `min_kl` than the stored one is asked of all tokens."""
    rows = token_tables.top_tokens_query("normalized", min_kl=0.3, limit=None).rows(cursor)
    wanted = [row for row in expected(entries, "normalized") if row["kl"] >= 0.3]
    assert places(rows) == places(wanted)
    low = token_tables.top_tokens_query("normalized", min_kl=0.0, limit=None).rows(cursor)
    assert len(low) == len(every_token(entries))


def test_stored_and_scanned_rows_are_the_same(cursor) -> None:
    """A page that comes from the stored table equals the one that a full scan gives."""
    stored = token_tables.top_tokens_query("kl", least=0.2, limit=20, offset=5)
    scanned = token_tables.top_tokens_query("kl", least=0.2, most=1e9, limit=20, offset=5)
    assert "FROM top_tokens" in stored.sql and "FROM top_tokens" not in scanned.sql
    assert stored.rows(cursor) == scanned.rows(cursor)
    bare = token_tables.top_tokens_query("kl", least=0.2, limit=20, offset=5, context=False)
    more = ("context", "model1", "models")
    without = [{k: v for k, v in row.items() if k not in more} for row in stored.rows(cursor)]
    assert bare.rows(cursor) == without


def test_rows_carry_the_tokens_around_them(cursor, entries) -> None:
    """The context is the response's own tokens, cut at its ends."""
    for row in token_tables.top_tokens_query("kl", limit=30).rows(cursor):
        scored = entries[row["prompt_id"]].responses[row["slot"]].response.positions
        first = max(0, row["position"] - token_tables.BEFORE)
        last = min(len(scored), row["position"] + token_tables.AFTER + 1)
        assert [one["position"] for one in row["context"]] == list(range(first, last))
        texts = [position.token.text for position in scored[first:last]]
        assert [one["token"] for one in row["context"]] == texts
        assert row["provider"] == "Testbed" and row["prompt"] == f"question {row['prompt_id']}"


def test_the_list_is_that_of_the_tokens_command(cursor, entries, tmp_path) -> None:
    """Same tokens, scores and thresholds as `python -m kl_core tokens` on the result files."""
    for number, entry in enumerate(entries):
        (tmp_path / f"prompt_{number:03}_kl.json").write_bytes(encode_result(entry))
    found = extract(TokensRequest(tmp_path, 0.3, 2.0, "normalized", 0.05), ProblemLog())
    rows = token_tables.top_tokens_query("normalized", 0.3, 2.0, 0.05, limit=None).rows(cursor)
    assert len(rows) == found["num_entries"] > 3
    named = [(e["source_file"], e["response_idx"], e["token_position"]) for e in found["entries"]]
    ours = [(row["file"], row["slot"], row["position"]) for row in rows]
    assert [(name.replace("_kl", ""), slot, place) for name, slot, place in named] == ours


def grouped(entries):
    words = defaultdict(list)
    for row in every_token(entries):
        words[row["token"]].append(row)
    return words


def test_groups_add_up_what_their_occurrences_have(cursor, entries) -> None:
    """Count, total, mean, median, maximum, share and place of each word equal NumPy's."""
    words = grouped(entries)
    total = sum(row["kl"] for row in every_token(entries))
    rows = token_tables.token_groups_query(limit=None).rows(cursor)
    assert {row["token"] for row in rows} == set(words)
    for row in rows:
        values = np.array([one["kl"] for one in words[row["token"]]])
        highest = words[row["token"]][int(values.argmax())]
        assert row["occurrences"] == len(values)
        assert row["total"] == pytest.approx(values.sum())
        assert row["mean"] == pytest.approx(values.mean())
        assert row["median"] == pytest.approx(np.median(values))
        assert row["max"] == values.max()
        assert row["high"] == (values >= 1).sum()
        assert row["share"] == pytest.approx(values.sum() / total)
        assert (row["response_id"], row["position"]) == places([highest])[0]
        responses = {one["response_id"] for one in words[row["token"]]}
        assert row["responses"] == len(responses)
        assert row["prompts"] == len({one // 2 for one in responses})
    assert sum(row["share"] for row in rows) == pytest.approx(1)


def test_groups_sort_and_leave_out_rare_words(cursor, entries) -> None:
    """Means are sorted among words seen often enough, pages go on where the last ended."""
    words = grouped(entries)
    often = {w: rows for w, rows in words.items() if len(rows) >= 10}
    assert 2 < len(often) < len(words)
    wanted = sorted(often, key=lambda w: -np.mean([row["kl"] for row in often[w]]))
    rows = token_tables.token_groups_query("mean", min_count=10, limit=None).rows(cursor)
    assert [row["token"] for row in rows] == wanted
    assert token_tables.token_groups_count_query(min_count=10).number(cursor) == len(often)
    page = token_tables.token_groups_query("mean", min_count=10, limit=2, offset=1).rows(cursor)
    assert [row["token"] for row in page] == wanted[1:3]
    up = token_tables.token_groups_query("mean", False, min_count=10, limit=1).rows(cursor)
    assert up[0]["token"] == wanted[-1]


def test_the_occurrences_of_a_word_are_its_highest(cursor, entries) -> None:
    """They come in context, highest first, and are of that very token."""
    words = grouped(entries)
    word = max(words, key=lambda w: len(words[w]))
    rows = token_tables.occurrences_query(word, False, 4).rows(cursor)
    wanted = sorted(words[word], key=lambda row: (-row["kl"], row["response_id"], row["position"]))
    assert places(rows) == places(wanted[:4])
    assert all(row["token"] == word and row["context"] for row in rows)


def test_a_special_token_and_its_spelled_out_text_are_two_words(tmp_path) -> None:
    """The control token and ordinary text that looks like it are not added together."""
    end = made_runs.token("<|end|>", special=True)
    made = made_runs.response(["a", "<|end|>", " b", end], {1: 0.1})
    run = made_runs.write(tmp_path, [made_runs.entry(0, "q", [made])])
    cursor = queries.open_run(run).cursor()
    rows = token_tables.token_groups_query(text="<|end|>").rows(cursor)
    assert [(row["special"], row["occurrences"]) for row in rows] == [(False, 1), (True, 1)]
    found = token_tables.occurrences_query("<|end|>", True).rows(cursor)
    assert [row["position"] for row in found] == [3]


def test_raw_runs_are_listed_by_surprisal(tmp_path) -> None:
    """Without a second model there is no KL list, but a surprisal list and groups."""
    cursor = queries.open_run(made_runs.raw(tmp_path)).cursor()
    assert token_tables.top_tokens_query("kl").rows(cursor) == []
    rows = token_tables.top_tokens_query("surprisal1", limit=5).rows(cursor)
    assert len(rows) == 5 and rows[0]["score"] == max(row["score"] for row in rows) > 0
    assert token_tables.token_groups_query(score="surprisal1", limit=3).rows(cursor)


def test_an_infinite_score_comes_first_and_leaves_no_share(tmp_path) -> None:
    """inf stays inf in the list and the groups; a share of an infinite total is no number."""
    entry = factories.entry(2, responses=1)
    entry.responses[0].measures.headline[3] = np.inf
    run = runs.create_run(tmp_path, "import", {"request": {}})
    with PartWriter(run) as writer:
        writer.add(0, 0, entry)
    build_database(run)
    cursor = queries.open_run(run).cursor()
    assert token_tables.top_tokens_query(limit=1).rows(cursor)[0]["score"] == np.inf
    rows = token_tables.token_groups_query(limit=None).rows(cursor)
    assert rows[0]["total"] == np.inf and all(row["share"] is None for row in rows)


def test_a_live_run_has_the_same_lists(tmp_path, entries) -> None:
    """Over the parts of a run without a database the same questions are answered."""
    run = runs.create_run(tmp_path, "import", {"request": {}})
    with PartWriter(run) as writer:
        writer.add(0, 0, entries[4])
    live = queries.open_run(run)
    assert live.live
    rows = token_tables.top_tokens_query(limit=3).rows(live.cursor())
    assert len(rows) == 3 and rows[0]["context"]
    assert token_tables.token_groups_query(limit=3).rows(live.cursor())


def test_percent_signs_in_a_search_are_just_text(cursor) -> None:
    """A pattern character finds itself only."""
    assert token_tables.top_tokens_count_query(text="%").number(cursor) == 0
    assert token_tables.token_groups_count_query(text="_").number(cursor) == 0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: token_tables.top_tokens_query("entropy"), "entropy"),
        (lambda: token_tables.top_tokens_query("kl", least=np.nan), "finite"),
        (lambda: token_tables.token_groups_query("token; DROP"), "token; DROP"),
        (lambda: token_tables.token_groups_query(score="normalized"), "normalized"),
    ],
)
def test_what_means_nothing_is_refused(call, words: str) -> None:
    """The message names what was asked for and what there is."""
    with pytest.raises(InputError, match=words):
        call()
