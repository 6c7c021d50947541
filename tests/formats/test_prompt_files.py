"""Prompts from files: every shape, filters, choice, and what is said of the rest."""

import gzip
import json

import pytest

from kl_core.errors import InputError
from kl_core.formats.prompt_fields import parse_path, value_at
from kl_core.formats.prompt_files import load_prompts
from kl_core.formats.sampling_config import PromptSource
from kl_core.records import Message, ProblemLog


@pytest.fixture
def load(tmp_path):
    """(prompts, problem rows) of a file with the given content."""

    def load_(name, content, **options):
        path = tmp_path / name
        if content is not None:
            data = content.encode() if isinstance(content, str) else content
            path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        log = ProblemLog()
        return load_prompts(PromptSource(file=str(path), **options), log), log.rows

    return load_


def texts(prompts):
    return [prompt[-1].content for prompt in prompts]


TURNS = [
    {"role": "system", "content": "s"},
    {"role": "user", "content": "q1"},
    {"role": "assistant", "content": "a1"},
    {"role": "user", "content": "q2"},
    {"role": "assistant", "content": "a2"},
]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.txt", "one\n\n  \ntwo\n"),
        ("p.txt", b"\xef\xbb\xbfone\r\ntwo"),
        ("p.txt", "one\ntwo".encode("utf-16")),
        ("p.md", "one\rtwo"),
        ("p.txt.gz", "one\ntwo"),
        ("p.json", '["one", "two"]'),
        ("p.json", '[{"prompt": "one"}, {"prompt": "two"}]'),
        ("p.json", '{"prompts": ["one", {"prompt": "two"}]}'),
        ("p.json", b"\xef\xbb\xbf" + b'["one", "two"]'),
        ("p.json", '[{"prompt": "one", "model": "m", "responses": []}, {"prompt": "two"}]'),
        ("p.jsonl", '{"prompt": "one"}\n\n{"prompt": "two"}\n'),
        ("p.jsonl", '"one"\n"two"\n'),
        ("p.jsonl.gz", '{"prompt": "one"}\n{"prompt": "two"}'),
        ("p.csv", "id,prompt\n1,one\n2,two\n"),
        ("p.csv", "id;prompt\n1;one\n2;two\n"),
        ("p.tsv", "id\tprompt\n1\tone\n\n2\ttwo\n"),
        ("p.csv.gz", b"\xef\xbb\xbfprompt\r\none\r\ntwo\r\n"),
    ],
)
def test_every_kind_of_file_gives_its_prompts_in_order(load, name, content):
    """Blank lines, marks and line ends are no prompts; nothing is reported."""
    prompts, rows = load(name, content)
    assert prompts == [(Message("user", "one"),), (Message("user", "two"),)]
    assert rows == []


def test_a_quoted_csv_cell_keeps_its_lines_and_commas(load):
    """A prompt may have several lines, of any length."""
    long = "x" * 200_000
    prompts, _ = load("p.csv", f'prompt\n"one, ""two""\nthree"\n{long}\n')
    assert texts(prompts) == ['one, "two"\nthree', long]


def test_separators_inside_a_line_do_not_split_a_prompt(load):
    """Unicode has line separators that a text editor does not break at."""
    prompts, _ = load("p.txt", "one\u2028still one\x0cand on\ntwo")
    assert texts(prompts) == ["one\u2028still one\x0cand on", "two"]


def test_messages_are_taken_up_to_the_last_user_turn(load):
    """What was answered is what we ask for."""
    prompts, _ = load("p.json", json.dumps([{"messages": TURNS}]))
    assert [(turn.role, turn.content) for turn in prompts[0]] == [
        ("system", "s"), ("user", "q1"), ("assistant", "a1"), ("user", "q2"),
    ]  # fmt: skip


def test_turns_of_from_and_value_are_turns_too(load):
    """Another usual spelling of a conversation."""
    turns = [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]
    prompts, _ = load("p.json", json.dumps([{"c": turns}]), field="c")
    assert prompts == [(Message("user", "q"),)]


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ("messages[1].content", "q1"),
        ("messages[-2].content", "q2"),
        ("deep.er[0]['a.b']", "there"),
        ('deep["er"][0]["a.b"]', "there"),
        ("packed[0].text", "inside"),
    ],
)
def test_nested_paths_lead_to_the_prompt(load, field, found):
    """Names, places, names in quotes, and JSON that was stored as text."""
    record = {
        "messages": TURNS,
        "deep": {"er": [{"a.b": "there"}]},
        "packed": '[{"text":"inside"}]',
    }
    prompts, _ = load("p.jsonl", json.dumps(record) + "\n" + json.dumps(record), field=field)
    assert texts(prompts) == [found]


