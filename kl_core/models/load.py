"""Loading transformers models, with errors that say what to do.

Importing this module is cheap: torch and transformers are imported by `load_model`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kl_core.errors import ModelError
from kl_core.models.identity import describe
from kl_core.models.text import encode_prompt, encode_text, read_chat_template
from kl_core.models.vocabulary import added_text_ids, vocabulary_pieces

__all__ = [
    "LoadedModel",
    "ModelSpec",
    "added_text_ids",
    "check_spec",
    "encode_prompt",
    "encode_text",
    "load_model",
    "load_tokenizer",
    "vocabulary_pieces",
]

log = logging.getLogger(__name__)

_LOADING = threading.Lock()
"""transformers makes empty models by a switch of the process: two at once mix their weights."""
_TOKENIZERS = ("tokenizer*", "vocab*", "*.model")
DTYPES = ("auto", "float32", "bfloat16", "float16")


@dataclass(frozen=True)
class ModelSpec:
    """Which model, and how to load and prompt it.

    Attributes:
        model: folder or Hub id.
        revision: branch, tag or commit on the Hub.
        dtype: auto, float32, bfloat16 or float16; auto is the checkpoint's own on an
            accelerator and float32 on a CPU.
        device: auto, cpu, cuda, cuda:0, mps.
        device_map: as transformers takes it ("auto" spreads over several devices).
        adapter: a peft adapter, folder or Hub id.
        trust_remote_code: allow code that the model's repository ships.
        chat_template: a jinja file or the template text, instead of the model's own.
        system: a system message before every prompt.
        raw: prompts are plain text, no template.
    """

    model: str
    revision: str | None = None
    dtype: str = "auto"
    device: str = "auto"
    device_map: str | None = None
    adapter: str | None = None
    trust_remote_code: bool = False
    chat_template: str | None = None
    system: str | None = None
    raw: bool = False


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model ready to score, its tokenizer and who it is.

    Attributes:
        model: a transformers causal language model in eval mode.
        tokenizer: its tokenizer, with the requested chat template in place.
        identity: JSON-ready; see `identity.describe`.
        spec: what it was loaded from.
    """

    model: Any
    tokenizer: Any
    identity: dict[str, Any]
    spec: ModelSpec


def load_model(spec: ModelSpec) -> LoadedModel:
    """Load a model, its tokenizer and its adapter; one at a time, whichever thread asks.

    safetensors weights are preferred; .bin weights load with a warning. A quantised
    checkpoint loads as transformers loads it and stays where it puts it.

    Raises:
        ModelError: anything that keeps it from loading, with what to do about it.
    """
    check_spec(spec)
    with _LOADING:
        return _load(spec)


def _load(spec: ModelSpec) -> LoadedModel:
    _quiet()
    device = _device(spec)
    config = _load_config(spec)
    tokenizer = _load_tokenizer(spec)
    if spec.chat_template is not None:
        tokenizer.chat_template = read_chat_template(spec.chat_template)
    model = _load_weights(spec, device, config)
    if spec.adapter is not None:
        model = _with_adapter(model, spec.adapter)
    model.eval()
    model.requires_grad_(False)
    identity = describe(model, tokenizer, spec.model, spec.revision, spec.adapter)
    log.info("loaded %s on %s in %s", spec.model, identity["device"], identity["dtype"])
    return LoadedModel(model, tokenizer, identity, spec)


def load_tokenizer(spec: ModelSpec) -> LoadedModel:
    """A model's tokenizer and chat template without its weights: `model` is None.

    For models that run elsewhere. `identity` holds the name, the sizes of the vocabulary, and
    a hash of it.

    Raises:
        ModelError: as load_model.
    """
    check_spec(spec, weights=False)
    folder = Path(spec.model).expanduser()
    if folder.is_dir() and not any(True for name in _TOKENIZERS for _ in folder.glob(name)):
        raise ModelError(f"{spec.model} holds no tokenizer; check the path.")
    _quiet()
    tokenizer = _load_tokenizer(spec)
    if spec.chat_template is not None:
        tokenizer.chat_template = read_chat_template(spec.chat_template)
    vocabulary = repr(sorted(tokenizer.get_vocab().items())).encode("utf-8", "surrogatepass")
    identity = {
        "name": spec.model,
        "revision": spec.revision,
        "tokenizer_size": len(tokenizer),
        "tokenizer_hash": f"sha256:{hashlib.sha256(vocabulary).hexdigest()}",
    }
    return LoadedModel(None, tokenizer, identity, spec)


