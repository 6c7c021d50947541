"""The ids of a model's vocabulary: their pieces, and what two models share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kl_core.errors import VocabularyMismatchError

if TYPE_CHECKING:
    from kl_core.models.load import LoadedModel


def vocabulary_pieces(loaded: LoadedModel) -> tuple[list[str], frozenset[int]]:
    """What a torch-free aligner needs to know of a tokenizer.

    Returns:
        (pieces, special ids). Pieces are the vocabulary's own strings (`Ġthe`, `▁the`,
        `<0xE2>`), indexed by id, up to the size of the output layer. An id that no
        token has (padding of the output layer) holds "" and counts as special: it adds
        no bytes to a text. Added tokens that are not special hold their plain text;
        `added_text_ids` lists them.
    """
    tokenizer = loaded.tokenizer
    pieces_of = {int(id_): piece for piece, id_ in tokenizer.get_vocab().items()}
    rows = int(loaded.identity.get("vocab_size") or 0)
    size = max(max(pieces_of, default=-1) + 1, rows)
    holes = set(range(size)) - set(pieces_of)
    special = {int(id_) for id_ in tokenizer.all_special_ids}
    special |= {id_ for id_, token in _added(tokenizer).items() if token.special}
    return [pieces_of.get(id_, "") for id_ in range(size)], frozenset(special | holes)


def added_text_ids(loaded: LoadedModel) -> frozenset[int]:
    """Ids of added tokens whose piece is plain text, not an encoding of bytes."""
    added = _added(loaded.tokenizer)
    return frozenset(id_ for id_, token in added.items() if not token.special)


def common_vocabulary(loaded1: LoadedModel, loaded2: LoadedModel, widths: tuple[int, int]) -> int:
    """How many leading ids two models can be compared on.

    Args:
        loaded1: one model.
        loaded2: the other.
        widths: rows of the two output layers.

    Returns:
        The common width; where the output layers are padded to different sizes, the
        number of ids the shared tokenizer has.

    Raises:
        VocabularyMismatchError: the tokenizers do not map the same pieces to the same ids.
    """
    one, two = loaded1.tokenizer.get_vocab(), loaded2.tokenizer.get_vocab()
    if one != two:
        differing = len(set(one.items()) ^ set(two.items()))
        raise VocabularyMismatchError(
            f"{loaded1.identity['name']} has {len(one)} tokens and {loaded2.identity['name']} "
            f"has {len(two)}, {differing} of them not shared; compare models with one tokenizer."
        )
    if widths[0] == widths[1]:
        return widths[0]
    return min(max(one.values(), default=-1) + 1, *widths)


def _added(tokenizer: Any) -> dict[int, Any]:
    return {int(id_): token for id_, token in tokenizer.added_tokens_decoder.items()}
