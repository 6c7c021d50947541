"""What is asked for one sample, in the words of each kind of server."""

from __future__ import annotations

import pytest

from kl_core.errors import InputError
from kl_core.formats.sampling_config import ModelConfig, SamplingConfig, sampling_of
from kl_core.jobs.sample_prices import price_for
from kl_core.records import Message
from kl_core.sources.calls import CallError
from kl_core.sources.pricing import FREE, Price
from kl_core.sources.sample_ask import Place, place_of
from kl_core.sources.sample_gemini import gemini_body
from kl_core.sources.sample_openai import completion_body, sample_body
from kl_core.sources.sample_settings import Keys, Settings
from kl_core.sources.sample_words import of_configuration
from kl_core.sources.servers import Server

LOCAL = Server("http://127.0.0.1:8000/v1", None, True)
OPENROUTER = Server("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", False)
OPENAI = Server("https://api.openai.com/v1", "OPENAI_API_KEY", False)
KEYS = Keys(b"k")
QUESTION = KEYS.question((Message("user", "Hello?"),), 2)
STARTED = KEYS.question((Message("user", "Hello?"), Message("assistant", "Hi, I")), 0)


def body(server, settings=None, question=QUESTION, **model):
    made = ModelConfig(name="m", base_url=server.base_url, **model)
    return sample_body(made, settings or Settings(), server, question)


def test_a_chat_says_how_to_draw_even_where_it_is_the_usual_way():
    """A server's own defaults, such as a model's top_p, must not come in unasked."""
    assert body(LOCAL, Settings(max_tokens=9, top_logprobs=5, seed=40)) == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hello?"}],
        "max_tokens": 9,
        "temperature": 1.0,
        "top_p": 1.0,
        "seed": 42,
        "logprobs": True,
        "top_logprobs": 5,
    }


def test_nothing_is_said_of_lists_that_are_not_wanted():
    """top_logprobs 0 asks for none, and requires no parameter of OpenRouter."""
    made = body(OPENROUTER, Settings(top_logprobs=0))
    assert not {"logprobs", "top_logprobs", "provider", "seed"} & made.keys()


def test_openrouter_may_drop_no_parameter_where_lists_are_asked():
    """Pinned providers alone may answer; without a pin every one that takes the parameters."""
    assert body(OPENROUTER)["provider"] == {"require_parameters": True}
    assert body(OPENROUTER, providers=("Alpha",))["provider"] == {
        "only": ["Alpha"],
        "allow_fallbacks": False,
        "require_parameters": True,
    }
    assert "provider" not in body(LOCAL)


@pytest.mark.parametrize(
    ("server", "on", "field", "value"),
    [
        (OPENROUTER, False, "reasoning", {"enabled": False}),
        (OPENROUTER, True, "reasoning", {"enabled": True}),
        (LOCAL, False, "chat_template_kwargs", {"enable_thinking": False}),
        (OPENAI, False, "reasoning_effort", "none"),
    ],
)
def test_reasoning_is_turned_on_and_off_in_the_words_of_the_server(server, on, field, value):
    """Left open, nothing is said of it."""
    assert body(server, reasoning=on)[field] == value
    assert field not in body(server)


def test_openai_itself_gets_its_own_name_for_the_longest_answer():
    """Its newer models refuse max_tokens."""
    made = body(OPENAI, Settings(max_tokens=7))
    assert made["max_completion_tokens"] == 7
    assert "max_tokens" not in made


def test_extra_fields_join_those_that_are_there():
    """Objects are merged, so that a sort order does not undo require_parameters."""
    made = body(OPENROUTER, extra_body={"provider": {"sort": "price"}, "top_k": 40})
    assert made["provider"] == {"require_parameters": True, "sort": "price"}
    assert made["top_k"] == 40


def test_a_started_answer_is_a_last_turn_to_be_continued():
    """vLLM and its like are told so; OpenRouter does it by itself."""
    made = body(LOCAL, question=STARTED)
    assert made["messages"][-1] == {"role": "assistant", "content": "Hi, I"}
    assert made["continue_final_message"] is True
    assert made["add_generation_prompt"] is False
    assert "continue_final_message" not in body(OPENROUTER, question=STARTED)


def test_a_completion_carries_the_ids_of_its_prompt():
    """Lists are a number there, not a yes."""
    settings = Settings(max_tokens=3)
    made = completion_body(ModelConfig(name="m"), settings, LOCAL, [1, 2], STARTED)
    assert made["prompt"] == [1, 2]
    assert made["logprobs"] == 20
    assert "provider" not in made


