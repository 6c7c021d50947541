"""The command line as a user types it."""

import json
import os

import pytest

from kl_core.cli import output
from kl_core.jobs.tokens import TokensRequest, extract
from kl_core.records import ProblemLog
from kl_core.store import queries, runs
from tests import writing

REAL = os.environ.get("KL_REAL_DATA")


@pytest.mark.skipif(not REAL, reason="KL_REAL_DATA names no folder with real provider files")
def test_real_provider_files_are_counted_as_they_are(tmp_path):
    """Two real files: 7 prompts, 35 responses, 23 of them without log-probabilities."""
    summary = json.loads(writing.call(tmp_path, "import", REAL, "--json").stdout)
    names = ("prompts", "responses", "without_logprobs", "tokens", "state")
    assert [summary[name] for name in names] == [7, 35, 23, 1106, "done"]
    assert "DeepInfra 14" in summary["problems"][0]["reason"]


def test_json_goes_to_standard_output_alone(tmp_path):
    """One object on stdout, progress on stderr."""
    folder = writing.folder(tmp_path / "in", 2)
    done = writing.call(tmp_path / "runs", "import", folder, "--json")
    assert json.loads(done.stdout)["prompts"] == 2
    assert "reading files" in done.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("import", "/no/such/folder"), "does not exist"),
        (("runs", "show", "nothing"), "no run 'nothing'"),
        (("tokens", "--results-dir", "/no/such"), "does not exist"),
        (("score", "--input-dir", "IN", "--model", "/no/model"), "no model folder /no/model"),
        (("score", "--input-dir", "IN", "--model", "x", "--top-k", "3"), "top-k"),
        (("runs", "delete", "nothing"), "no run 'nothing'"),
    ],
)
def test_bad_arguments_are_one_sentence_and_code_two(tmp_path, words, sentence):
    """No traceback, and the sentence names what was wrong."""
    folder = writing.folder(tmp_path / "in", 1)
    words = tuple(folder if word == "IN" else word for word in words)
    done = writing.call(tmp_path / "runs", *words, expect=2)
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert not done.stdout


def test_runs_can_be_listed_shown_and_deleted(tmp_path):
    """The whole life of a run from the prompt."""
    folder = writing.folder(tmp_path / "in", 2)
    run_id = json.loads(writing.call(tmp_path / "r", "import", folder, "--json").stdout)["run_id"]
    listed = json.loads(writing.call(tmp_path / "r", "runs", "list", "--json").stdout)["runs"]
    assert [(run["run_id"], run["state"]) for run in listed] == [(run_id, "done")]
    assert run_id in writing.call(tmp_path / "r", "runs", "show", run_id[-6:]).stdout
    refused = writing.call(tmp_path / "r", "runs", "delete", run_id, expect=2)
    assert "needs --yes" in refused.stderr
    writing.call(tmp_path / "r", "runs", "delete", run_id, "--yes")
    assert "No runs" in writing.call(tmp_path / "r", "runs", "list").stdout


def test_an_open_reader_and_the_command_line_do_not_get_in_each_others_way(tmp_path):
    """While this process reads a run, others show it, list it and finish other runs."""
    folder = writing.folder(tmp_path / "in", 2)
    first = json.loads(writing.call(tmp_path / "r", "import", folder, "--json").stdout)
    reader = queries.open_run(runs.find_run(tmp_path / "r", first["run_id"])).cursor()
    assert queries.prompt_count(reader) == 2
    shown = json.loads(
        writing.call(tmp_path / "r", "runs", "show", first["run_id"], "--json").stdout
    )
    assert shown["prompts"] == 2
    writing.openai_file(folder / "more.json", "third", 5)
    assert (
        json.loads(writing.call(tmp_path / "r", "import", folder, "--json").stdout)["prompts"] == 3
    )
    assert queries.prompt_count(reader) == 2


def test_a_done_run_has_nothing_to_resume(tmp_path):
    """Said plainly, with code 2."""
    folder = writing.folder(tmp_path / "in", 1)
    run_id = json.loads(writing.call(tmp_path / "r", "import", folder, "--json").stdout)["run_id"]
    assert "is done" in writing.call(tmp_path / "r", "runs", "resume", run_id, expect=2).stderr


