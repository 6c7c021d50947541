"""Sentences of the worker in the words of the Sample page."""

from __future__ import annotations

from kl_core.ui import option_words, sample_words

LABELS = {"base_url": "Base URL", "prompts.field": "Field of the prompt", "timeout": "Time-out"}
LONG = "org/" + "a-very-long-name-" * 12
WHY = "http://h/v1 answered 404 for {0}, check the model's base_url in the configuration"
WORDS = "(The model `{0}` does not exist. Try max_tokens (or not).)"


def said(text: str) -> str:
    """With the labels of this file."""
    return option_words.with_labels(text, LABELS)


def test_options_become_labels_however_they_are_named() -> None:
    """As an option, as a field of the configuration, as a path into it."""
    assert said("check --base-url, which ends in /v1") == "check Base URL, which ends in /v1"
    assert said("check base_url of the model in the configuration") == "check Base URL"
    assert said("the model's base_url in the configuration (x)") == "Base URL (x)"
    assert said("models[1].base_url is odd") == "Base URL of model 2 is odd"
    assert said("name one with prompts.field.") == "name one with Field of the prompt."
    assert said("take a longer --timeout") == "take a longer Time-out"


def test_words_and_names_that_only_look_like_options_stay() -> None:
    """Plain words, parts of longer names, what stands in quotes or in a path."""
    for text in (
        "a timeout came",
        "--base-url-list",
        "my_base_url_2",
        "`base_url`",
        "/data/base_url",
        "prompts.field.x",
        "http://h/?base_url=1",
    ):
        assert said(text) == text
    assert option_words.with_labels("--base-url", {}) == "--base-url"


def test_several_failures_are_a_line_a_model_and_the_servers_words_once() -> None:
    """Long names are cut in the middle; what was said before is not repeated."""
    reasons = [f"{WHY.format(name)} {WORDS.format(name)}" for name in ("m", LONG)]
    error = f"m could not be asked: {reasons[0]}; {LONG} could not be asked: {reasons[1]}"
    tail = "; what came of the others is kept, and resuming the run asks for what is missing"
    lines = sample_words.error_text(error + tail, ["m", LONG]).split("\n")
    assert lines[0] == "m could not be asked: http://h/v1 answered 404 for m, check Base URL."
    assert lines[1].endswith("could not be asked: the same.") and len(lines[1]) < 90
    assert lines[2] == "The server says: The model `m` does not exist. Try max_tokens (or not)."
    assert lines[3].startswith("What came of the others is kept") and len(lines) == 4


def test_reasons_that_hold_semicolons_or_other_names_stay_whole() -> None:
    """Only a model's own beginning parts them; twins are told apart by their folders."""
    error = "m (a) could not be asked: no; b is busy; m (b) could not be asked: later (soon)"
    found, rest = sample_words.failures(error, ["m", "m (a)", "m (b)", "b"])
    assert [(each.name, each.reason) for each in found] == [
        ("m (a)", "no; b is busy"),
        ("m (b)", "later (soon)"),
    ]
    assert rest == "" and sample_words.failures("p.csv: empty", ["m"]) == ([], "p.csv: empty")


def test_what_to_read_before_a_yes_names_models_that_are_left_out_first() -> None:
    """One line each; marks that hide or turn text are shown."""
    warnings = ["X gave none \u202e", "m cannot be asked and is left out: check --key-env"]
    lines = sample_words.careful(warnings, ["m"])
    assert lines[0].startswith("Careful: m cannot be asked and is left out: check “Variable")
    assert lines[1].startswith("Careful: X gave none") and "\u202e" not in lines[1]
