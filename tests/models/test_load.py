"""Loading: what comes out, and one helpful sentence when nothing can."""

from __future__ import annotations

import hashlib
import json
import logging
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PrefixTuningConfig, get_peft_model
from transformers import LlamaConfig

from kl_core.errors import ModelError
from kl_core.models import identity, load
from kl_core.models.choose import choose_runner
from kl_core.models.engine import PrefixCacheEngine
from kl_core.models.load import ModelSpec, load_model
from tests.models.test_engine import gaps
from tests.models.tiny import CONFIGS, SHAPE, VOCAB, make_tokenizer, save, some_work, stressed

MODELS = Path(__file__).resolve().parents[2] / "sample_data" / "models"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save(tmp_path_factory.mktemp("model"))


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """No test may reach for the Hub."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def test_folder_loads_in_float32_on_a_cpu_with_its_identity(folder):
    """Who it is: dtype, device, sizes, versions and the sha256 of its weight file."""
    loaded = load_model(ModelSpec(str(folder), device="cpu"))
    weights = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert loaded.identity["weights"] == f"sha256:{weights}"
    assert loaded.identity["dtype"] == "float32"
    assert loaded.identity["device"] == "cpu"
    assert loaded.identity["vocab_size"] == VOCAB
    assert loaded.identity["parameters"] == sum(p.numel() for p in loaded.model.parameters())
    assert loaded.identity["torch"] == torch.__version__
    assert not loaded.model.training
    json.dumps(loaded.identity)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_dtype_is_as_asked(folder, dtype):
    """The option decides, and the identity says so."""
    loaded = load_model(ModelSpec(str(folder), dtype=dtype, device="cpu"))
    assert loaded.model.dtype == getattr(torch, dtype)
    assert loaded.identity["dtype"] == dtype


def test_device_map_is_handed_to_transformers(folder):
    """Placement by accelerate gives the same scores."""
    loaded = load_model(ModelSpec(str(folder), device_map="cpu"))
    work = some_work()
    engine = PrefixCacheEngine(loaded, 3)
    assert engine.kind == "prefix-cache"
    assert gaps(loaded.model, work, engine.score(work))["chosen"].max() <= 1e-4


def test_bin_weights_load_with_a_warning(folder, tmp_path, caplog):
    """Only when there are no safetensors."""
    copy = save(tmp_path / "m")
    model = stressed(CONFIGS["llama"]())
    (copy / "model.safetensors").unlink()
    torch.save(model.state_dict(), copy / "pytorch_model.bin")
    with caplog.at_level(logging.WARNING, logger="kl_core.models.load"):
        loaded = load_model(ModelSpec(str(copy), device="cpu"))
    assert "no safetensors" in caplog.text
    assert torch.equal(loaded.model.lm_head.weight, model.lm_head.weight)
    assert loaded.identity["weights"].startswith("sha256:")


def test_large_weights_are_fingerprinted_by_samples(folder, monkeypatch):
    """The name says that not every byte was read; a changed tail is seen."""
    files = identity.weight_files(folder)
    monkeypatch.setattr(identity, "FULL_HASH_BYTES", 10)
    monkeypatch.setattr(identity, "SAMPLE_BYTES", 64)
    first = identity.fingerprint(files)
    assert first.startswith("sampled:")
    data = files[0].read_bytes()
    try:
        files[0].write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        assert identity.fingerprint(files) != first
    finally:
        files[0].write_bytes(data)


def spec_errors(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "config.json").write_text('{"model_type": "no-such-family"}')
    return {
        "no model folder": ModelSpec(str(tmp_path / "nowhere")),
        "no config.json": ModelSpec(str(tmp_path / "empty")),
        "configuration in folder": ModelSpec(str(tmp_path / "odd"), device="cpu"),
        "from the Hub": ModelSpec("someone/no-such-model-here", device="cpu"),
        "at revision abc": ModelSpec("someone/no-such-model-here", revision="abc", device="cpu"),
        "dtype int3": ModelSpec(str(tmp_path), dtype="int3"),
        "drop --system or --raw": ModelSpec(str(tmp_path), raw=True, system="be brief"),
    }


@pytest.mark.parametrize(
    "words",
    [
        "no model folder",
        "no config.json",
        "configuration in folder",
        "from the Hub",
        "at revision abc",
        "dtype int3",
        "drop --system or --raw",
    ],
)
def test_what_cannot_load_says_why_in_one_sentence(words, tmp_path):
    """One line, ending in a full stop, with the next step in it."""
    with pytest.raises(ModelError) as error:
        load_model(spec_errors(tmp_path)[words])
    text = str(error.value)
    assert words in text
    assert "\n" not in text
    assert text.endswith(".")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a computer without CUDA")
def test_missing_device_is_named(folder):
    """cuda without a GPU, and a device that is none."""
    with pytest.raises(ModelError, match="no cuda device"):
        load_model(ModelSpec(str(folder), device="cuda"))
    with pytest.raises(ModelError, match="toaster"):
        load_model(ModelSpec(str(folder), device="toaster"))


def test_folder_without_tokenizer_says_so(tmp_path):
    """Weights alone cannot read text."""
    stressed(CONFIGS["llama"]()).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="tokenizer in folder"):
        load_model(ModelSpec(str(tmp_path), device="cpu"))


def test_folder_without_weights_says_so(tmp_path):
    """A config and a tokenizer are not a model."""
    save(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="model in folder"):
        load_model(ModelSpec(str(tmp_path), device="cpu"))


def test_remote_code_needs_the_flag(tmp_path):
    """A repository with code of its own is not run unasked."""
    make_tokenizer().save_pretrained(tmp_path)
    config = {
        "model_type": "homemade",
        "auto_map": {"AutoConfig": "code.C", "AutoModelForCausalLM": "code.M"},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "code.py").write_text("raise SystemExit('code was run')")
    with pytest.raises(ModelError, match="--trust-remote-code"):
        load_model(ModelSpec(str(tmp_path), device="cpu"))


@pytest.fixture(scope="module")
def adapter(folder, tmp_path_factory):
    """A LoRA on disk that touches attention and the output layer."""
    torch.manual_seed(1)
    config = LoraConfig(
        r=4, target_modules=["q_proj", "v_proj", "lm_head"], init_lora_weights=False
    )
    path = tmp_path_factory.mktemp("adapter")
    get_peft_model(stressed(CONFIGS["llama"]()), config).save_pretrained(path)
    return path


def test_adapter_changes_the_logits_and_the_engine_follows(folder, adapter):
    """The adapted model differs from its base and is scored as its own call says."""
    base = load_model(ModelSpec(str(folder), device="cpu"))
    tuned = load_model(ModelSpec(str(folder), device="cpu", adapter=str(adapter)))
    ids = torch.tensor([[1, 5, 9]])
    assert (base.model(ids).logits - tuned.model(ids).logits).abs().max() > 0.1
    assert tuned.identity["adapter_weights"].startswith("sha256:")
    assert choose_runner(tuned).body.kind == "prefix-cache"
    work = some_work()
    assert gaps(tuned.model, work, PrefixCacheEngine(tuned, 3).score(work))["chosen"].max() <= 1e-4


def test_adapter_that_cannot_be_used_says_so(folder, tmp_path):
    """Missing on disk, or of a kind that adds tokens instead of changing weights."""
    with pytest.raises(ModelError, match="could not be loaded"):
        load_model(ModelSpec(str(folder), device="cpu", adapter=str(tmp_path / "none")))
    config = PrefixTuningConfig(num_virtual_tokens=3, task_type="CAUSAL_LM")
    get_peft_model(stressed(CONFIGS["llama"]()), config).save_pretrained(tmp_path / "prefix")
    with pytest.raises(ModelError, match="virtual tokens"):
        load_model(ModelSpec(str(folder), device="cpu", adapter=str(tmp_path / "prefix")))


def test_quantised_checkpoint_loads_and_is_scored_as_it_is(tmp_path):
    """A 4-bit folder loads as transformers does it and follows its own call."""
    pytest.importorskip("bitsandbytes")
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    wide = {"hidden_size": 128, "intermediate_size": 256, "head_dim": 32, "num_key_value_heads": 4}
    stressed(LlamaConfig(**{**SHAPE, **wide})).save_pretrained(tmp_path / "plain")
    config = BitsAndBytesConfig(load_in_4bit=True)
    AutoModelForCausalLM.from_pretrained(
        tmp_path / "plain", quantization_config=config, device_map={"": "cpu"}
    ).save_pretrained(tmp_path / "small")
    make_tokenizer().save_pretrained(tmp_path / "small")
    loaded = load_model(ModelSpec(str(tmp_path / "small"), device="cpu"))
    assert loaded.identity["quantization"] == "bitsandbytes"
    engine = PrefixCacheEngine(loaded, 3)
    assert engine.kind == "prefix-cache"
    work = some_work()
    assert gaps(loaded.model, work, engine.score(work))["chosen"].max() <= 1e-3


def test_importing_the_loader_does_not_import_torch():
    """The dataclass is cheap to have."""
    code = (
        "import sys, kl_core.models.load as l; print('torch' in sys.modules, l.ModelSpec('x').raw)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_models_loaded_by_several_threads_at_once_have_their_own_weights():
    """transformers' loading is not safe for that; here it is."""
    names = ("tiny-base", "tiny-tuned") * 2
    with ThreadPoolExecutor(len(names)) as threads:
        found = list(threads.map(lambda name: load_model(ModelSpec(str(MODELS / name))), names))
    sums = [float(loaded.model.get_output_embeddings().weight.double().sum()) for loaded in found]
    assert sums[0] == sums[2]
    assert sums[1] == sums[3]
    assert sums[0] != sums[1]


def test_no_two_models_are_under_way_of_being_loaded(monkeypatch):
    """The switch that transformers throws is the process's, so threads wait for each other."""
    under_way, most = 0, []

    def slowly(spec):
        nonlocal under_way
        under_way += 1
        most.append(under_way)
        time.sleep(0.02)
        under_way -= 1
        return spec.model

    monkeypatch.setattr(load, "_load", slowly)
    name = str(MODELS / "tiny-base")
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(load_model, [ModelSpec(name)] * 4)) == [name] * 4
    assert most == [1] * 4
