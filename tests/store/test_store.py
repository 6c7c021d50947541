"""From scored entries to a database and back through the queries."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from kl_core.errors import InputError, RunError
from kl_core.records import Entry, Problem, ScoredEntry
from kl_core.store import parts, queries, runs, schema
from kl_core.store.build import build_database, newest_database
from kl_core.store.filters import PromptFilter
from tests import factories
from tests.ui import made_runs


def make_run(root, entries, tokens_a_part=20_000):
    run_dir = runs.create_run(root, "import", {"request": {}})
    with parts.PartWriter(run_dir, tokens_a_part) as writer:
        number = 0
        for prompt_id, scored in enumerate(entries):
            writer.add(prompt_id, number, scored)
            number += max(len(scored.responses), 1)
    return run_dir


@pytest.fixture
def entries():
    return [factories.entry(number) for number in range(6)]


def opened(run_dir):
    return queries.open_run(run_dir).cursor()


def test_figures_in_the_database_are_those_of_the_records(tmp_path, entries):
    """Mean, maximum, total and bound of a response equal NumPy's over its measures."""
    run_dir = make_run(tmp_path, entries)
    build_database(run_dir)
    row = queries.responses(opened(run_dir), 3).to_pylist()[1]
    values = entries[3].responses[1].measures
    assert row["mean_kl"] == pytest.approx(values.headline.mean())
    assert row["median_kl"] == pytest.approx(np.median(values.headline))
    assert row["p90_kl"] == pytest.approx(np.quantile(values.headline, 0.9))
    assert row["max_kl"] == pytest.approx(values.headline.max())
    assert row["total_kl"] == pytest.approx(values.headline.sum())
    assert row["std_kl"] == pytest.approx(values.headline.std())
    assert row["mean_lower"] == pytest.approx(values.lower.mean())
    assert row["censored"] == values.censored.sum()
    assert row["tokens"] == row["scored_tokens"] == 12


def test_a_prompts_mean_weighs_every_token_equally(tmp_path):
    """Two responses of different length: not the mean of their means."""
    rng = np.random.default_rng(0)
    scored = (factories.response(0, 3, rng, 3.0), factories.response(1, 30, rng, 0.1))
    base = factories.entry(0)
    entry = ScoredEntry(base.entry, "a", "b", scored)
    run_dir = make_run(tmp_path, [entry])
    build_database(run_dir)
    row = queries.prompts(opened(run_dir)).to_pylist()[0]
    joined = np.concatenate([one.measures.headline for one in scored])
    assert row["mean_kl"] == pytest.approx(joined.mean())
    assert queries.summary(opened(run_dir))["mean_kl"] == pytest.approx(joined.mean())


def test_prompts_come_sorted_and_paged_and_can_be_searched(tmp_path, entries):
    """Highest mean first, the next page goes on, a search looks into prompts and responses."""
    run_dir = make_run(tmp_path, entries)
    build_database(run_dir)
    cursor = opened(run_dir)
    everything = queries.prompts(cursor)["mean_kl"].to_pylist()
    assert everything == sorted(everything, reverse=True)
    assert queries.prompts(cursor, limit=2, offset=2)["mean_kl"].to_pylist() == everything[2:4]
    assert queries.prompts(cursor, descending=False)["mean_kl"].to_pylist() == everything[::-1]
    ids = queries.prompts(cursor)["prompt_id"].to_pylist()
    assert queries.prompt_order(cursor) == ids
    assert queries.prompt_order(cursor, where=PromptFilter(text="question 4")) == [4]
    assert queries.prompts(cursor, where=PromptFilter(text="question 4"))[
        "prompt_id"
    ].to_pylist() == [4]
    assert queries.prompt_count(cursor, PromptFilter(text="question 4")) == 1
    assert queries.prompt_count(cursor, PromptFilter(text="100%_")) == 0


def test_only_known_columns_can_be_sorted_by(tmp_path, entries):
    """A sort column is never composed from user text."""
    run_dir = make_run(tmp_path, entries)
    build_database(run_dir)
    with pytest.raises(InputError, match="cannot sort by 'mean_kl; DROP"):
        queries.prompts(opened(run_dir), sort="mean_kl; DROP TABLE tokens")


def test_one_token_comes_with_both_lists_and_keys_that_match_across_them(tmp_path, entries):
    """The panel aligns candidates by key: equal keys exactly where the bytes are equal."""
    run_dir = make_run(tmp_path, entries)
    build_database(run_dir)
    cursor = opened(run_dir)
    row = queries.token(cursor, 2, 5)
    source = entries[1].responses[0]
    assert [c["token"] for c in row["top1"]] == [
        t.text for t in source.response.positions[5].dist.tokens
    ]
    assert [c["logprob"] for c in row["top2"]] == list(source.dists2[5].logprobs)
    for first in row["top1"]:
        for second in row["top2"]:
            assert (first["key"] == second["key"]) == (first["token"] == second["token"])
    assert queries.token(cursor, 2, 500) is None


