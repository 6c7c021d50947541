"""Make `models/tiny-base`, `models/tiny-tuned` and `truth.json`: python sample_data/make_models.py

Seeded; the weights repeat exactly on one machine with one version of torch.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import torch
from corpus import load_topics, truth
from make_tokenizer import make_tokenizer
from train_base import train_base
from train_tuned import train_tuned
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

HERE = Path(__file__).parent
SEED = 0
BASE_STEPS = 1800
TUNED_STEPS = 600


def main() -> None:
    """Train both models and write them with the truth about them."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    topics = load_topics()
    tokenizer = make_tokenizer(topics, SEED)
    started = time.perf_counter()
    base = train_base(topics, tokenizer, SEED, BASE_STEPS)
    save(base, tokenizer, HERE / "models" / "tiny-base")
    print(f"tiny-base: {time.perf_counter() - started:.0f} s")
    started = time.perf_counter()
    tuned = train_tuned(base, topics, tokenizer, SEED, TUNED_STEPS)
    save(tuned, tokenizer, HERE / "models" / "tiny-tuned")
    print(f"tiny-tuned: {time.perf_counter() - started:.0f} s")
    text = json.dumps(truth(topics), indent=2, ensure_ascii=False)
    (HERE / "truth.json").write_text(text + "\n", encoding="utf-8")


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write model and tokenizer for `from_pretrained`, readable by everyone."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    for path in folder.iterdir():
        path.chmod(0o644)


if __name__ == "__main__":
    main()
