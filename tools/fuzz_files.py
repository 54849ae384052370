#!/usr/bin/env python3
"""Damages files of every format that fastconv reads, and sees that each ends in a clean error or in a model, for those
who look into it (`fastconv inspect`), too.

    python tools/fuzz_files.py [--count 10000] [--seed 1]

Files are cut short, or have bytes and bits changed anywhere or near their beginning, where the structure is; those of
models also have settings of any other value, with the file around them whole. A clean
error is a ValueError (`FormatError` is one) that leaves the model as it was. Memory must not grow by more than twice a
file and 64 MB. It ends with 1 if one does otherwise, and leaves that file beside it.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import resource
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import fastconv
from fastconv import layers
from fastconv.models import Model
from fastconv.saving import backup, keras_file, save_torch
from fastconv.saving.describe import describe

_MORE_MB = 64


def network() -> Model:
    image = layers.Input((8, 8, 3))
    x = layers.LeakyReLU()(layers.BatchNormalization()(layers.Conv2D(4, 3, 2)(image)))
    x = layers.Add()([x, layers.Conv2D(4, 1)(x)])
    model = Model(image, layers.Dense(3, activation="softmax")(layers.Flatten()(x)))
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return model


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    kind = rng.integers(4)
    if kind == 0:
        return content[: rng.integers(len(content))]
    changed = bytearray(content)
    reach = min(len(content), int(rng.choice([64, 1024, 8192, len(content)])))
    for place in rng.integers(0, reach, rng.choice([1, 2, 8, 64])):
        changed[place] = rng.integers(256) if kind < 3 else changed[place] ^ (1 << rng.integers(8))
    return bytes(changed)


def resettled(content: bytes, rng: np.random.Generator) -> bytes:
    """The model's file with settings of other values, of any type."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    places = list(_places(config))
    for i in rng.integers(len(places), size=rng.choice([1, 1, 2, 4])):
        holder, key = places[i]
        values = [None, True, -1, 0, 10**12, 1e300, "", "linear", [], [None], {}, {"class_name": ["x"], "config": 3}]
        values.append(places[rng.integers(len(places))][0])
        holder[key] = json.loads(json.dumps(values[rng.integers(len(values))]))
    members["config.json"] = json.dumps(config).encode()
    result = io.BytesIO()
    with zipfile.ZipFile(result, "w") as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return result.getvalue()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Everything within lists and dicts: what holds it, and under which key."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield value, key
        if isinstance(item, (dict, list)):
            yield from _places(item)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000, help="damaged files of each format")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    model = network()
    model.save(folder / "m.keras")
    model.save_weights(folder / "m.weights.h5")
    model.save_weights(folder / "m.safetensors")
    save_torch(model, folder / "torch.safetensors")
    state = {"epoch": 1, "batch": 2, "stopped": False, "learning_rate": 0.1, "callbacks": [["History", {}]]}
    backup.write(folder / "backup.safetensors", {**state, "weights": model.get_weights(), "training": {"step": 3}})
    (folder / "settings.keras").write_bytes((folder / "m.keras").read_bytes())
    readers = {
        "m.keras": keras_file.load_model,
        "settings.keras": keras_file.load_model,
        "m.weights.h5": model.load_weights,
        "m.safetensors": model.load_weights,
        "backup.safetensors": describe,
        "torch.safetensors": lambda path: fastconv.saving.load_torch(model, path),
    }
    for name, read in readers.items():
        content, rng, counts, slowest = (folder / name).read_bytes(), np.random.default_rng(args.seed), [0, 0], 0.0
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(args.count):
            path = folder / f"damaged-{name}"
            path.write_bytes((resettled if name == "settings.keras" else damaged)(content, rng))
            weights = model.get_weights()
            began = time.perf_counter()
            try:
                with contextlib.suppress(ValueError):
                    describe(path)
                read(path)
                counts[0] += 1
            except ValueError:
                counts[1] += 1
                if not all(map(np.array_equal, model.get_weights(), weights)):
                    print(f"{path}: an error, and other weights than before")
                    return 1
            except BaseException:
                print(f"{path}: not a clean error")
                raise
            slowest = max(slowest, time.perf_counter() - began)
            model.set_weights(weights)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        print(f"{name}: {counts[0]} read, {counts[1]} refused, at most {slowest * 1e3:.0f} ms, memory +{grown:.0f} MB")
        if grown > _MORE_MB + 2 * len(content) / 2**20:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
