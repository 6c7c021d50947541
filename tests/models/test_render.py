"""A prompt as text is the prompt as ids, decoded."""

from __future__ import annotations

import pytest

from kl_core.errors import ModelError
from kl_core.models.load import encode_prompt
from kl_core.models.render import render_prompt, render_raw
from kl_core.records import Message
from tests.models.tiny import make_tokenizer, wrapped

USER, STARTED = Message("user", "the cat"), Message("assistant", "sat ")
PROMPTS = {
    "a question": (USER,),
    "a started answer": (USER, STARTED),
    "an answer started twice": (USER, STARTED, Message("assistant", "on")),
    "nothing but a start": (STARTED,),
    "a chat": (USER, Message("assistant", "sat"), USER),
    "a chat and a start": (Message("system", "the dog"), USER, STARTED, USER, STARTED),
}


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("name", PROMPTS)
def test_the_text_of_a_prompt_is_what_its_ids_say(name, raw):
    """By text and by ids a server is asked the same, with a template and without."""
    model = wrapped(None, make_tokenizer(adds_bos=False), raw=raw)
    if name == "nothing but a start" and not raw:  # a template needs a turn
        for write in (encode_prompt, render_prompt):
            with pytest.raises(ModelError, match="refused the prompt"):
                write(model, PROMPTS[name])
        return
    ids = encode_prompt(model, PROMPTS[name])
    assert render_prompt(model, PROMPTS[name]) == model.tokenizer.decode(list(ids))


@pytest.mark.parametrize("name", PROMPTS)
def test_without_a_tokenizer_a_raw_prompt_is_the_same_text(name):
    """A server that takes raw text needs no tokenizer here."""
    model = wrapped(None, make_tokenizer(adds_bos=False), raw=True)
    assert render_raw(PROMPTS[name]) == render_prompt(model, PROMPTS[name])


def test_a_started_answer_stands_behind_the_turns_as_it_is():
    """One user turn is plain; the start has no label and keeps its last blank."""
    assert render_raw((USER, STARTED)) == "the catsat "
