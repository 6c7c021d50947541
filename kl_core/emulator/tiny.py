"""A small local model behind a served name: the exact next-token distribution of a context."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from kl_core.emulator.api_error import ApiError
from kl_core.emulator.following import Following, Ids, Whole
from kl_core.emulator.spelling import Spelling
from kl_core.errors import ModelError
from kl_core.models.load import LoadedModel, ModelSpec, encode_prompt, encode_text, load_model
from kl_core.records import Prompt

if TYPE_CHECKING:
    from kl_core.models.choose import Runner

MEMO_BYTES = 64_000_000
K = TypeVar("K")
V = TypeVar("V")


class TinyModel:
    """One model, loaded at the first question; may be asked from several threads.

    Contexts asked before are remembered, the least recently used forgotten first.

    Args:
        folder: a saved transformers model.
        memo_bytes: most memory for remembered distributions.
    """

    def __init__(self, folder: Path, memo_bytes: int = MEMO_BYTES) -> None:
        self.folder = folder
        self.spelling = Spelling.of_folder(folder)
        self._lock = threading.RLock()
        self._loaded: LoadedModel | None = None
        self._runner: Runner | None = None
        self._ends: frozenset[int] = frozenset()
        self._prompts: OrderedDict[Prompt, Ids] = OrderedDict()
        self._memo: OrderedDict[Ids, Following] = OrderedDict()
        self._room = max(1, memo_bytes // (8 * len(self.spelling)))

    @property
    def ends(self) -> frozenset[int]:
        """Ids that end an answer."""
        self.load()
        return self._ends

    def load(self) -> tuple[LoadedModel, Runner]:
        """The model and its way of computing; the first call takes seconds.

        Raises:
            ModelError: the folder does not load.
        """
        with self._lock:
            if self._loaded is None or self._runner is None:
                from kl_core.models.choose import choose_runner
                from kl_core.models.sample import end_ids

                self._loaded = load_model(ModelSpec(str(self.folder), device="cpu"))
                self._runner = choose_runner(self._loaded)
                self._ends = end_ids(self._loaded)
            return self._loaded, self._runner

    def start(self, prompt: Prompt, said: str) -> Ids:
        """The templated prompt, then the text encoded on its own and without specials.

        Raises:
            ApiError: 400, the chat template refuses the turns.
        """
        with self._lock:
            loaded, _ = self.load()
            ids = self._prompts.get(prompt)
            if ids is None:
                try:
                    ids = encode_prompt(loaded, prompt)
                except ModelError as error:
                    raise ApiError(400, str(error)) from error
                _remember(self._prompts, prompt, ids, 1024)
            return ids + encode_text(loaded, said) if said else ids

    def following(self, ids: Ids) -> Following:
        """The whole vocabulary, most likely first; float32 log-softmax of the logits.

        Raises:
            ApiError: 400, more tokens than the model has positions.
        """
        with self._lock:
            found = self._memo.get(ids)
            if found is None:
                found = self._compute(ids)
            _remember(self._memo, ids, found, self._room)
            return found

    @property
    def bos(self) -> int | None:
        """The id that texts begin with; None for none."""
        found = self.load()[0].tokenizer.bos_token_id
        return None if found is None else int(found)

    @property
    def positions(self) -> int | None:
        """Longest context in tokens; None for no limit."""
        return self.load()[1].limits.positions

    def closed(self, prompt: Prompt) -> Ids:
        """The templated prompt with its last turn over, the assistant's next.

        Raises:
            ApiError: 400, the chat template refuses the turns.
        """
        with self._lock:
            tokenizer = self.load()[0].tokenizer
            turns = [{"role": turn.role, "content": turn.content} for turn in prompt]
            try:
                encoded = tokenizer.apply_chat_template(
                    turns, add_generation_prompt=True, tokenize=True, return_dict=True
                )
            except Exception as error:
                raise ApiError(400, str(error)) from error
            return tuple(int(number) for number in encoded["input_ids"])

    def encode(self, text: str, special: bool) -> Ids:
        """By the model's own tokenizer, with what it adds of its own if `special`."""
        with self._lock:
            tokenizer = self.load()[0].tokenizer
            found = tokenizer(text, add_special_tokens=special)["input_ids"]
            return tuple(int(number) for number in found)

    def whole(self, ids: Ids, top: int) -> Whole:
        """One forward pass, whatever the length; what follows the text is remembered.

        Raises:
            ApiError: 400, more tokens than the model has positions.
        """
        from kl_core.emulator.whole import whole_of

        with self._lock:
            _, runner = self.load()
            self._require_room(ids, runner)
            found = whole_of(runner, ids, top)
            _remember(self._memo, ids, found.after, self._room)
            return found

    def _require_room(self, ids: Ids, runner: Runner) -> None:
        most = runner.limits.positions
        if most is not None and len(ids) > most:
            raise ApiError(
                400,
                f"The input token count ({len(ids)}) exceeds the maximum number of tokens "
                f"allowed ({most}).",
            )

    def _compute(self, ids: Ids) -> Following:
        import torch

        loaded, runner = self.load()
        self._require_room(ids, runner)
        with torch.inference_mode():
            states = runner.body.last_states(torch.tensor([ids], device=loaded.model.device))
            values = torch.log_softmax(runner.head.logits(states), 1)[0].numpy()
        order = np.argsort(-values, kind="stable")
        return Following(order.astype(np.int32), values[order])


def _remember(memo: OrderedDict[K, V], key: K, value: V, room: int) -> None:
    memo[key] = value
    memo.move_to_end(key)
    while len(memo) > room:
        memo.popitem(last=False)
