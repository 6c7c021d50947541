"""`export`, `notes` and `tokens --run` as a user types them."""

import csv
import io
import json
import signal
import subprocess
import sys
import time
import zipfile

import pyarrow.parquet as pq
import pytest

from kl_core.cli import export_views
from kl_core.cli.export_views import Asked
from kl_core.errors import InputError
from kl_core.store import notes, queries
from kl_core.store.notes import Note
from tests import factories, writing
from tests.store.test_restore import make_run
from tests.ui import made_runs

RUN = "made0001"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("cli") / "runs"
    made_runs.planted(root, 6)
    made_runs.raw(root)
    return root


def test_prompts_go_to_standard_output_as_csv(root):
    """The rows alone on stdout, in the order asked for; filters as on the page."""
    words = ("--sort", "max_kl", "--min", "mean_kl=0.02", "--provider", "local", "--limit", "3")
    done = writing.call(root, "export", RUN, *words)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert rows[0]["prompt"] == "What is the capital of France?"
    values = [float(row["max_kl"]) for row in rows]
    assert values == sorted(values, reverse=True)
    assert 0 < len(rows) <= 3
    assert done.stderr == ""


def test_the_ending_of_the_file_is_its_format(root, tmp_path):
    """Parquet by name; the count goes to stderr."""
    out = tmp_path / "deep" / "tokens.parquet"
    done = writing.call(
        root, "export", RUN, "--view", "tokens", "--prompt", 3, "--lists", "--output", out
    )
    table = pq.read_table(out)
    assert {"top1", "top2", "kl"} <= set(table.schema.names)
    assert f"{table.num_rows} rows in" in done.stderr
    assert not done.stdout


def test_the_results_zip_and_a_chart_are_written_whole(root, tmp_path):
    """A zip of every prompt; a page with plotly's code inside, nothing loaded from outside."""
    out = tmp_path / "r.zip"
    said = writing.call(root, "export", RUN, "--view", "results", "--output", out).stderr
    with zipfile.ZipFile(out) as archive:
        assert len(archive.namelist()) == 6
    assert "6 result files" in said
    page = tmp_path / "c.html"
    writing.call(root, "export", RUN, "--view", "chart:histogram", "--output", page)
    text = page.read_text()
    assert "plotly" in text
    assert 'src="http' not in text
    rows = writing.call(root, "export", RUN, "--view", "chart:histogram", "--format", "json")
    assert json.loads(rows.stdout)


def test_a_run_of_one_model_has_no_results_to_give(root, tmp_path):
    """One sentence, code 1, no file."""
    out = tmp_path / "r.zip"
    done = writing.call(root, "export", "raw00001", "--view", "results", "--output", out, expect=1)
    assert done.stderr.count("\n") == 1
    assert "score it first" in done.stderr
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--view", "nothing"), "no view is called 'nothing'"),
        (("--format", "parquet"), "parquet needs --output FILE"),
        (("--view", "results"), "zip needs --output FILE"),
        (("--format", "zip", "--output", "x"), "has no format 'zip'"),
        (("--min", "mean_kl"), "'mean_kl' is no bound"),
        (("--min", "wrong=1"), "cannot filter by 'wrong'"),
        (("--sort", "wrong"), "cannot sort by 'wrong'"),
        (("--prompt", "1"), "--prompt means nothing for --view prompts"),
        (("--view", "summary", "--search", "x"), "--search means nothing for --view summary"),
        (("--view", "responses", "--prompt", "77"), "has no prompt 77"),
        (("--view", "tokens", "--response", "99"), "has no response 99"),
        (("--view", "chart:nothing"), "no chart is called 'nothing'"),
        (("--min", "mean_kl=nan"), "'mean_kl=nan' is no bound"),
        (("--view", "top-tokens", "--max", "score=nan"), "'score=nan' is no bound"),
        (("--limit", 10**20), "is beyond 9223372036854775807"),
        (("--view", "tokens", "--prompt", 10**50), "is beyond 9223372036854775807"),
        (("--view", "top-tokens", "--min-kl", "1"), "--min-kl means nothing for --score kl"),
        (("--view", "top-tokens", "--min-count", "2"), "--min-count means nothing for --view"),
        (("--search", "\udcff"), "--search '\\udcff' is no UTF-8 text"),
        (("--view", "token-groups", "--search", "\udcff"), "is no UTF-8 text"),
        (("--provider", "a\udcff"), "--provider 'a\\udcff' is no UTF-8 text"),
    ],
)
def test_bad_arguments_are_one_sentence_and_code_two(root, words, sentence):
    """No traceback, nothing on standard output."""
    done = writing.call(root, "export", RUN, *words, expect=2)
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout


def rows_of(name, run_dir, cursor, **options):
    chosen = export_views.view(name, run_dir, cursor, Asked(**options))
    source = chosen.source
    return (source if hasattr(source, "to_pylist") else source.table(cursor)).to_pylist()


