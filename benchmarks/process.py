"""A peer in a process of its own: a line of JSON out, a line of JSON back. peers/worker.py is the other side."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
from pathlib import Path

PEERS = Path(__file__).resolve().parent / "peers"
# On a GPU the processes share its memory: JAX and TensorFlow would take most of it when they start.
ENVIRONMENTS = {
    "cpu": {"CUDA_VISIBLE_DEVICES": "-1"},
    "cuda": {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_FORCE_GPU_ALLOW_GROWTH": "true"},
}


class NotInstalled(Exception):
    """The peer cannot be imported by its Python, or not run on this machine."""


class Ended(Exception):
    """The peer's process ended in the middle of its work."""


class Process:
    """Runs `script` of peers/ under `python` until it is closed."""

    def __init__(self, python: str, script: str, threads: int, device: str = "cpu"):
        self.script = script
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed in close)
        self.process = subprocess.Popen(
            [python, str(PEERS / script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": str(threads), **ENVIRONMENTS[device]},
        )

    def ask(self, command: str, **arguments) -> dict:
        try:
            self.process.stdin.write(json.dumps({"command": command, **arguments}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise Ended(f"{self.script} ended at {command!r} with status {self.process.wait()}")
        answer = json.loads(line)
        if "error" not in answer:
            return answer
        if answer["error"].startswith(("ModuleNotFoundError", "Unavailable")):
            raise NotInstalled(answer["error"])
        self.log.seek(0)
        raise RuntimeError(f"{self.script} failed at {command!r}: {answer['error']}\n{self.log.read()[-2000:]}")

    def close(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.log.close()
