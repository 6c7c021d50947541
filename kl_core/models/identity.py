"""Who a model is: name, revision, weights, so that a run can be repeated."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

FULL_HASH_BYTES = 2 * 1024**3
SAMPLE_BYTES = 1024**2
CHUNK_BYTES = 1024**2


def weight_files(folder: Path) -> list[Path]:
    """Weight files of a checkpoint folder in name order: safetensors, else .bin."""
    for pattern in ("*.safetensors", "*.bin"):
        found = sorted(path for path in folder.glob(pattern) if path.name != "training_args.bin")
        if found:
            return found
    return []


def fingerprint(files: list[Path]) -> str | None:
    """Hash of weight files, None without any.

    Up to 2 GB in all: `sha256:` of their contents one after the other in name order
    (of one file, what `sha256sum` prints). Above: `sampled:`, a sha256 over each file's
    name, size, first and last megabyte.
    """
    if not files:
        return None
    digest = hashlib.sha256()
    if sum(path.stat().st_size for path in files) <= FULL_HASH_BYTES:
        for path in files:
            with path.open("rb") as stream:
                while piece := stream.read(CHUNK_BYTES):
                    digest.update(piece)
        return f"sha256:{digest.hexdigest()}"
    for path in files:
        size = path.stat().st_size
        digest.update(f"{path.name}:{size}:".encode())
        with path.open("rb") as stream:
            digest.update(stream.read(SAMPLE_BYTES))
            stream.seek(max(size - SAMPLE_BYTES, 0))
            digest.update(stream.read(SAMPLE_BYTES))
    return f"sampled:{digest.hexdigest()}"


def checkpoint_folder(name: str, revision: str | None) -> Path | None:
    """Where a model's files lie: the folder itself, or its snapshot in the Hub cache."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    from transformers.utils.hub import cached_file

    try:
        found = cached_file(name, "config.json", revision=revision, local_files_only=True)
    except OSError:
        return None
    return Path(found).parent if found else None


def describe(
    model: Any, tokenizer: Any, name: str, revision: str | None, adapter: str | None
) -> dict[str, Any]:
    """Identity of a loaded model, JSON-ready.

    `vocab_size` is the output layer's, padding included; `tokenizer_size` the
    tokenizer's own. `commit` is the Hub commit, None for a folder.
    """
    import torch
    import transformers

    folder = checkpoint_folder(name, revision)
    added = checkpoint_folder(adapter, None) or _adapter_folder(adapter) if adapter else None
    return {
        "name": name,
        "revision": revision,
        "commit": getattr(model.config, "_commit_hash", None),
        "architecture": type(model).__name__,
        "dtype": str(model.dtype).removeprefix("torch."),
        "device": str(model.device),
        "quantization": _quantization(model),
        "weights": fingerprint(weight_files(folder)) if folder else None,
        "adapter": adapter,
        "adapter_weights": fingerprint(weight_files(added)) if added else None,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "vocab_size": _output_rows(model),
        "tokenizer_size": len(tokenizer),
        "transformers": transformers.__version__,
        "torch": torch.__version__,
    }


def _adapter_folder(adapter: str) -> Path | None:
    from transformers.utils.hub import cached_file

    try:
        found = cached_file(adapter, "adapter_config.json", local_files_only=True)
    except OSError:
        return None
    return Path(found).parent if found else None


def _output_rows(model: Any) -> int:
    output = model.get_output_embeddings()
    return int(getattr(output, "out_features", model.config.get_text_config().vocab_size))


def _quantization(model: Any) -> str | None:
    config = getattr(model.config, "quantization_config", None)
    if config is None:
        return None
    method = config.get("quant_method") if isinstance(config, dict) else config.quant_method
    return str(getattr(method, "value", method))
