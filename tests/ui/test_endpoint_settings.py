"""What a run by a server can be asked, and which key goes along."""

from __future__ import annotations

import shlex

from kl_core.jobs import launch
from kl_core.sources.servers import KEYS
from kl_core.store.spending import CallPlan
from kl_core.ui import endpoint_keys, endpoint_plan, endpoint_settings

WHOLE = {
    "input_dir": "/data/in",
    "model2": "org/m",
    "base_url": "https://host.example/v1",
    "key_env": "SOME_KEY",
    "server": "sglang",
    "tokenizer": "org/t",
    "revision": "v2",
    "fallback": "chat",
    "top_logprobs": 5,
    "max_files": 3,
    "max_concurrent": 7,
    "rate_limit": 2.5,
    "max_retries": 0,
    "timeout": 12.0,
    "raw": True,
    "trust_remote_code": True,
    "reuse": True,
    "input_price": 0.0,
    "output_price": 0.5,
    "max_cost": 0.0,
}


def test_a_command_gives_back_the_options_it_was_made_of() -> None:
    """Change settings shows the form as it was; zeros are kept, defaults are left out."""
    found = endpoint_settings.options(WHOLE | {"pattern": "", "system": None})
    assert found == WHOLE
    words = shlex.split(launch.command_line("endpoint", found))
    assert endpoint_settings.from_command(words) == WHOLE
    assert "server" not in endpoint_settings.options({"server": "auto", "fallback": "stop"})


def test_a_key_typed_for_a_name_reaches_neither_a_command_nor_a_sentence() -> None:
    """What may be a key is refused without being repeated."""
    for typed in ("sk-or-v1-abcdef", "AIzaSyAbCdEf", "hf_abcdef"):
        values = {"model2": "m", "base_url": "https://host/v1", "key_env": typed}
        assert "key_env" not in endpoint_settings.options(values)
        said = endpoint_settings.problems(values)["key_env"]
        assert typed not in said and "environment" in said


def test_a_key_goes_to_its_host_and_is_asked_for_where_it_is_needed() -> None:
    """The variable is named, whether it is set is said, its value never is."""
    router = "https://openrouter.ai/api/v1"
    assert "set OPENROUTER_API_KEY" in str(endpoint_keys.problem(router, None, {}))
    have = {"OPENROUTER_API_KEY": "sk-secret", "MINE": "sk-other"}
    assert endpoint_keys.problem(router, None, have) is None
    said = endpoint_keys.sentence(router, None, have)
    assert "OPENROUTER_API_KEY is set" in said and "secret" not in said
    assert "MINE is set" in endpoint_keys.sentence("https://host/v1", "MINE", have)
    assert "No key is sent" in endpoint_keys.sentence("http://127.0.0.1:8/v1", None, have)
    assert endpoint_keys.sentence("no address", None, have) == ""


def test_the_page_and_the_worker_know_the_same_hosts() -> None:
    """The page may not import what the worker asks with, so both tables are held equal."""
    assert endpoint_keys.USUAL == KEYS


def test_what_cannot_be_meant_is_said_by_field() -> None:
    """Empty, unsafe and contradictory values, a sentence each."""
    plain = {"base_url": "http://example.com/v1", "key_env": "SOME_KEY", "model2": "a b"}
    found = endpoint_settings.problems(plain)
    assert "use https" in found["base_url"] and "no blanks" in found["model2"]
    assert set(endpoint_settings.problems({})) == {"base_url", "model2"}
    raw = {"model2": "m", "base_url": "https://h/v1", "raw": True, "system": "be brief"}
    assert "neither a template" in endpoint_settings.problems(raw)["raw"]
    one = {"model2": "m", "base_url": "https://h/v1", "input_price": 1.0}
    assert "both prices" in endpoint_settings.problems(one)["output_price"]


def test_plain_http_is_a_choice_where_no_key_goes_there_and_is_said() -> None:
    """A server of the own network needs no key; hosts whose key is known are refused."""
    assert endpoint_settings.url_problem("http://10.0.0.7:8000/v1") is None
    assert endpoint_settings.unencrypted("http://10.0.0.7:8000/v1") == "10.0.0.7"
    assert endpoint_settings.unencrypted("http://127.0.0.1:8000/v1") is None
    assert "use https" in str(endpoint_settings.url_problem("http://10.0.0.7/v1", "MY_KEY"))
    assert "use https" in str(endpoint_settings.url_problem("http://api.openai.com/v1"))


def test_a_worker_speaks_in_the_labels_of_the_form() -> None:
    """Options of the command mean nothing to who filled a form."""
    said = endpoint_settings.in_labels(
        "m names no tokenizer; give one with --tokenizer, or add --fallback completion"
    )
    assert said.endswith(
        "give one with “Tokenizer”, or add “Ask at each position, as a completion”"
    )


def test_a_plan_says_whether_a_response_or_a_position_is_a_request() -> None:
    """The counts tell, and they add up."""
    whole = CallPlan("endpoint", "m", prompts=2, responses=6, positions=90, calls=4, kept=1)
    assert "whole response in one request" in endpoint_plan.gives(whole)
    assert "1 is equal to others or cannot be asked" in endpoint_plan.scope_line(whole)
    each = CallPlan("endpoint", "m", prompts=2, responses=6, positions=90, calls=90)
    assert "each position" in endpoint_plan.gives(each)
    assert endpoint_plan.scope_line(each).endswith("90 positions")
