"""Whatever is done to a valid file, the import ends, with rows and no exception."""

import copy
import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kl_core.formats.kl_results import is_result
from kl_core.records import Entry

from .make import GOOD, entry, item, load, openai_response

RESULT = {
    "prompt": "p",
    "model1": "a",
    "model2": "b",
    "measure": "floor",
    "format_version": 1,
    "responses": [
        {
            "text": "Hi",
            "kl_per_token": [0.5],
            "token_details": [
                {
                    "token": "Hi",
                    "bytes": [72, 105],
                    "token_id": 3,
                    "kl_divergence": 0.5,
                    "rank1": 1,
                    "censored": False,
                    "span": [0, 1],
                    "model1_top": [{"token": "Hi", "bytes": [72, 105], "logprob": -0.1}],
                    "model2_top": [{"token": "Hi", "logprob": -0.2}],
                }
            ],
        }
    ],
}
GEMINI = entry({"text": "Hi", "logprobs": {"content": [item("Hi", {"Hi": 0.5}, token_id=3)]}})
LEGACY = entry({"choices": [{"text": "a", "logprobs": {"tokens": ["a"], "top_logprobs": [{}]}}]})
BYTES = entry(openai_response([item("Hi", {"Hi": 0.5}, bytes=[72, 105])], "Hi"))
SEEDS = [GOOD, RESULT, GEMINI, LEGACY, BYTES, [GOOD, RESULT]]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from(["", "inf", "\ud83d", "<|eot_id|>", "Ġx", "▁", "\x00", "floor", 10**400]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)


def _places(value, path=()):
    yield path
    children = value.items() if isinstance(value, dict) else ()
    children = enumerate(value) if isinstance(value, list) else children
    for key, child in children:
        yield from _places(child, (*path, key))


@st.composite
def mutated(draw):
    """A valid file with up to three of its values replaced or removed."""
    value = {"root": copy.deepcopy(draw(st.sampled_from(SEEDS)))}
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from([p for p in _places(value) if p]))
        target = value
        for key in path[:-1]:
            target = target[key]
        if draw(st.booleans()):
            target[path[-1]] = draw(VALUES)
        elif len(path) > 1:
            del target[path[-1]]
    return value["root"]


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(value=mutated())
def test_a_mutated_file_gives_rows_and_no_exception(tmp_path_factory, value):
    """Any value in any place: entries or rows come out, and clean text."""
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "a.json").write_text(json.dumps(value))
    entries, rows = load(folder)
    assert not [row for row in rows if "report this" in row.hint], rows
    assert entries or rows
    for each in entries:
        found = each if isinstance(each, Entry) else each.entry
        for n, response in enumerate(found.responses):
            assert response.index == n
            response.text.encode()
            for position in response.positions:
                assert position.dist is not None or position.reason or not isinstance(each, Entry)
    if isinstance(value, dict) and is_result(value):
        assert len(entries) == 1


@settings(max_examples=200, deadline=None)
@given(seed=st.sampled_from(SEEDS), at=st.floats(0, 1), junk=st.binary(max_size=4))
def test_a_damaged_file_gives_rows_and_no_exception(tmp_path_factory, seed, at, junk):
    """Bytes put anywhere into a file, or the file cut there."""
    folder = tmp_path_factory.mktemp("fuzz")
    data = json.dumps(seed).encode()
    cut = int(at * len(data))
    (folder / "a.json").write_bytes(data[:cut] + junk + data[cut + len(junk) :])
    (folder / "b.json").write_bytes(data[:cut])
    entries, rows = load(folder)
    assert not [row for row in rows if "report this" in row.hint], rows
    assert entries or rows
