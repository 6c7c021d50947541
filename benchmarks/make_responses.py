"""Write many response files in the OpenRouter format, to measure imports with.

python benchmarks/make_responses.py FOLDER --files 10000 --tokens 100 --top 20
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import msgspec


def content_item(rng: random.Random, words: list[str], top: int) -> dict[str, object]:
    """One position: a falling list of `top` candidates, the sampled one among them."""
    logprobs = sorted([-0.05 - rng.expovariate(0.2) for _ in range(top)], reverse=True)
    logprobs = [value - 3.0 for value in logprobs]
    tops = [
        {"token": word, "logprob": value, "bytes": list(word.encode())}
        for word, value in zip(rng.sample(words, top), logprobs, strict=True)
    ]
    return {**tops[min(int(rng.expovariate(1.0)), top - 1)], "top_logprobs": tops}


def response(rng: random.Random, words: list[str], tokens: int, top: int) -> dict[str, object]:
    """One response of `tokens` positions."""
    content = [content_item(rng, words, top) for _ in range(tokens)]
    text = "".join([str(item["token"]) for item in content]).replace("Ġ", " ").strip()
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "logprobs": {"content": content}}
    return {"provider": "Nebius", "model": "made-up/model", "choices": [choice]}


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--tokens", type=int, default=100)
    parser.add_argument("--top", type=int, default=20)
    parser.add_argument("--distinct", type=int, default=200, help="files that are not copies")
    args = parser.parse_args()
    rng = random.Random(0)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = sorted(
        {
            rng.choice("ĠĠĠx") + "".join(rng.choices(letters, k=rng.randint(2, 8)))
            for _ in range(50_000)
        }
    )
    args.folder.mkdir(parents=True, exist_ok=True)
    bodies = [
        msgspec.json.encode([response(rng, words, args.tokens, args.top)])
        for _ in range(min(args.distinct, args.files))
    ]
    for n in range(args.files):
        head = msgspec.json.encode({"prompt": f"prompt {n}", "model": "made-up/model"})[:-1]
        body = head + b',"responses":' + bodies[n % len(bodies)] + b"}"
        (args.folder / f"prompt_{n:06d}.json").write_bytes(body)


if __name__ == "__main__":
    main()
