"""The byte-level BPE tokenizer both tiny models share."""

from __future__ import annotations

import random

from corpus import Topic, expand, fact_topics
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

VOCABULARY = 512
LONGEST = 512
SPECIALS = ["<|pad|>", "<|bos|>", "<|eot|>", "<|system|>", "<|user|>", "<|assistant|>"]
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>' + message['content'] + '<|eot|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
# Planted words that become one token each, so that a heatmap marks the whole word;
# the others keep several tokens, as most names have in a real vocabulary.
WHOLE_WORDS = ("green", "amber", "seven", "twelve", "Friday", "Monday", "honey", "ginger")


def make_tokenizer(topics: tuple[Topic, ...], seed: int) -> PreTrainedTokenizerFast:
    """Train it on expansions of the ASCII lines.

    Lines with other characters are left out, so that accents, CJK and emoji stay
    split over several tokens, as rare characters are in real vocabularies.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIALS,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_lines(topics, random.Random(seed)), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|bos|>",  # noqa: S106
        eos_token="<|eot|>",  # noqa: S106 (a token, not a password)
        pad_token="<|pad|>",  # noqa: S106
        extra_special_tokens=SPECIALS[3:],
        chat_template=CHAT_TEMPLATE,
        model_max_length=LONGEST,
        clean_up_tokenization_spaces=False,
    )


def _lines(topics: tuple[Topic, ...], rng: random.Random) -> list[str]:
    texts = [expand(topic, rng) for topic in topics for _ in range(8)]
    texts += [question for topic in topics for question in topic.questions]
    lines = [line for text in texts for line in text.splitlines() if line.isascii()]
    words = [word for _, fact in fact_topics(topics) for word in (fact.base, fact.tuned)]
    return lines + [f"a {word}" for word in words if word in WHOLE_WORDS for _ in range(150)]