def test_a_prompt_without_responses_stays_a_row(tmp_path, entries):
    """Nothing vanishes: an empty entry is a prompt with no responses."""
    base = entries[0].entry
    empty = ScoredEntry(Entry("empty.json", 0, 1, base.prompt, None, ()), None, None, ())
    run_dir = make_run(tmp_path, [empty, entries[1]])
    build_database(run_dir)
    cursor = opened(run_dir)
    rows = queries.prompts(cursor, sort="prompt_id", descending=False).to_pylist()
    assert [row["n_responses"] for row in rows] == [0, 2]
    assert queries.responses(cursor, 0).num_rows == 0
    assert queries.summary(cursor)["responses"] == 2


def test_a_live_run_is_read_through_its_parts_with_the_same_answers(tmp_path, entries):
    """Before there is a database the same queries work over the Parquet parts."""
    run_dir = make_run(tmp_path, entries, tokens_a_part=30)
    live = queries.open_run(run_dir)
    assert live.live
    before = queries.prompts(live.cursor()).to_pylist()
    build_database(run_dir)
    finished = queries.open_run(run_dir)
    assert not finished.live
    assert finished.version != live.version
    assert queries.prompts(finished.cursor()).to_pylist() == before


def test_a_part_without_its_responses_file_does_not_count(tmp_path, entries):
    """What a kill left half written is as if it had never been."""
    run_dir = make_run(tmp_path, entries, tokens_a_part=30)
    heads = parts.committed(run_dir, "responses")
    done = parts.finished_prompts(run_dir)
    heads[-1].unlink()
    assert parts.finished_prompts(run_dir) < done
    assert queries.summary(opened(run_dir))["prompts"] == len(parts.finished_prompts(run_dir))


def test_the_next_database_leaves_the_old_one_untouched(tmp_path, entries):
    """A resumed run builds run-2 beside run-1; readers of run-1 are not disturbed."""
    run_dir = make_run(tmp_path, entries[:3])
    first = build_database(run_dir)
    reader = queries.open_run(run_dir).cursor()
    content = first.read_bytes()
    with parts.PartWriter(run_dir) as writer:
        writer.add(3, 6, entries[3])
    second = build_database(run_dir)
    assert [first.name, second.name] == ["run-1.duckdb", "run-2.duckdb"]
    assert newest_database(run_dir) == second
    assert first.read_bytes() == content
    assert queries.prompt_count(reader) == 3
    assert queries.prompt_count(opened(run_dir)) == 4


def test_a_database_of_a_newer_version_says_so(tmp_path, entries, monkeypatch):
    """Not a stack trace from a missing column."""
    run_dir = make_run(tmp_path, entries[:1])
    monkeypatch.setattr("kl_core.store.schema.SCHEMA_VERSION", 99)
    build_database(run_dir)
    monkeypatch.undo()
    with pytest.raises(RunError, match="schema 99.*update KL Explorer"):
        queries.open_run(run_dir)


def test_a_run_of_an_older_version_opens_through_its_parts(tmp_path, entries, monkeypatch):
    """A column that came later reads as unknown; nothing else is lost."""
    run_dir = make_run(tmp_path, entries[:2])
    build_database(run_dir)
    for path in parts.committed(run_dir, "tokens"):
        pq.write_table(pq.read_table(path).drop_columns(["same_top"]), path)
    newer = schema.SCHEMA_VERSION + 1
    monkeypatch.setattr("kl_core.store.schema.SCHEMA_VERSION", newer)
    rows = queries.prompts(opened(run_dir)).to_pylist()
    assert [row["top1_agreement"] for row in rows] == [None, None]
    assert all(row["mean_kl"] is not None for row in rows)
    assert queries.token(opened(run_dir), 0, 0)["same_top"] is None


def test_the_mean_bound_is_over_the_tokens_that_have_an_estimate(tmp_path, entries):
    """A position with a bound and no estimate does not shift one mean against the other."""
    values = entries[3].responses[0].measures
    values.headline[0], values.lower[0] = np.nan, 50.0
    run_dir = make_run(tmp_path, entries[3:4])
    row = queries.prompts(opened(run_dir)).to_pylist()[0]
    assert row["mean_lower"] < row["max_kl"]


def test_problems_are_kept_once_even_when_a_resume_finds_them_again(tmp_path, entries):
    """Reading the input twice does not double the list."""
    run_dir = make_run(tmp_path, entries[:1])
    for _ in range(2):
        with parts.PartWriter(run_dir) as writer:
            writer.add_problems([Problem("a.json", "$", "bad", "mend it")])
    build_database(run_dir)
    assert queries.problems(opened(run_dir)).to_pylist() == [
        {"file": "a.json", "place": "$", "reason": "bad", "hint": "mend it"}
    ]


