"""What is asked for one sample, in the words of each kind of server."""

from __future__ import annotations

import pytest

from kl_core.formats.sampling_config import ModelConfig, SamplingConfig, sampling_of
from kl_core.records import Message
from kl_core.sources.sample_gemini import gemini_body
from kl_core.sources.sample_openai import completion_body, sample_body
from kl_core.sources.sample_settings import Keys, Settings
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
    made = completion_body(ModelConfig(name="m"), Settings(max_tokens=3), [1, 2], STARTED)
    assert made["prompt"] == [1, 2]
    assert made["logprobs"] == 20


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
