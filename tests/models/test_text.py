"""Prompts and texts to ids, and the vocabulary as others need it."""

from __future__ import annotations

import pytest

from kl_core.errors import ModelError
from kl_core.models.load import (
    added_text_ids,
    encode_prompt,
    encode_text,
    vocabulary_pieces,
)
from kl_core.models.text import read_chat_template
from kl_core.records import Message
from tests.models.tiny import VOCAB, make_tokenizer, wrapped

USER = (Message("user", "the cat"),)
BOS = 1


def loaded(template=None, *, adds_bos=True, **spec):
    tokenizer = make_tokenizer(adds_bos=adds_bos) if template is None else make_tokenizer(template)
    return wrapped(None, tokenizer, **spec)


def text_of(model, ids):
    return model.tokenizer.decode(list(ids))


def test_chat_prompt_is_the_template_with_generation_prompt_and_one_bos():
    """The tokenizer adds a bos of its own to texts; the prompt still has one."""
    model = loaded()
    ids = encode_prompt(model, USER)
    assert text_of(model, ids) == "<s><|user|>the cat</s><|assistant|>"
    assert ids.count(BOS) == 1
    assert all(type(token) is int for token in ids)


def test_system_message_comes_first():
    """`--system` is the first turn of every prompt."""
    model = loaded(system="be brief")
    assert text_of(model, encode_prompt(model, USER)) == (
        "<s><|system|>be brief</s><|user|>the cat</s><|assistant|>"
    )


def test_turns_keep_their_roles_and_order():
    """A conversation is templated turn by turn."""
    model = loaded()
    turns = (*USER, Message("assistant", "sat"), Message("user", "on"))
    assert text_of(model, encode_prompt(model, turns)) == (
        "<s><|user|>the cat</s><|assistant|>sat</s><|user|>on</s><|assistant|>"
    )


STRIPS = (
    "{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] | trim }}"
    "{{ eos_token }}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
BEGINNINGS = [" the cat ", "the cat", "\n\nthe", " ", "the  ", "\tcat\n"]


@pytest.mark.parametrize("said", BEGINNINGS)
@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("template", [None, STRIPS])
def test_a_started_answer_is_continued_to_the_last_blank(said, raw, template):
    """The text ends with exactly what was said, also under a template that strips turns."""
    model = loaded(template, raw=raw)
    begun = (*USER, Message("assistant", said))
    ids = encode_prompt(model, begun)
    assert ids == encode_prompt(model, USER) + encode_text(model, said)
    assert text_of(model, ids).endswith(f"{'the cat' if raw else '<|assistant|>'}{said}")
    assert ids.count(BOS) == 1


def test_an_empty_started_answer_is_the_prompt():
    """As at a response's first token."""
    model = loaded()
    assert encode_prompt(model, (*USER, Message("assistant", ""))) == encode_prompt(model, USER)


@pytest.mark.parametrize("adds_bos", [True, False])
def test_raw_prompt_is_the_text_and_the_bos_only_if_the_tokenizer_adds_one(adds_bos):
    """No template, no invented tokens, never an eos at the end."""
    model = loaded(adds_bos=adds_bos, raw=True)
    plain = encode_text(model, "the cat")
    assert encode_prompt(model, USER) == ((BOS, *plain) if adds_bos else plain)
    assert encode_prompt(model, (Message("user", ""),)) == ((BOS,) if adds_bos else ())


def test_raw_text_that_begins_with_bos_is_not_given_a_second_one():
    """Double bos shifts every log-probability."""
    model = loaded(raw=True)
    assert encode_prompt(model, (Message("user", "<s>the"),)).count(BOS) == 1


def test_encoded_text_has_no_special_tokens_added():
    """Response text starts with its own first token."""
    model = loaded()
    ids = encode_text(model, "the cat sat")
    assert BOS not in ids
    assert text_of(model, ids) == "the cat sat"


def test_no_template_names_the_options():
    """A base model without --raw."""
    model = loaded(template="")
    with pytest.raises(ModelError, match=r"--raw .*--chat-template FILE"):
        encode_prompt(model, USER)


def test_template_that_refuses_says_so():
    """Gemma's templates raise on system roles; the reason is shown."""
    model = loaded(template="{{ raise_exception('no system role') }}")
    with pytest.raises(ModelError, match="no system role"):
        encode_prompt(model, USER)


def test_chat_template_is_a_file_or_its_text(tmp_path):
    """Both ways give the template; a wrong path is said to be one."""
    path = tmp_path / "t.jinja"
    path.write_text("{{ messages[0]['content'] }}", encoding="utf-8")
    assert read_chat_template(str(path)) == "{{ messages[0]['content'] }}"
    assert read_chat_template("{{ messages }}") == "{{ messages }}"
    with pytest.raises(ModelError, match="no-such-file"):
        read_chat_template("no-such-file.jinja")


def test_pieces_are_indexed_by_id_up_to_the_output_layer():
    """Every token at its id; padding ids are empty and special; added text is listed."""
    model = loaded()
    pieces, special = vocabulary_pieces(model)
    vocab = model.tokenizer.get_vocab()
    assert len(pieces) == VOCAB
    assert all(pieces[id_] == piece for piece, id_ in vocab.items())
    holes = set(range(VOCAB)) - set(vocab.values())
    assert holes
    assert all(pieces[id_] == "" for id_ in holes)
    assert special == {0, 1, 2} | holes
    assert added_text_ids(model) == {vocab["plainword"]}
