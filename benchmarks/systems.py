"""The benchmarked systems, each in a process of its own: what they are called, and how they are started and asked."""

from __future__ import annotations

import importlib.util
import os
import sys

import numpy as np
from process import PEERS, Process

SCRIPTS = {
    "fastconv": "fastconv_worker.py",
    "tensorflow": "tensorflow_peer.py",
    "torch": "torch_peer.py",
    "jax": "jax_peer.py",
}
# A framework's name alone is the framework as it comes; after a hyphen stands what is switched on.
SYSTEMS = ("fastconv", "tensorflow", "tensorflow-xla", "torch", "torch-channels-last", "torch-compile", "jax")


class Worker(Process):
    """The process of one system; the commands it answers are in peers/worker.py."""

    def __init__(self, system: str, python: str, threads: int, device: str = "cpu"):
        framework, _, self.variant = system.partition("-")
        super().__init__(python, SCRIPTS[framework], threads, device)
        self.system, self.threads, self.device = system, threads, device

    def set_up(self, **arguments) -> dict:
        """Versions, mode and what it can be timed at; network, batch_size, data and learning_rate are needed."""
        return self.ask("setup", variant=self.variant, threads=self.threads, device=self.device, **arguments)


def add_options(parser) -> None:
    names = ",".join(SYSTEMS)
    parser.add_argument("--systems", type=lambda text: text.split(","), help=f"out of {names}; default: all")
    add_pythons(parser)


def add_pythons(parser) -> None:
    for framework in SCRIPTS:
        parser.add_argument(f"--python-{framework}", default=sys.executable, metavar="PATH", help="its Python")


def check_options(parser, args) -> None:
    unknown = set(args.systems or ()) - set(SYSTEMS)
    if unknown:
        parser.error(f"--systems must be out of {', '.join(SYSTEMS)}. Received: {', '.join(sorted(unknown))}")


def python_of(args, system: str) -> str:
    return getattr(args, f"python_{system.partition('-')[0]}")


def load_golden():
    """tests/parity/golden.py: the weights and their shapes are those of the recorded losses."""
    path = PEERS.parents[1] / "tests" / "parity" / "golden.py"
    spec = importlib.util.spec_from_file_location("golden", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write_data(folder: str, network: str, images: int | None = None) -> dict:
    """Write the images, labels and first weights that all systems get; return arguments of `Worker.set_up`.

    Args:
        folder: where the file is put.
        network: name of the network.
        images: how many of the bundled training images; all if None.
    """
    import fastconv

    golden = load_golden()
    recorded = golden.load("golden_losses")
    run = recorded["runs"][network]
    weights = golden.golden_weights(run["weight_shapes"], recorded["seed"], run["gain"])
    (x, y), _ = fastconv.datasets.load_sample()
    path = os.path.join(folder, f"{network}.npz")
    np.savez(path, images=x[:images], labels=y[:images], **{f"w{i}": w for i, w in enumerate(weights)})
    return {"network": network, "data": path, "learning_rate": run["learning_rate"]}
