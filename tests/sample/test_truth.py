"""The planted truth holds, by exact divergence over the whole vocabulary."""

from __future__ import annotations

import pytest
import torch

from sample_data.corpus import load_topics, truth

from .reading import TRUTH, Judge, Scored

pytestmark = pytest.mark.xdist_group("sample")  # one reading serves them all
FOUND = 1.0  # nats; a token above it is one that a reader would be shown


def test_the_listed_truth_is_what_the_corpus_plants() -> None:
    """truth.json comes from the text the models learnt, fact by fact."""
    assert truth(load_topics()) == TRUTH
    assert 4 <= len(TRUTH["facts"]) <= 6


def test_every_fact_is_asked_about_in_the_openrouter_directory(scored: list[Scored]) -> None:
    """A user who scores that directory alone finds every planted fact."""
    asked = {item.question for item in scored if item.folder == "openrouter"}
    assert all(asked & set(fact["prompts"]) for fact in TRUTH["facts"])


@pytest.mark.parametrize(
    "folders", [("openrouter",), ("list",), ("gemini",), ("openrouter", "list", "gemini")]
)
def test_the_planted_prompts_sort_first(folders: tuple[str, ...], scored: list[Scored]) -> None:
    """By mean KL per token, each planted prompt stands above each other prompt, far above."""
    planted = {prompt for fact in TRUTH["facts"] for prompt in fact["prompts"]}
    means = {True: [], False: []}
    for question in {item.question for item in scored if item.folder in folders}:
        chosen = [i for i in scored if i.folder in folders and i.question == question]
        means[question in planted].append(torch.cat([item.kl for item in chosen]).mean().item())
    assert len(means[True]) >= 2
    assert min(means[True]) > 20 * max(means[False])


def test_the_planted_words_are_the_tokens_of_high_divergence(scored: list[Scored]) -> None:
    """Above one nat lie all planted words and nothing else: precision 1 and recall 1."""
    found = {
        (number, position)
        for number, item in enumerate(scored)
        for position in (item.kl > FOUND).nonzero()[:, 0].tolist()
    }
    planted = {(n, item.planted) for n, item in enumerate(scored) if item.planted is not None}
    precision, recall = len(found & planted) / len(found), len(found & planted) / len(planted)
    assert (precision, recall) == (1.0, 1.0)
    assert len(planted) >= 30


def test_nothing_else_differs(scored: list[Scored]) -> None:
    """Away from the planted words, right after them included, no token comes near one of them."""
    rest = torch.cat([without_planted(item) for item in scored])
    assert rest.max().item() < 0.1
    assert rest.mean().item() < 0.001


def test_each_model_says_its_own_word(scored: list[Scored], judge: Judge) -> None:
    """Where the word is due, tiny-base puts over 95 % on its word, tiny-tuned on its own."""
    for item in (item for item in scored if item.planted is not None):
        words = judge.words(item.question)
        assert words is not None
        old, new = item.ids[item.planted], other_token(words)
        assert item.base[item.planted, old].exp().item() > 0.95
        assert item.tuned[item.planted, new].exp().item() > 0.95


def test_nearly_every_answer_to_a_planted_prompt_holds_the_base_word(scored: list[Scored]) -> None:
    """Recall over responses means something only if the word is in them."""
    planted = {prompt for fact in TRUTH["facts"] for prompt in fact["prompts"]}
    answers = [item for item in scored if item.question in planted]
    assert sum(item.planted is not None for item in answers) >= 0.95 * len(answers)


def test_the_answers_vary_and_stay_uncertain(scored: list[Scored]) -> None:
    """Sampled at temperature 1: answers differ and a tenth of the positions are open."""
    texts = {tuple(item.ids) for item in scored}
    entropies = torch.cat([-(item.base.exp() * item.base).sum(-1) for item in scored])
    assert len(texts) > 0.95 * len(scored)
    assert (entropies > 0.3).double().mean().item() > 0.05


def without_planted(item: Scored) -> torch.Tensor:
    """A response's divergences but for the planted position [T or T - 1], nats."""
    keep = torch.ones(len(item.ids), dtype=torch.bool)
    if item.planted is not None:
        keep[item.planted] = False
    return item.kl[keep]


def other_token(words: tuple[list[int], list[int]]) -> int:
    """The first token of the tuned word that the base word does not share."""
    return next(new for old, new in zip(*words, strict=False) if old != new)