def test_each_view_gives_its_rows(root):
    """The options that a view takes turn what it gives."""
    run_dir = next(path for path in root.iterdir() if path.name.endswith(RUN))
    cursor = queries.open_run(run_dir).cursor()
    assert len(rows_of("responses", run_dir, cursor)) == 18
    assert [row["slot"] for row in rows_of("responses", run_dir, cursor, prompt=3)] == [0, 1, 2]
    everything = rows_of("tokens", run_dir, cursor)
    assert len(everything) == queries.summary(cursor)["tokens"]
    places = [(row["response_id"], row["position"]) for row in everything]
    assert places == sorted(places)
    of_prompt = rows_of("tokens", run_dir, cursor, prompt=3)
    one = rows_of("tokens", run_dir, cursor, response=9)
    assert [row["position"] for row in one] == list(range(len(one)))
    assert len(of_prompt) > len(one)
    assert "top1" not in one[0]
    top = rows_of("top-tokens", run_dir, cursor, least=("score=1",), most=("score=9",))
    assert top
    assert all(1 <= row["score"] <= 9 for row in top)
    assert all("e" in row["token"] for row in rows_of("token-groups", run_dir, cursor, search="e"))
    assert rows_of("problems", run_dir, cursor)[0]["file"] == "broken.json"
    assert rows_of("notes", run_dir, cursor) == []
    often = rows_of("token-groups", run_dir, cursor, min_count=3)
    assert often
    assert all(row["occurrences"] >= 3 for row in often)
    ratio = rows_of("top-tokens", run_dir, cursor, score="normalized", min_kl=0.5)
    assert ratio
    assert all(row["kl"] >= 0.5 for row in ratio)
    found = rows_of("prompts", run_dir, cursor, search="capital", ascending=True)
    assert [row["prompt_id"] for row in found] == [3]
    with pytest.raises(InputError, match="score alone"):
        rows_of("top-tokens", run_dir, cursor, least=("kl=1",))


def test_the_tokens_of_a_run_are_the_documented_object(root, tmp_path):
    """`--run` beside `--results-dir`, one of them."""
    found = json.loads(
        writing.call(root, "tokens", "--run", RUN, "--min-threshold", "0.5", "--json").stdout
    )
    assert found["entries"][0]["token"] == " Lyon"
    assert found["entries"][0]["prefix_response"] == "The capital of France is"
    assert found["entries"][0]["source_file"] == "prompt_3_kl.json"
    for words in ((), ("--run", RUN, "--results-dir", tmp_path)):
        assert "one of them" in writing.call(root, "tokens", *words, expect=2).stderr


def test_tokens_cannot_be_written_over_a_folder_or_to_no_place(root, tmp_path):
    """One sentence and code 2, nothing left behind."""
    (tmp_path / "file").write_text("")
    for target in (tmp_path, tmp_path / "file" / "x.json", tmp_path / ("x" * 300)):
        done = writing.call(root, "tokens", "--run", RUN, "--output-path", target, expect=2)
        assert "cannot be written" in done.stderr
        assert done.stderr.count("\n") == 1
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
    out = tmp_path / "deep" / "x.json"
    writing.call(root, "tokens", "--run", RUN, "--output-path", out)
    assert json.loads(out.read_text())["entries"][0]["token"] == " Lyon"


def test_notes_are_added_listed_and_removed(tmp_path):
    """The whole life of a note from the prompt; control characters are shown, not obeyed."""
    run_dir = made_runs.planted(tmp_path / "r", 4)
    root = tmp_path / "r"
    place = ("--prompt", 3, "--slot", 0, "--position", 5)
    text = "why \x1b[2J Lyon?"
    added = writing.call(
        root, "notes", "add", RUN, *place, "--text", text, "--tag", "odd", "--json"
    )
    assert json.loads(added.stdout)["tags"] == ["odd"]
    listed = json.loads(writing.call(root, "notes", "list", RUN, "--json").stdout)["notes"]
    assert [(row["token"], row["text"]) for row in listed] == [(" Lyon", text)]
    shown = writing.call(root, "notes", "list", RUN).stdout
    assert "\x1b" not in shown
    assert "prompt_id 3 slot 0 position 5: #odd why" in shown
    assert notes.read(run_dir)[0].text == text
    writing.call(root, "notes", "remove", RUN, *place)
    assert notes.read(run_dir) == ()
    assert "no such note" in writing.call(root, "notes", "remove", RUN, *place, expect=2).stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--prompt", 99, "--text", "x"), "has no prompt 99"),
        (("--prompt", 3, "--position", 1, "--text", "x"), "give --slot too"),
        (("--prompt", 3, "--slot", 9, "--text", "x"), "has no response 9"),
        (("--prompt", 3, "--slot", 0, "--position", 999, "--text", "x"), "a token 999"),
        (("--prompt", 3), "needs --text or --tag"),
    ],
)
def test_a_note_on_nothing_is_refused(root, words, sentence):
    """One sentence, and no note."""
    assert sentence in writing.call(root, "notes", "add", RUN, *words, expect=2).stderr


def test_a_stopped_worker_leaves_no_zip_behind(tmp_path):
    """The process behind the page's button: asked to stop, it cleans up and says so."""
    pool = [factories.entry(n, responses=4, tokens=300) for n in range(2)]
    run_dir = make_run(tmp_path / "runs", pool * 20)
    words = [sys.executable, "-m", "kl_core.jobs.results", run_dir, tmp_path / "z" / "r.zip"]
    worker = subprocess.Popen(
        words, cwd=writing.REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert worker.stdout is not None
    assert worker.stdout.readline().split()[1] == "40"
    worker.send_signal(signal.SIGTERM)
    began = time.monotonic()
    assert worker.wait(30) == 3
    assert time.monotonic() - began < 20
    assert list((tmp_path / "z").iterdir()) == []


def test_a_note_of_another_run_says_so(tmp_path):
    """A notes.json copied beside a run that has no such file is listed, not lost."""
    run_dir = make_run(tmp_path / "runs", [factories.entry(0)])
    notes.save(run_dir, Note("gone.json", 0, text="lost"))
    shown = writing.call(tmp_path / "runs", "notes", "list", run_dir.name).stdout
    assert "not in this run: gone.json: lost" in shown
