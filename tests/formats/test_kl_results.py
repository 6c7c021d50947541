"""Result files: what is written is read back, strictly, and other programs' files too."""

import json
import math
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kl_core.errors import InputError
from kl_core.formats.kl_results import ResultWriter, encode_result, result_name, statistics
from kl_core.records import (
    Entry,
    Estimate,
    Message,
    Position,
    Response,
    ScoredEntry,
    ScoredResponse,
    Token,
    TokenDist,
    TokenMeasures,
)

from .make import load, write

FIGURES = st.one_of(st.floats(-50, 50), st.sampled_from([math.nan, math.inf, -math.inf]))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@st.composite
def tokens(draw):
    special = draw(st.booleans())
    data = b"" if special else draw(st.one_of(st.none(), st.binary(max_size=5)))
    number = draw(st.one_of(st.none(), st.integers(0, 300_000)))
    return Token(draw(TEXTS), data, number, draw(TEXTS), special)


@st.composite
def dists(draw):
    size = draw(st.integers(1, 4))
    found = tuple(draw(st.lists(tokens(), min_size=size, max_size=size)))
    logprobs = tuple(draw(st.lists(st.floats(-30, 0), min_size=size, max_size=size)))
    return TokenDist(found, logprobs, draw(st.integers(0, size)))


@st.composite
def estimates(draw):
    nats = st.floats(0, 50) | st.just(math.inf)  # NaN is no equal of itself: test_estimates.py
    asked = draw(st.integers(0, 9))
    figures = [draw(nats) for _ in range(4)]
    return Estimate(*figures, asked, asked + draw(st.integers(0, 90)), draw(nats))


@st.composite
def scored_responses(draw, index):
    size = draw(st.integers(0, 4))

    def each(strategy):
        return tuple(draw(st.lists(strategy, min_size=size, max_size=size)))

    reason = st.one_of(st.none(), TEXTS)
    logprob = st.one_of(st.none(), st.floats(-30, 0))
    positions = [
        Position(t, lp, d, r)
        for t, lp, d, r in zip(
            each(tokens()), each(logprob), each(st.none() | dists()), each(reason), strict=True
        )
    ]
    arrays = {f.name: np.array(each(FIGURES)) for f in fields(TokenMeasures)}
    for name in ("rank1", "rank2"):
        arrays[name] = np.array(each(st.sampled_from([-1, 1, 7])), dtype=np.int64)
    arrays["censored"] = np.array(each(st.booleans()), dtype=np.bool_)
    reasons = [
        draw(TEXTS) if math.isnan(kl) else draw(reason) for kl in arrays["headline"].tolist()
    ]
    spans = tuple([(n, n + 1) if draw(st.booleans()) else None for n in range(size)])
    response = Response(
        index, draw(TEXTS), tuple(positions), draw(reason), None, "stop", None, draw(reason)
    )
    return ScoredResponse(
        response,
        each(st.none() | dists()),
        tuple(reasons),
        TokenMeasures(**arrays),
        draw(st.sampled_from(["floor", "full", None])),
        spans if any(spans) else (),
        draw(st.none() | estimates()),
    )


@st.composite
def scored_entries(draw):
    responses = tuple([draw(scored_responses(n)) for n in range(draw(st.integers(0, 2)))])
    prompt = tuple(draw(st.lists(st.builds(Message, TEXTS, TEXTS), max_size=2)))
    entry = Entry("a_kl.json", 0, 1, prompt, "one", tuple([r.response for r in responses]))
    return ScoredEntry(entry, "one", "two", responses, draw(st.none() | estimates()))


def _same(left, right):
    """Equal records; arrays compared by value with NaN equal to NaN."""
    for a, b in zip(left.responses, right.responses, strict=True):
        for field in fields(TokenMeasures):
            np.testing.assert_array_equal(
                getattr(a.measures, field.name), getattr(b.measures, field.name), field.name
            )
        assert replace(a, measures=None) == replace(b, measures=None)
    assert replace(left, responses=()) == replace(right, responses=())


@given(scored=scored_entries())
def test_a_result_is_read_back_as_it_was(tmp_path_factory, scored):
    """Tokens, both lists with their extras, figures, reasons, spans: all come back."""
    folder = tmp_path_factory.mktemp("results")
    (folder / "a_kl.json").write_bytes(encode_result(scored))
    (again,), rows = load(folder)
    _same(scored, again)
    assert rows == []


def _refuse(literal):
    raise AssertionError(literal)


@given(scored=scored_entries())
def test_results_are_strict_json(scored):
    """No NaN or Infinity literal; null and "inf" stand in their place."""
    read = json.loads(encode_result(scored), parse_constant=_refuse)
    for response, made in zip(read["responses"], scored.responses, strict=True):
        for value, kl in zip(response["kl_per_token"], made.measures.headline, strict=True):
            assert (value is None) == math.isnan(kl)
            assert (value == "inf") == (kl == math.inf)