def result_file(path, values, entropy=0.5):
    details = [
        {
            "position": n,
            "token": f" t{n}",
            "bytes": list(f" t{n}".encode()),
            "kl_divergence": value,
            "entropy1": entropy,
            "entropy2": entropy,
            "model1_chosen_logprob": -1.0,
            "model2_chosen_logprob": -1.0,
            "model1_top": [],
            "model2_top": [],
        }
        for n, value in enumerate(values)
    ]
    response = {
        "text": "x",
        "num_tokens": len(values),
        "kl_per_token": values,
        "token_details": details,
        "statistics": {},
    }
    path.write_text(
        json.dumps(
            {
                "prompt": "q",
                "model1": "a",
                "model2": "b",
                "num_responses": 1,
                "responses": [response],
            }
        )
    )


def test_tokens_come_with_their_prefix_highest_first_within_the_thresholds(tmp_path):
    """Both bounds included; the prefix is the text before, joined by bytes."""
    result_file(tmp_path / "a_kl.json", [0.5, 3.0, None, 1.0, 9.0])
    found = extract(TokensRequest(tmp_path, 1.0, 3.0, "kl"), ProblemLog())
    assert [(row["score"], row["token_position"]) for row in found["entries"]] == [
        (3.0, 1),
        (1.0, 3),
    ]
    assert found["entries"][1]["prefix_response"] == " t0 t1 t2"
    assert (found["num_entries"], found["score_type"], found["max_threshold"]) == (2, "kl", 3.0)


def test_normalised_scores_leave_out_tokens_of_negligible_divergence(tmp_path):
    """KL/(H1+H2), but not where the KL itself is noise."""
    result_file(tmp_path / "a_kl.json", [0.005, 0.5], entropy=0.001)
    found = extract(TokensRequest(tmp_path, 0.1, None, "normalized"), ProblemLog())
    assert [row["token_position"] for row in found["entries"]] == [1]
    assert found["entries"][0]["score"] == pytest.approx(250)


@pytest.mark.parametrize("bound", ["nan", "inf"])
def test_a_threshold_that_is_no_number_is_refused(tmp_path, bound):
    """One sentence, code 2."""
    result_file(tmp_path / "a_kl.json", [2.0])
    words = ("tokens", "--results-dir", tmp_path, "--min-threshold", bound, "--json")
    assert "finite number" in writing.call(tmp_path / "r", *words, expect=2).stderr


def test_the_tokens_command_writes_the_documented_object(tmp_path):
    """The file has exactly the documented keys."""
    result_file(tmp_path / "a_kl.json", [2.0])
    out = tmp_path / "out" / "tokens.json"
    writing.call(tmp_path / "r", "tokens", "--results-dir", tmp_path, "--output-path", out)
    found = json.loads(out.read_text())
    assert set(found) == {"score_type", "min_threshold", "max_threshold", "num_entries", "entries"}
    assert set(found["entries"][0]) == {
        "prompt",
        "prefix_response",
        "token",
        "score",
        "kl_divergence",
        "entropy1",
        "entropy2",
        "source_file",
        "response_idx",
        "token_position",
    }


def test_hostile_text_in_a_table_cannot_move_the_cursor(tmp_path):
    """Escape sequences in a prompt are shown, not obeyed."""
    writing.openai_file(tmp_path / "in" / "a.json", "x", 3)
    result_file(tmp_path / "b_kl.json", [2.0])
    hostile = list(b"\x1b[2J")
    text = (tmp_path / "b_kl.json").read_text().replace(str(list(b" t0")), str(hostile))
    (tmp_path / "b_kl.json").write_text(text)
    done = writing.call(tmp_path / "r", "tokens", "--results-dir", tmp_path)
    assert "\x1b" not in done.stdout
    assert "\\x1b[2J" in done.stdout


def test_what_stands_after_at_least_is_rounded_down() -> None:
    """A bound of 2.3759 is never printed as 2.38; a printable figure stays itself."""
    shown = [output.at_least(v) for v in (2.3759, 0.05, 123.9, 9.999e-7, 0.0, None)]
    assert shown == ["2.37", "0.05", "123", "9.99e-07", "0", "–"]