@pytest.mark.parametrize("path", ["", ".a", "a..b", "a[", "a[x]", "a]", "a.", "[]"])
def test_a_path_that_is_none_is_refused(path):
    """With how one is written."""
    with pytest.raises(InputError, match="no path"):
        parse_path(path)


def test_a_path_is_followed_step_by_step():
    """Names and places alike."""
    assert value_at({"a": [1, {"b": 2}]}, parse_path("a[1].b")) == 2


def test_what_cannot_be_used_is_one_row_a_reason(load):
    """The first place, the number, and what to do; the others load."""
    items = [{"prompt": "good"}, {"x": 1}, {"x": 2}, {"prompt": ""}, {"prompt": 7}, 3, "also good"]
    prompts, rows = load("p.json", json.dumps(items))
    assert texts(prompts) == ["good", "also good"]
    reasons = {row.reason: row for row in rows}
    assert reasons["no prompt in an object with 'x' (2 places, this is the first)"].where == "$[1]"
    assert "the prompt is empty" in reasons
    assert all(row.hint and row.file == "p.json" for row in rows)
    assert len(rows) == 3


def test_broken_json_lines_lose_themselves_alone(load):
    """A row, and the rest."""
    prompts, rows = load("p.jsonl", '{"prompt": "one"}\n{"prompt": \n{"prompt": "two"}')
    assert texts(prompts) == ["one", "two"]
    assert len(rows) == 1


def test_a_prompt_that_stands_twice_is_sampled_once(load):
    """And a row says so."""
    prompts, rows = load("p.txt", "one\ntwo\none\none")
    assert texts(prompts) == ["one", "two"]
    assert [row.reason for row in rows] == [
        "the prompt was there before; it is sampled once (2 places, this is the first)"
    ]


def records(count):
    languages = ("English", "German", "german ")
    return json.dumps(
        [{"prompt": "x" * (n + 1), "language": languages[n % 3]} for n in range(count)]
    )


def test_language_and_length_choose_and_count_ends(load):
    """Both bounds included; the language in any case."""
    prompts, _ = load("p.json", records(30), language="German", min_chars=3, max_chars=9)
    assert [len(text) for text in texts(prompts)] == [3, 5, 6, 8, 9]
    prompts, rows = load("p.json", records(30), language="German", count=2)
    assert [len(text) for text in texts(prompts)] == [2, 3]
    assert rows == []


def test_fewer_prompts_than_asked_for_are_said(load):
    """With how many each filter left out."""
    _, rows = load("p.json", records(30), min_chars=29, count=9)
    assert "9 prompts were asked for and 2 are left of 30 records (28 shorter" in rows[0].reason


def test_a_random_choice_is_the_same_for_a_seed_and_in_the_order_of_the_file(load):
    """Another seed chooses others; no prompt twice."""
    content = "\n".join(str(n) for n in range(100))
    chosen = {
        seed: [int(text) for text in texts(load("p.txt", content, select="random", count=10,
                                                seed=seed)[0])]
        for seed in (0, 0, 1)
    }  # fmt: skip
    assert chosen[0] == [
        int(text) for text in texts(load("p.txt", content, select="random", count=10)[0])
    ]
    assert chosen[0] != chosen[1]
    assert all(found == sorted(set(found)) and len(found) == 10 for found in chosen.values())


def test_every_prompt_is_chosen_equally_often(load):
    """The reservoir is fair: each of 10 with chance 3/10, within four standard errors."""
    draws, counts = 1000, [0] * 10
    content = "\n".join(str(n) for n in range(10))
    for seed in range(draws):
        for text in texts(load("p.txt", content, select="random", count=3, seed=seed)[0]):
            counts[int(text)] += 1
    error = (draws * 0.3 * 0.7) ** 0.5
    assert all(abs(count - 0.3 * draws) < 4 * error for count in counts)


def test_a_system_message_comes_before_every_prompt_in_place_of_its_own(load):
    """Never two."""
    prompts, _ = load("p.json", json.dumps(["q", {"messages": TURNS[:2]}]), system="be brief")
    assert [[turn.role for turn in prompt] for prompt in prompts] == [["system", "user"]] * 2
    assert {prompt[0].content for prompt in prompts} == {"be brief"}