def test_an_infinite_divergence_survives_the_database(tmp_path):
    """inf stays inf in rows and means, and every figure can still be asked for."""
    base = factories.entry(0, responses=1)
    values = base.responses[0].measures
    values.headline[3] = np.inf
    run_dir = make_run(tmp_path, [base])
    build_database(run_dir)
    cursor = opened(run_dir)
    assert queries.token(cursor, 0, 3)["kl"] == np.inf
    assert queries.prompts(cursor).to_pylist()[0]["mean_kl"] == np.inf
    counts = queries.histogram(cursor)
    assert sum(counts["count"].to_pylist()) == 12


def test_infinities_of_both_signs_do_not_sort_first(tmp_path, entries):
    """Their mean is no value: such a prompt comes last, not on top."""
    odd = factories.entry(0, responses=1)
    odd.responses[0].measures.headline[:2] = [np.inf, -np.inf]
    run_dir = make_run(tmp_path, [odd, *entries[1:3]])
    rows = queries.prompts(opened(run_dir)).to_pylist()
    assert [row["prompt_id"] for row in rows] == [2, 1, 0]
    assert rows[-1]["mean_kl"] is None


def test_normalised_scores_count_only_where_the_divergence_is_not_noise(tmp_path):
    """KL/(H1+H2) of tokens below the threshold enters neither the mean nor the top list."""
    entry = factories.entry(3, responses=1)
    values = entry.responses[0].measures
    values.headline[:] = 0.001
    values.headline[4] = 2.0
    run_dir = make_run(tmp_path, [entry])
    cursor = opened(run_dir)
    ratio = 2.0 / (values.entropy1[4] + values.entropy2[4])
    assert queries.prompts(cursor).to_pylist()[0]["mean_normalized"] == pytest.approx(ratio)
    assert queries.top_tokens(cursor, "normalized")["position"].to_pylist() == [4]


def test_top_1_agreement_is_the_share_of_positions_with_the_same_first_candidate(tmp_path, entries):
    """Counted by identity over the scored tokens."""
    run_dir = make_run(tmp_path, entries[4:5])
    same = [
        position.dist.tokens[0].data == dist.tokens[0].data
        for response in entries[4].responses
        for position, dist in zip(response.response.positions, response.dists2, strict=True)
    ]
    found = queries.prompts(opened(run_dir)).to_pylist()[0]["top1_agreement"]
    assert 0 < found < 1
    assert found == pytest.approx(np.mean(same))


def test_the_histogram_counts_every_scored_token_once(tmp_path, entries):
    """Bins are half open and together hold everything, zeros included."""
    run_dir = make_run(tmp_path, entries)
    build_database(run_dir)
    rows = queries.histogram(opened(run_dir), "kl").to_pylist()
    values = np.concatenate([r.measures.headline for e in entries for r in e.responses])
    assert sum(row["count"] for row in rows) == len(values)
    for row in rows:
        inside = (values >= row["lo"]) & (values < row["hi"])
        assert row["count"] == inside.sum()


def test_prompts_keep_their_messages(tmp_path, entries):
    """prompt_json gives back the role/content messages."""
    run_dir = make_run(tmp_path, entries[:1])
    row = queries.prompts(opened(run_dir)).to_pylist()[0]
    assert json.loads(row["prompt_json"]) == [{"role": "user", "content": "question 0"}]


def test_parts_that_overlap_after_a_resume_are_put_in_order(tmp_path, entries):
    """Tokens lie sorted by response and position whatever order the parts came in."""
    run_dir = runs.create_run(tmp_path, "import", {"request": {}})
    for numbers in ((0, 4), (2, 1), (3,)):
        with parts.PartWriter(run_dir) as writer:
            for number in numbers:
                writer.add(number, 2 * number, entries[number])
    build_database(run_dir)
    rows = opened(run_dir).sql("SELECT response_id, position FROM tokens").fetchall()
    assert rows == sorted(rows)
    assert len(rows) == 5 * 2 * 12


def test_a_curve_leaves_out_what_has_no_value(tmp_path) -> None:
    """Positions that were not reached or asked are never drawn as 0, nor as a surprisal."""
    far = {0: 0.5, 3: 0.2}
    reasons = {1: "not asked", 2: "not asked"}
    words = ["a", " b", " c", " d"]
    entry = made_runs.entry(0, "What?", [made_runs.response(words, far, reasons=reasons)])
    cursor = queries.open_run(made_runs.write(tmp_path, [entry])).cursor()
    kl = cursor.execute("SELECT kl FROM tokens ORDER BY position").fetchall()
    known = [value for (value,) in kl if value is not None]
    [(spark,)] = cursor.execute("SELECT spark FROM prompts").fetchall()
    assert len(known) < len(words) and spark == known