def test_a_completion_is_pinned_to_its_providers_as_a_chat_is():
    """No provider may drop the lists, and none but the chosen ones may answer."""
    model = ModelConfig(
        name="m", providers=("Alpha",), extra_body={"provider": {"sort": "price"}, "top_k": 4}
    )
    made = completion_body(model, Settings(), OPENROUTER, [1], STARTED)
    assert made["provider"] == {
        "only": ["Alpha"],
        "allow_fallbacks": False,
        "require_parameters": True,
        "sort": "price",
    }
    assert made["top_k"] == 4


def test_gemini_thinks_as_much_as_it_likes_where_reasoning_is_wanted():
    """Left open, nothing is said of it."""

    def config(reasoning):
        model = ModelConfig(name="g", api="gemini", reasoning=reasoning)
        return gemini_body(model, Settings(), QUESTION)["generationConfig"]

    assert config(True)["thinkingConfig"] == {"thinkingBudget": -1}
    assert "thinkingConfig" not in config(None)


def test_failures_speak_of_the_configuration_and_not_of_options_that_sample_lacks(monkeypatch):
    """A model's address and key stand there; the sentence names the model."""
    monkeypatch.delenv("NO_SUCH_KEY_HERE", raising=False)
    model = ModelConfig(name="m", base_url="http://127.0.0.1:1/v1", key_env="NO_SUCH_KEY_HERE")
    with pytest.raises(InputError) as caught:
        place_of(model)
    said = str(caught.value)
    assert said.startswith("the model m: ")
    assert "the model's key_env in the configuration" in said
    assert "--" not in said
    error = CallError("404", "check --base-url, which ends in /v1", "denied", 2.0, 3, 4)
    found = of_configuration(error)
    assert found.reason == "check the model's base_url in the configuration, which ends in /v1"
    assert (found.retry_after_s, found.input_tokens, found.output_tokens) == (2.0, 3, 4)


def test_a_server_without_a_key_is_free_unless_somebody_states_a_price():
    """Nobody can charge whom no key tells; a stated price counts all the same."""
    keyless = Place(Server("https://gpu.example.org/v1", None, False))
    keyed = Place(Server("https://gpu.example.org/v1", "A_KEY", False))
    model = ModelConfig(name="m", base_url="https://gpu.example.org/v1")
    assert price_for(model, keyless) == FREE
    assert price_for(model, keyed).cost(1, 1) is None
    assert price_for(model, keyless, Price(1.0, 2.0)) == Price(1.0, 2.0)
    stated = ModelConfig(name="m", base_url=model.base_url, input_price=3.0, output_price=4.0)
    assert price_for(stated, keyless) == Price(3.0, 4.0)


def test_gemini_is_asked_in_its_own_names():
    """A started answer is a last turn of the model; thoughts are off where reasoning is."""
    settings = Settings(max_tokens=9, temperature=0.5, top_p=0.9, top_logprobs=5, seed=1)
    made = gemini_body(ModelConfig(name="g", api="gemini", reasoning=False), settings, STARTED)
    assert made["contents"][-1] == {"role": "model", "parts": [{"text": "Hi, I"}]}
    assert made["generationConfig"] == {
        "temperature": 0.5,
        "topP": 0.9,
        "maxOutputTokens": 9,
        "seed": 1,
        "responseLogprobs": True,
        "logprobs": 5,
        "thinkingConfig": {"thinkingBudget": 0},
    }


def test_a_key_tells_model_settings_prompt_and_number_apart_and_nothing_else():
    """More samples, a price or a key's name do not make a question another one."""

    def key(number=0, prompt="p", address="", label=None, **settings):
        shared = {name: settings.pop(name) for name in ("temperature", "samples", "seed")
                  if name in settings}  # fmt: skip
        model = ModelConfig(name="m", base_url="http://127.0.0.1/v1", label=label, **settings)
        config = SamplingConfig(output_dir="o", models=(model,), **shared)
        keys = Keys.of(model, sampling_of(config, model), address)
        return keys.question((Message("user", prompt),), number).key

    same = {key(), key(samples=9), key(input_price=1.0), key(key_env="A_KEY")}
    others = {
        key(1),
        key(prompt="q"),
        key(address="http://elsewhere"),
        key(label="l"),
        key(temperature=0.5),
        key(seed=1),
        key(providers=("A",)),
        key(max_tokens=3),
    }
    assert len(same) == 1
    assert len(others - same) == 8
    assert all(len(each) == 16 for each in others)