@pytest.mark.parametrize(
    ("name", "content", "options", "words"),
    [
        ("p.txt", None, {}, "there is no such file"),
        ("p.txt", "\n \n", {}, "no prompt is left of 0 records"),
        ("p.txt", b"a\0b", {}, "it is no text"),
        ("p.parquet", "x", {}, "prompts.dataset"),
        ("p.json", "", {}, "the file is empty"),
        ("p.json", "[1", {}, "ends early"),
        ("p.csv", "a,b\n1,2", {}, "no column 'prompt'; its columns are a, b"),
        ("p.csv", "", {}, "its columns are none"),
        ("p.csv", "prompt,prompt\na,b", {}, "'prompt' stands twice"),
        ("p.json", '[{"x": 1}]', {}, "1 without a usable prompt; the first: no prompt in"),
        ("p.json", records(3), {"language": "French"}, "3 in another language"),
        ("p.json", records(3), {"field": "a["}, "no path"),
        (
            "p.json",
            records(3),
            {"min_chars": 2, "max_chars": 2, "language": "English"},
            "2 in another language, 1 shorter than min_chars",
        ),
    ],
)
def test_no_prompt_left_is_one_sentence_with_the_counts(load, name, content, options, words):
    """Naming the file and what to do."""
    with pytest.raises(InputError) as found:
        load(name, content, **options)
    assert name in str(found.value)
    assert words in str(found.value)
    assert "\n" not in str(found.value)


def test_a_folder_is_not_read_as_a_file(tmp_path):
    """It says what to write."""
    with pytest.raises(InputError, match="it is a folder"):
        load_prompts(PromptSource(file=str(tmp_path)), ProblemLog())


def test_texts_are_prompts():
    """Written into the configuration itself; blank ones are reported."""
    log = ProblemLog()
    prompts = load_prompts(PromptSource(texts=("one\ntwo", " ", "three")), log)
    assert texts(prompts) == ["one\ntwo", "three"]
    assert len(log.rows) == 1


def test_half_a_surrogate_pair_reaches_no_server(load):
    """It becomes U+FFFD, as in response files."""
    prompts, rows = load("p.json", '["a\\ud83d"]')
    assert texts(prompts) == ["a\ufffd"]
    assert rows


@pytest.mark.parametrize(
    ("name", "lines", "found"),
    [
        ("p.csv", ["Name a bird, a fish, or a tree.", "a;b"], None),
        ("p.csv", ['He said "hi, you"; why?', "plain"], None),
        ("p.csv", ['"one, ""two"""', "three, four"], ['one, "two"', "three, four"]),
        ("p.tsv", ["one\ttwo", "three"], None),
    ],
)
def test_a_line_of_a_single_column_is_the_whole_prompt(load, name, lines, found):
    """Commas are part of the text unless there are columns to part."""
    prompts, rows = load(name, "\n".join(["prompt", *lines]))
    assert texts(prompts) == (found or lines)
    assert rows == []


def test_a_line_with_more_cells_than_columns_is_left_out_and_told(load):
    """Nothing of a prompt is cut off; empty cells at the end are no cells."""
    prompts, rows = load("p.csv", "id,prompt\n1,one\n2,two, or three\n3,four,,\n")
    assert texts(prompts) == ["one", "four"]
    assert [(row.where, row.reason) for row in rows] == [
        ("line 3", "the line has 3 cells and there are 2 columns")
    ]
    assert "in quotes" in rows[0].hint
    with pytest.raises(InputError, match="1 without a usable prompt; the first: the line has 2"):
        load("p.csv", "prompt,\none,two\n")


def test_a_quote_that_is_never_closed_is_told_with_its_line(load):
    """It would swallow all lines after it."""
    with pytest.raises(InputError, match="opens in line 3 is never closed"):
        load("p.csv", 'id,prompt\n1,one\n2,"two\n3,three\n')
    with pytest.raises(InputError, match="opens in line 4 is never closed"):
        load("p.csv", 'prompt\n"one\nand more"\n"two\nthree\n')


def test_words_after_a_quoted_text_leave_the_line_out(load):
    """Also where the quote took other lines with it: they are named."""
    prompts, rows = load("p.csv", 'prompt\n"Hello" she said\ntwo\n"three\nfour\n"five"\nsix\n')
    assert texts(prompts) == ["two", "six"]
    assert [row.where for row in rows] == ["line 2", "line 4"]
    assert "lines 4 to 6 are left out" in rows[1].reason