def _quiet() -> None:
    """No progress bars and no retry warnings: runs have their own progress and errors."""
    from transformers.utils import logging as transformers_logging

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def check_spec(spec: ModelSpec, weights: bool = True) -> None:
    """Refuse what can be refused without loading anything; no torch is imported.

    Args:
        weights: False where only the tokenizer is wanted.

    Raises:
        ModelError: a number type that is not known, options that exclude each other, or a
            folder that is missing or holds no model.
    """
    if spec.dtype not in DTYPES:
        raise ModelError(f"dtype {spec.dtype} is not known; use one of {', '.join(DTYPES)}.")
    if spec.raw and spec.system:
        raise ModelError("A system message needs a chat template; drop --system or --raw.")
    looks_local = spec.model.startswith((".", "/", "~")) or spec.model.count("/") > 1
    folder = Path(spec.model).expanduser()
    if looks_local and not folder.is_dir():
        raise ModelError(f"There is no model folder {spec.model}; check the path.")
    if weights and folder.is_dir() and not (folder / "config.json").is_file():
        raise ModelError(
            f"{spec.model} holds no config.json; give the folder that a model was saved to."
        )


def _device(spec: ModelSpec) -> str:
    import torch

    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if spec.device == "auto":
        return "cuda" if cuda else "mps" if mps else "cpu"
    try:
        kind = torch.device(spec.device).type
    except RuntimeError as error:
        raise ModelError(
            f"Device {spec.device} is not known; use auto, cpu, cuda, cuda:0 or mps."
        ) from error
    if (kind == "cuda" and not cuda) or (kind == "mps" and not mps):
        raise ModelError(f"This computer offers no {kind} device; use --device auto or cpu.")
    index = torch.device(spec.device).index
    if kind == "cuda" and index is not None and index >= torch.cuda.device_count():
        raise ModelError(
            f"There is no {spec.device} among {torch.cuda.device_count()} GPUs; use a lower number."
        )
    return spec.device


def _load_config(spec: ModelSpec) -> Any:
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(
            spec.model, revision=spec.revision, trust_remote_code=spec.trust_remote_code
        )
    except Exception as error:
        raise _explain(spec, error, "configuration") from error


def _load_tokenizer(spec: ModelSpec) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(
            spec.model, revision=spec.revision, trust_remote_code=spec.trust_remote_code
        )
    except Exception as error:
        raise _explain(spec, error, "tokenizer") from error


def _load_weights(spec: ModelSpec, device: str, config: Any) -> Any:
    from transformers import AutoModelForCausalLM

    quantised = getattr(config, "quantization_config", None) is not None
    options: dict[str, Any] = {
        "revision": spec.revision,
        "trust_remote_code": spec.trust_remote_code,
        "dtype": _dtype(spec, device, quantised),
    }
    if spec.device_map is not None:
        options["device_map"] = spec.device_map
    elif quantised:
        options["device_map"] = {"": device}
    try:
        model = _prefer_safetensors(AutoModelForCausalLM, spec.model, options)
    except Exception as error:
        raise _explain(spec, error, "model") from error
    return model if "device_map" in options else model.to(device)


def _dtype(spec: ModelSpec, device: str, quantised: bool) -> Any:
    import torch

    if spec.dtype != "auto":
        return getattr(torch, spec.dtype)
    on_cpu = device == "cpu" and spec.device_map is None
    return torch.float32 if on_cpu and not quantised else "auto"


def _prefer_safetensors(auto: Any, name: str, options: dict[str, Any]) -> Any:
    try:
        return auto.from_pretrained(name, use_safetensors=True, **options)
    except OSError as error:
        if "safetensors" not in str(error):
            raise
        log.warning("%s has no safetensors weights; loading its .bin files", name)
        return auto.from_pretrained(name, use_safetensors=False, **options)


def _with_adapter(model: Any, adapter: str) -> Any:
    """Inject a peft adapter into the model; it stays a plain transformers model."""
    if importlib.util.find_spec("peft") is None:
        raise ModelError(f"Adapter {adapter} needs the peft package; run `pip install peft`.")
    from peft import PeftModel

    try:
        wrapped = PeftModel.from_pretrained(model, adapter)
    except Exception as error:
        raise ModelError(
            f"Adapter {adapter} could not be loaded ({_first_line(error)}); check its path and "
            "that it was trained on this model."
        ) from error
    if wrapped.active_peft_config.is_prompt_learning:
        raise ModelError(
            f"Adapter {adapter} is of type {wrapped.active_peft_config.peft_type.value}, which "
            "adds virtual tokens; use an adapter that changes weights, such as LoRA."
        )
    return wrapped.get_base_model()


def _explain(spec: ModelSpec, error: Exception, part: str) -> ModelError:
    """One sentence for what went wrong, and the next step."""
    text = str(error)
    if "trust_remote_code" in text:
        return ModelError(
            f"{spec.model} ships code of its own; read it, then pass --trust-remote-code."
        )
    if Path(spec.model).expanduser().is_dir():
        step = (
            "save the tokenizer into the same folder"
            if part == "tokenizer"
            else "check that it was saved completely by save_pretrained"
        )
        return ModelError(
            f"The {part} in folder {spec.model} does not load ({_first_line(error)}); {step}."
        )
    at = f" at revision {spec.revision}" if spec.revision else ""
    return ModelError(
        f"The {part} of {spec.model}{at} is neither a folder here nor could it be had from the "
        f"Hub ({_first_line(error)}); check the name, the network, and `hf auth login` for gated "
        "models."
    )


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__).rstrip(".")[:200]
