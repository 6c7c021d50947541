"""Where each model of a run is asked to continue."""

from __future__ import annotations

import pytest

from kl_core.ui import continue_form, continue_sides
from kl_core.ui.continue_sides import config, guess, problems


def test_a_model_is_asked_where_the_run_asked_it() -> None:
    """A server, Gemini, a folder with its settings; else a sample model, else a server."""
    served = {"name": "m", "base_url": "http://127.0.0.1:8/v1", "server": "vllm", "key_env": None}
    found = guess("m", {"kind": "endpoint", "identity2": served}, second=True)
    assert (found["where"], found["name"], found["base_url"]) == (
        "openai",
        "m",
        "http://127.0.0.1:8/v1",
    )
    asked = {"model2": "g-1", "project_id": "p", "base_url": "http://127.0.0.1:9"}
    gemini = guess("g-001", {"kind": "prefill", "request": asked}, second=True)
    assert config(gemini).api == "gemini" and config(gemini).name == "g-1"
    assert config(gemini).base_url == "http://127.0.0.1:9"
    spec = {"model": "/m/two", "adapter": "/m/adapter", "raw": True, "dtype": "float32"}
    local = guess("two", {"kind": "score", "request": {"model": spec}}, second=True)
    made = config(local, "model2")
    assert (made.api, made.name, made.adapter, made.raw) == ("local", "/m/two", "/m/adapter", True)
    assert made.folder == "model2"
    assert config(local | {"name": "/m/three"}).adapter is None
    shipped = guess("org/tiny-base", {"kind": "score", "request": {"model": spec}}, second=False)
    assert shipped == {"where": "local", "name": "sample_data/models/tiny-base"}
    assert guess("org/other", {}, second=False) == {"where": "openai", "name": "org/other"}


def test_a_folder_is_no_name_for_a_server_and_a_servers_name_no_folder() -> None:
    """Going from one place to the other takes the run's name of the model."""
    at = continue_sides.name_at
    assert at("openai", "sample_data/models/tiny-base") == "tiny-base"
    assert at("openai", "org/m") == at("local", "org/m") == "org/m"
    assert at("local", "tiny-base") == "sample_data/models/tiny-base"
    assert at("local", "gpt") == at("local", "") == ""


@pytest.mark.parametrize("name", ["..", "/", "", "a/..", "no-such-model"])
def test_a_name_is_never_followed_out_of_the_sample_models(name: str) -> None:
    """The name comes from a file; only folders of shipped models count."""
    assert continue_sides.shipped(name) is None


def test_what_is_missing_is_said_field_by_field() -> None:
    """Nothing is asked of a side that cannot be meant."""
    assert set(problems({"where": "local"})) == {"name"}
    assert set(problems({"where": "openai", "name": "m", "base_url": "ftp://x"})) == {"base_url"}
    assert "project_id" in problems({"where": "gemini", "name": "m", "project_id": "My Project"})
    assert problems({"where": "openai", "name": "m", "base_url": "http://127.0.0.1:1/v1"}) == {}


def test_a_template_needs_all_blanks_and_no_other_braces() -> None:
    """The words a judge is asked by are checked before anything is asked."""
    whole = "{prompt} {prefix} {a} {b}"
    assert continue_form.template_problem(whole + ' {{"verdict": "A"}}') is None
    assert "{b}" in str(continue_form.template_problem("{prompt} {prefix} {a}"))
    assert "twice" in str(continue_form.template_problem(whole + " {c}"))
    assert "twice" in str(continue_form.template_problem(whole + ' {"verdict"}'))
