"""Real servers on the loopback, for the time of a test: started on a free port, always ended by their process id."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cai_kedro.engines.server_settings import ServerSettings
from cai_kedro.microworld.shipped import shipped_directory

START_LIMIT_S = 120
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "OMP_NUM_THREADS": "1", "DO_NOT_TRACK": "1"}
SERVE = "import sys; from transformers.cli.transformers import main; sys.argv[0] = 'transformers'; main()"

#: transformers serve takes the most likely token whatever the temperature, unless its generation config says so.
DO_SAMPLE = {"generation_config": '{"do_sample": true, "top_k": 0, "eos_token_id": 1, "pad_token_id": 0}'}


def settings(base_url: str, **changed: Any) -> ServerSettings:
    """Settings that suit a small server; what a test is about it names itself."""
    usual = {
        "base_url": base_url,
        "model": "micro_lm",
        "api": "completions",
        "logprobs": "echo",
        "top_logprobs": 20,
        "prompt_prefix": "",
        "extra_body": {},
        "concurrency": 2,
        "timeout_s": 60,
        "max_retries": 0,
        "stalled_after_s": 120,
    }
    return ServerSettings(**{**usual, **changed})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def transformers_serve(*arguments: str) -> Iterator[str]:
    """`transformers serve` with arguments, by default the shipped micro LM; gives its base URL."""
    port = free_port()
    command = [sys.executable, "-c", SERVE, "serve", *(arguments or [str(shipped_directory())]), "--device", "cpu"]
    with _process([*command, "--host", "127.0.0.1", "--port", str(port)], f"http://127.0.0.1:{port}/health"):
        yield f"http://127.0.0.1:{port}/v1"


@contextmanager
def llama_cpp_server(gguf: Path, api_key: str) -> Iterator[str]:
    """The server of `llama-cpp-python` with a GGUF file; gives its base URL."""
    port = free_port()
    options = {"model": gguf, "model_alias": "micro_lm", "n_ctx": 1024, "logits_all": "true", "api_key": api_key}
    threads = {"n_threads": 1, "n_threads_batch": 1, "verbose": "false", "host": "127.0.0.1", "port": port}
    command = [sys.executable, "-m", "llama_cpp.server"]
    for name, value in {**options, **threads}.items():
        command += [f"--{name}", str(value)]
    with _process(command, f"http://127.0.0.1:{port}/docs"):
        yield f"http://127.0.0.1:{port}/v1"


@contextmanager
def _process(command: list[str], ready: str) -> Iterator[None]:
    process = subprocess.Popen(
        command, env={**os.environ, **OFFLINE}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait(process, ready)
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=10)


def _wait(process: subprocess.Popen, url: str) -> None:
    limit = time.monotonic() + START_LIMIT_S
    while time.monotonic() < limit:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode} before it was ready")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"the server was not ready within {START_LIMIT_S} s")


#: Status, headers, body; bytes are sent as they are, anything else as JSON.
Reply = tuple[int, dict[str, str], Any]


@contextmanager
def small_server(reply: Callable[[dict[str, Any], dict[str, str]], Reply]) -> Iterator[str]:
    """A server whose every answer a test decides: (body, headers) → (status, headers, body); gives its base URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, headers, answer = reply(body, {name.lower(): value for name, value in self.headers.items()})
            sent = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers, "Content-Length": len(sent)}.items():
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


def completion(text: str, **choice: Any) -> dict[str, Any]:
    """The body of a completion."""
    choices = [{"index": 0, "text": text, "finish_reason": "stop", "logprobs": None, **choice}]
    return {"id": "1", "object": "text_completion", "created": 0, "model": "m", "choices": choices}
