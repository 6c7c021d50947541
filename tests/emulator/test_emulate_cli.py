"""`python -m kl_core emulate`: starts, says where, stops."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import pytest
import typer
from typer.testing import CliRunner

from kl_core.cli.emulate_command import emulate_command
from kl_core.errors import InputError, ModelError
from tests.emulator import gemini, openai_shaped

ARGUMENT_ERRORS = InputError | ModelError

# The command alone: importing the whole command line takes longer than the server.
START = "import typer; from kl_core.cli.emulate_command import emulate_command as e; typer.run(e)"


@pytest.fixture
def started(tmp_path):
    """A function that starts `emulate` with options and waits until it listens."""
    processes = []

    def start(*options):
        port_file = tmp_path / f"port{len(processes)}"
        words = ["--port", "0", "--answers", "hash", "--port-file", str(port_file), *options]
        process = subprocess.Popen(
            [sys.executable, "-c", START, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        deadline = time.monotonic() + 60
        while not port_file.exists():
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return process, port_file

    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_it_serves_with_its_options_and_ctrl_c_ends_it_quietly(started):
    """The port file leads to it, the options hold, and nothing stands on standard error."""
    process, port_file = started("--fault-rate", "1", "--faults", "503", "--no-prefill")
    base_url = f"http://127.0.0.1:{port_file.read_text()}"
    assert gemini.send(base_url + gemini.PATHS["developer"], gemini.body())[0] == 503
    status, reply = gemini.send(base_url + gemini.PATHS["vertex"], gemini.body("The"))
    assert status == 400
    assert "model turn" in reply["error"]["message"]
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert err == ""
    assert not port_file.exists()
    assert "prefill --input-dir sample_data/responses/gemini --model2 tiny-tuned " in out
    assert f"--base-url {base_url} --project-id demo --storage-url {base_url}" in out
    assert "tiny-base, tiny-tuned" in out
    assert "python -m kl_core sample --config sample_data/configs/demo.yaml" in out
    assert f"--model2 tiny-tuned --base-url {base_url}/v1 --tokenizer sample_data/models/" in out


def test_options_of_the_openai_shaped_server_hold(started):
    """Providers with their quirks, one model, its prices, no key, and the calls it offers."""
    words = ("--provider", "Quiet:no-logprobs", "--scoring", "echo", "--no-key", "--input-price")
    _, port_file = started(*words, "2", "--served-model", "tiny-base", "--max-logprobs", "40")
    base_url = f"http://127.0.0.1:{port_file.read_text()}"
    _, models = openai_shaped.get(base_url, "/v1/models", {})
    assert [model["id"] for model in models["data"]] == ["tiny-base"]
    assert models["data"][0]["pricing"] == {"prompt": "0.000002", "completion": "0"}
    assert openai_shaped.get(base_url, "/version", {})[0] == 404
    turns = [{"role": "user", "content": "Hi"}]
    body = {"model": "tiny-base", "messages": turns, "logprobs": True, "top_logprobs": 40}
    status, reply = openai_shaped.post(base_url, "/v1/chat/completions", body, {})
    assert (status, reply["provider"]) == (200, "Quiet")
    assert reply["choices"][0]["logprobs"] is None


def test_it_stops_when_nobody_calls(started):
    """--idle-minutes ends the demo server that a page has left behind."""
    process, port_file = started("--idle-minutes", "0.01")
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "Nobody called" in out
    assert not port_file.exists()


def test_a_port_in_use_is_one_sentence_and_code_2():
    """No traceback; the port and what to do about it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = _invoke("--port", str(port))
    assert isinstance(result.exception, ARGUMENT_ERRORS)
    assert f"port {port} cannot be used" in str(result.exception)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--faults", "429,nonsense"), "'nonsense' is not known"),
        (("--fault-rate", "1.5"), "fault_rate is 1.5"),
        (("--answers", "magic"), "'magic' is not known"),
        (("--batch-state", "DONE"), "'DONE' is not known"),
        (("--capacity", "0"), "capacity is 0"),
        (("--scoring", "llama"), "'llama' is not known"),
        (("--provider", "A:odd"), "quirk of A 'odd' is not known"),
        (("--max-logprobs", "-1"), "max_logprobs is -1"),
        (("--input-price", "-1"), "input_price is -1"),
        (("--idle-minutes", "0"), "--idle-minutes is 0"),
        (("--models", "/nowhere"), "holds no model"),
    ],
)
def test_options_that_make_no_sense_are_refused_in_a_sentence(words, reason):
    """Each is an error of the arguments (exit code 2), raised before anything listens."""
    result = _invoke("--port", "0", *words)
    assert isinstance(result.exception, ARGUMENT_ERRORS)
    assert reason in str(result.exception)


def _invoke(*words):
    app = typer.Typer()
    app.command()(emulate_command)
    return CliRunner().invoke(app, list(words))
