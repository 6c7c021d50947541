"""The Tokens tab: what it asks for, what its rows hold, and the page around them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from kl_core.store import queries, token_tables
from kl_core.ui import sample, tokens_data, tokens_request
from kl_core.ui.colour_scale import Scale
from kl_core.ui.state import Explore
from tests.ui import made_runs

APP = Path(__file__).resolve().parents[2] / "app.py"
SCALE = Scale(low=0.0, top=2.0, threshold=0.5, said="")


def drawn(run: Path, **asked):
    query = token_tables.top_tokens_query(**asked)
    rows = query.rows(queries.open_run(run).cursor())
    return tokens_data.token_rows(rows, asked.get("score", "kl"), SCALE)


def test_a_row_marks_the_token_in_its_context(tmp_path) -> None:
    """Before, token and after are the response's text around the highest token."""
    row = drawn(made_runs.planted(tmp_path))[0]
    before, token, after = row["cells"]["context"]
    assert before == "The capital of France is" and token == " Lyon"
    assert after.startswith(".the ") and row["at"] == [3, 0, 5]
    assert row["heat"] == 1.0 and row["high"]
    assert row["cells"]["response"] == "1" and row["cells"]["position"] == "5"
    assert "France" in row["label"] and "position 5" in row["label"]


def test_a_split_character_is_shown_whole(tmp_path) -> None:
    """A byte token stands in its context as the character it is a part of."""
    rows = drawn(made_runs.hostile(tmp_path), limit=None)
    split = [row for row in rows if row["part"]]
    assert {row["at"][2] for row in split} == {21, 22}, "position 20 is not scored"
    assert {row["cells"]["context"][1] for row in split} == {"☃"}
    assert "<0x98> is a part" in next(row["part"] for row in split if row["at"][2] == 21)


def test_hostile_text_becomes_marks_and_stays_one_line(tmp_path) -> None:
    """Control, bidirectional and newline characters never reach the browser as such."""
    rows = drawn(made_runs.hostile(tmp_path), limit=None)
    text = json.dumps([row["cells"] | {"label": row["label"]} for row in rows], ensure_ascii=False)
    assert not any(bad in text for bad in ("\u202e", "\u200b", "\ufeff", "\\u0000", "\\n"))
    longest = max(len(row["cells"]["context"][1]) for row in rows)
    assert longest <= tokens_data.TOKEN_CHARS


def test_infinite_scores_are_drawn_in_full_colour(tmp_path) -> None:
    """inf is ∞ in the list and plain JSON for the browser."""
    run = made_runs.planted(tmp_path, prompts=2)
    rows = token_tables.top_tokens_query(limit=1).rows(queries.open_run(run).cursor())
    row = tokens_data.token_rows([rows[0] | {"score": math.inf}], "kl", SCALE)[0]
    assert row["cells"]["score"] == "∞" and row["heat"] == 1.0
    json.dumps(row, allow_nan=False)


def test_groups_open_by_name_whatever_the_token_is() -> None:
    """A group's name gives back its token and whether it is special."""
    for group in ((" the", False), ("<|eot|>", True), ("", False), ("s", False)):
        assert tokens_data.group_of(tokens_data.group_key(*group)) == group


@pytest.mark.parametrize(
    ("place", "measure", "wanted"),
    [
        (Explore(), "floor", {"score": "kl", "least": None, "sort": None}),
        (Explore(score="normalized", least="0.5", floor="0.2"), "floor",
         {"score": "normalized", "least": 0.5, "min_kl": 0.2}),
        (Explore(score="nonsense", least="abc", most="inf"), "floor",
         {"score": "kl", "least": None, "most": None}),
        (Explore(score="kl"), None, {"score": "surprisal1"}),
        (Explore(grouped="mean-asc"), "floor",
         {"sort": "mean", "descending": False, "min_count": tokens_request.MEAN_MIN_COUNT}),
        (Explore(grouped="1; DROP"), "floor", {"sort": "total", "descending": True}),
    ],
)  # fmt: skip
def test_an_address_is_read_with_care(place, measure, wanted) -> None:
    """What means nothing falls back, what means something is kept."""
    request = tokens_request.read(place, measure, "", None)
    assert {name: getattr(request, name) for name in wanted} == wanted


def test_a_second_click_on_a_head_turns_the_order_round() -> None:
    """First highest, then lowest, then highest again; another column starts highest."""
    assert tokens_request.sorted_by("total", "mean") == "mean"
    assert tokens_request.sorted_by("mean", "mean") == "mean-asc"
    assert tokens_request.sorted_by("mean-asc", "mean") == "mean"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KL_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setattr(sample, "folder", lambda: tmp_path / "no-sample")
    st.cache_data.clear()
    return tmp_path / "runs"


def opened(run: Path, **address: str) -> AppTest:
    app = AppTest.from_file(str(APP), default_timeout=60)
    for name, value in {"run": run.name, "view": "tokens", **address}.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception
    return app


def texts(app: AppTest) -> str:
    return "\n".join(str(part.value) for part in [*app.text, *app.caption])


def test_the_tab_says_how_many_tokens_there_are(root) -> None:
    """Without a bound everything is listed; a bound of the address leaves fewer."""
    run = made_runs.planted(root)
    count = token_tables.top_tokens_count_query(least=1.0)
    above = count.number(queries.open_run(run).cursor())
    assert "1–100 of 3,363 tokens, highest first" in texts(opened(run))
    assert f"1–{above} of {above} tokens with KL(1‖2) from 1" in texts(opened(run, least="1"))


def test_pages_go_on_and_start_again_with_another_list(root) -> None:
    """Next shows the next hundred; another bound begins at its first page."""
    app = opened(made_runs.planted(root))
    next(b for b in app.button if b.key == "tokens_Next").click().run()
    assert "101–200 of" in texts(app)
    next(n for n in app.number_input if n.label.endswith("from")).set_value(0.001).run()
    assert "1–100 of" in texts(app) and app.query_params["least"] == "0.001"


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ({"least": "50"}, "lower “from”"),
        ({"most": "-1"}, "raise “to”"),
        ({"score": "normalized", "floor": "40"}, "lower “KL from”"),
    ],
)
def test_an_empty_list_says_what_to_do(root, address, words: str) -> None:
    """Bounds that leave nothing name the highest value or the box to change."""
    assert words in texts(opened(made_runs.planted(root), **address))


def test_a_text_that_nothing_has_is_answered(root) -> None:
    """The search box finds nothing and says so, without markdown in the answer."""
    app = opened(made_runs.planted(root))
    box = next(one for one in app.text_input if one.label == "Token contains")
    box.set_value("**zebra**").run()
    assert "No token like “**zebra**”" in texts(app)


@pytest.mark.parametrize(
    ("make", "words"),
    [(made_runs.without_logprobs, "top_logprobs"), (made_runs.raw, "of 160 tokens")],
)
def test_runs_without_divergences_have_their_own_tab(root, make, words: str) -> None:
    """No log-probabilities: what to ask for. No second model: listed by surprisal."""
    app = opened(make(root))
    assert words in texts(app)
    assert not [box for box in app.selectbox if box.label == "Score"]