def test_statistics_are_over_scored_positions():
    """NaN is left out; the standard deviation is the population's."""
    found = statistics(np.array([1.0, math.nan, 3.0]))
    assert found == {
        "mean_kl": 2.0,
        "median_kl": 2.0,
        "std_kl": 1.0,
        "min_kl": 1.0,
        "max_kl": 3.0,
        "total_kl": 4.0,
        "num_scored": 2,
    }
    assert statistics(np.array([math.nan]))["mean_kl"] is None
    assert statistics(np.array([1.0, math.inf]))["total_kl"] == "inf"


def _empty(file, index=0, count=1):
    return ScoredEntry(Entry(file, index, count, (), None, ()), "a", "b", ())


@pytest.mark.parametrize(
    ("file", "index", "count", "name"),
    [
        ("a.json", 0, 1, "a_kl.json"),
        ("x/y/a.b.json", 0, 1, "x/y/a.b_kl.json"),
        ("a.jsonl.gz", 1, 3, "a_1_kl.json"),
        ("a", 0, 1, "a_kl.json"),
    ],
)
def test_results_are_named_after_their_input(file, index, count, name):
    """`<stem>_kl.json`, numbered from 0 in files of several prompts, folders kept."""
    assert result_name(_empty(file, index, count).entry) == name


def test_two_results_never_share_a_name(tmp_path):
    """a.json and a.jsonl would both be a_kl.json: the second is refused, with both names."""
    writer = ResultWriter(tmp_path)
    writer.write(_empty("a.json"))
    writer.write(_empty("a.json"))
    with pytest.raises(InputError, match=r"a\.json .* and a\.jsonl .* a_kl\.json"):
        writer.write(_empty("a.jsonl"))


def test_results_stay_in_the_output_folder(tmp_path):
    """A name that leads out is refused; a written folder has results only."""
    writer = ResultWriter(tmp_path)
    for bad in ("../a.json", "/a.json"):
        with pytest.raises(InputError, match="relative"):
            writer.write(_empty(bad))
    path = writer.write(_empty("sub/a.json"))
    assert path == tmp_path / "sub" / "a_kl.json"
    assert [p.name for p in path.parent.iterdir()] == ["a_kl.json"]


def test_results_with_fewer_keys_are_read(tmp_path):
    """Without lists, bytes or measure: figures and text; they are taken for the floor measure."""
    details = [
        {"position": 0, "token": "Hi", "kl_divergence": 0.5, "model1_chosen_logprob": -0.1},
        {"position": 1, "token": "Ġyou"},
    ]
    response = {
        "text": "Hi you",
        "num_tokens": 2,
        "kl_per_token": [0.5, 0.25],
        "token_details": details,
    }
    write(tmp_path / "a.json", {"prompt": "p", "responses": [response]})
    (scored,), rows = load(tmp_path)
    (only,) = scored.responses
    assert only.measures.headline.tolist() == [0.5, 0.25]
    assert [p.token.text for p in only.response.positions] == ["Hi", " you"]
    assert (only.measure, only.dists2, rows) == ("floor", (None, None), [])
    assert math.isnan(only.measures.lower[0])


def test_results_of_figures_alone_are_read(tmp_path):
    """kl_per_token without token_details: the figures stay, the tokens are not known."""
    write(tmp_path / "a.json", {"responses": [{"kl_per_token": [0.5, None]}, None]})
    (scored,), rows = load(tmp_path)
    first, second = scored.responses
    assert first.measures.headline[0] == 0.5
    assert first.reasons[0] is None
    assert first.reasons[1] is not None
    assert second.response.error is not None
    assert len(rows) == 2


def test_lengths_that_disagree_are_a_row(tmp_path):
    """Two figures for one token: the details win, and the row says so."""
    response = {"kl_per_token": [1, 2], "token_details": [{"token": "a", "kl_divergence": 0.5}]}
    write(tmp_path / "a.json", {"responses": [response]})
    (scored,), rows = load(tmp_path)
    assert scored.responses[0].measures.headline.tolist() == [0.5]
    assert "2 values but token_details 1" in rows[0].reason


def test_lists_of_other_programs_are_put_in_order(tmp_path):
    """Unsorted lists are sorted, -9999 is left out with a row."""
    top = [{"token": t, "logprob": v} for t, v in [("b", -2.0), ("a", -1.0), ("c", -9999.0)]]
    detail = {"token": "a", "kl_divergence": 0.5, "model1_top": top}
    write(tmp_path / "a.json", {"responses": [{"text": "a", "token_details": [detail]}]})
    (scored,), rows = load(tmp_path)
    dist = scored.responses[0].response.positions[0].dist
    assert dist.logprobs == (-1.0, -2.0)
    assert dist.listed == 2
    assert any("no usable log-probability" in row.reason for row in rows)


def test_results_of_other_programs_without_a_measure_are_scored(tmp_path):
    """Their values are over truncated lists; a response without any stays unscored."""
    scored = {"text": "a", "token_details": [{"position": 0, "token": "a", "kl_divergence": 1.0}]}
    silent = {"text": "a", "token_details": [{"position": 0, "token": "a"}]}
    write(
        tmp_path / "x_kl.json",
        {"prompt": "p", "model1": "a", "model2": "b", "responses": [scored, silent]},
    )
    (entry_,), _ = load(tmp_path)
    assert [response.measure for response in entry_.responses] == ["floor", None]
