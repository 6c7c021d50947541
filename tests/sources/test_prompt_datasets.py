"""Prompts from a data set, by the real library on local folders; nothing is downloaded."""

import json
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kl_core.errors import InputError
from kl_core.formats.sampling_config import PromptSource
from kl_core.records import Message, ProblemLog
from kl_core.sources.prompt_datasets import prompts_of

ROWS = [
    {
        "conversation": [
            {"role": "user", "content": f"question {n}"},
            {"role": "assistant", "content": "answer"},
        ],
        "language": "English" if n % 2 else "German",
    }
    for n in range(20)
]


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")


@pytest.fixture(params=["jsonl", "parquet"])
def folder(request, tmp_path):
    where = tmp_path / "data"
    where.mkdir()
    if request.param == "jsonl":
        (where / "train.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    else:
        pq.write_table(pa.Table.from_pylist(ROWS), where / "train.parquet")
    return str(where)


@pytest.fixture
def several(tmp_path):
    where = tmp_path / "several"
    named = "".join(f"- config_name: {n}\n  data_files: {n}/*.jsonl\n" for n in ("one", "two"))
    for name in ("one", "two"):
        (where / name).mkdir(parents=True)
        (where / name / "a.jsonl").write_text(json.dumps({"prompt": f"of {name}"}))
    (where / "README.md").write_text(f"---\nconfigs:\n{named}---\n")
    return str(where)


def texts(log=None, **source):
    prompts = prompts_of(PromptSource(**source), log or ProblemLog())
    return [prompt[-1].content for prompt in prompts]


def test_a_folder_gives_prompts_at_nested_fields_with_filters(folder):
    """A list of turns is taken up to its last user turn; the language in any case."""
    found = texts(dataset=folder, field="conversation", language="english", count=3)
    assert found == ["question 1", "question 3", "question 5"]
    assert texts(dataset=folder, field="conversation[1].content", count=5) == ["answer"]


def test_a_random_choice_of_a_stream_is_the_same_for_a_seed(folder):
    """In the order of the stream."""
    options = {"dataset": folder, "field": "conversation", "select": "random", "count": 5}
    one, again, other = (texts(**options, seed=seed) for seed in (0, 0, 1))
    assert one == again != other
    numbers = [int(text.split()[1]) for text in one]
    assert numbers == sorted(set(numbers))


def test_a_subset_is_named_and_chosen(several):
    """Without one, the sentence names them."""
    assert texts(dataset=several, subset="two") == ["of two"]
    for subset in (None, "three"):
        with pytest.raises(InputError, match=r"name one of one, two with prompts\.subset"):
            texts(dataset=several, subset=subset)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"field": "conversation", "split": "test"}, "its splits are train, name one"),
        ({}, "no column 'prompt'; its columns are conversation, language"),
        ({"field": "conversation", "language": "x", "language_field": "l"}, "no column 'l'"),
        ({"field": "conversation", "language": "French"}, "20 in another language"),
        ({"field": "conversation[5]"}, "no conversation[5] in a list that is shorter"),
    ],
)
def test_what_a_folder_does_not_have_is_one_sentence(folder, source, words):
    """With the names that it has."""
    with pytest.raises(InputError) as found:
        texts(dataset=folder, **source)
    assert words in str(found.value)
    assert "\n" not in str(found.value)


def test_empty_and_missing_folders_are_told(tmp_path):
    """Neither is looked for on the hub."""
    with pytest.raises(InputError, match="no such folder"):
        texts(dataset="./none-of-this-name")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no files"):
        texts(dataset=str(tmp_path / "empty"))


def test_files_and_texts_come_without_the_library():
    """`datasets` is imported for a data set alone: it takes seconds."""
    code = (
        "import sys\n"
        "from kl_core.formats.sampling_config import PromptSource\n"
        "from kl_core.records import ProblemLog\n"
        "from kl_core.sources.prompt_datasets import prompts_of\n"
        "print(len(prompts_of(PromptSource(texts=('a', 'b')), ProblemLog())))\n"
        "print(sorted({'datasets', 'torch', 'pandas', 'transformers'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["2", "[]"]


def test_texts_pass_through():
    """The same as from load_prompts."""
    found = prompts_of(PromptSource(texts=("a",)), ProblemLog())
    assert found == [(Message("user", "a"),)]


def test_offline_a_name_of_the_hub_is_one_sentence():
    """In a process of its own: the library reads the environment once."""
    code = (
        "from kl_core.formats.sampling_config import PromptSource\n"
        "from kl_core.records import ProblemLog\n"
        "from kl_core.sources.prompt_datasets import prompts_of\n"
        "try:\n"
        "    prompts_of(PromptSource(dataset='someone/something'), ProblemLog())\n"
        "except Exception as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("InputError the data set someone/something: the hub cannot")
    assert done.stdout.count("\n") == 1
