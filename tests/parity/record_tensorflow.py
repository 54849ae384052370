"""Record from real TensorFlow and Keras what the tests compare fastconv with; CI then needs neither.

    pip install "tensorflow-cpu==2.21.*" "keras==3.15.*"
    FASTCONV_DATA=/path/to/cifar python tests/parity/record_tensorflow.py

FASTCONV_DATA (or --data) is the folder of the binary CIFAR-10 files. These files are written to tests/data, each with
the versions, the seed, the date and this command:

- golden_losses.json: the losses of the first training steps of "cnn" (without Dropout), "mlp", "conv" and "resnet20" at
  batch 32 on the first images of the bundled sample, from the weights that `golden.golden_weights` makes. Each run also
  has the same in float64, and `rounding`: how far float32 runs whose first weights were moved by a rounding error went
  from float64 (losses relative, sums absolute), which is how far two right implementations may be apart. `curve` goes
  on to 100 steps, with the rounding of each.
- tensorflow_padding.json: output sizes and padding of tf.nn.conv2d, measured, for some 1,950 sizes in one dimension.
- keras_<name>.json: cases of layers, optimizers and others with their inputs (`CASES`).

`--only padding` and the like re-record one file. Everything runs on the CPU with one thread, in a minute.
"""

from __future__ import annotations

import argparse
import datetime
import functools
import importlib
import itertools
import json
import os
import platform
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["COLUMNS"] = "80"

import golden
import keras
import keras_networks
import numpy as np
import tensorflow as tf

SEED = 2
COMMAND = "python tests/parity/record_tensorflow.py"
# name: (network, gain of golden_weights, steps). At gain 1 rounding grows too fast for more than a few steps of "cnn",
# and even at 3 for "resnet20" at the learning rate that it would be trained with.
RUNS = {
    "cnn": ("cnn", 10.0, golden.STEPS),
    "cnn-gain-1": ("cnn", 1.0, 4),
    "mlp": ("mlp", 1.0, golden.STEPS),
    "conv": ("conv", 1.0, golden.STEPS),
    "resnet20": ("resnet20", 3.0, golden.STEPS),
}
CURVES = ("cnn", "mlp", "conv", "resnet20")  # runs that go on to golden.CURVE_STEPS
# keras_<name>.json: (what is in it, the module of the cases).
CASES = {
    "semantics": ("small cases with their inputs", "keras_cases"),
    "elementwise": ("elementwise layers", "keras_elementwise"),
    "losses": ("losses, metrics and small models that use them", "keras_losses"),
    "optimizers": ("steps on given gradients", "optimizer_cases"),
    "callbacks": ("scripted epochs, in callback_cases.py", "keras_callbacks"),
    "spatial": ("layers on images", "keras_spatial"),
    "graphs": ("branches, nested models and weights in fit", "graph_cases"),
}
PERTURBED_RUNS = 6
FLOAT32_ROUNDING = 2.0**-23
# The sizes of the padding measurements: they cover tests/shapes.py, and test_keras_semantics.py sees to it.
INPUT_SIZES = (*range(1, 34), 39, 40, 41, 47, 48, 49, 64, 70, 95, 96, 97, 100, 145, 200, 300)
KERNEL_SIZES = range(1, 8)
STRIDES = range(1, 4)


def read_sample(folder: str):
    """Return the images (uint8, NHWC) and labels of the bundled sample, read from the full training set."""
    root = Path(folder)
    root = root / "cifar-10-batches-bin" if (root / "cifar-10-batches-bin").is_dir() else root
    records = np.concatenate([np.fromfile(root / f"data_batch_{i}.bin", np.uint8) for i in range(1, 6)])
    records = records.reshape(-1, 3073)
    records = records[golden.sample_indices(records[:, 0])]
    return records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), records[:, 0]


def train(run: str, images, labels, floatx: str = "float32", perturbation: int | None = None) -> dict:
    """Train one run of `RUNS` and return its losses, its evaluation and the sums of its moving statistics."""
    network, gain, steps = RUNS[run]
    keras.utils.clear_session()
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(floatx)
    model = keras_networks.build(keras, network, dropout=0.0)
    shapes = [w.shape for w in model.get_weights()]
    weights = golden.golden_weights(shapes, SEED, gain)
    if perturbation is not None:
        rng = np.random.default_rng(perturbation)
        weights = [
            (w * (1 + FLOAT32_ROUNDING * rng.uniform(-1, 1, w.shape))).astype(np.float32) if w.ndim > 1 else w
            for w in weights
        ]
    model.set_weights(weights)
    model.compile(
        optimizer=keras.optimizers.Adam(keras_networks.LEARNING_RATES[network]),
        loss="categorical_crossentropy",
        metrics=["accuracy"],
    )
    batches = golden.batches(images, labels, golden.CURVE_STEPS if run in CURVES else steps)
    losses = [float(model.train_on_batch(x, y)[0]) for x, y in itertools.islice(batches, steps)]
    evaluated = slice(0, golden.EVALUATED)
    evaluation = model.evaluate(
        golden.scaled(images[evaluated]), golden.one_hot(labels[evaluated]), batch_size=golden.BATCH_SIZE, verbose=0
    )
    sums = {w.path: float(np.sum(w.numpy(), dtype=np.float64)) for w in model.weights if "moving" in w.path}
    curve = losses + [float(model.train_on_batch(x, y)[0]) for x, y in batches]
    found = {"shapes": shapes, "losses": losses, "evaluate": [float(v) for v in evaluation], "moving_sums": sums}
    return {**found, "curve": curve}


def golden_losses(data: str) -> dict:
    images, labels = read_sample(data)
    runs = {}
    for name, (network, gain, steps) in RUNS.items():
        exact = train(name, images, labels, "float64")
        plain = train(name, images, labels)
        perturbed = [train(name, images, labels, perturbation=i) for i in range(PERTURBED_RUNS)]
        float32 = [plain, *perturbed]

        def spread(pick, exact=exact, float32=float32):
            return float(max(np.max(np.abs(np.divide(pick(run), pick(exact)) - 1)) for run in float32))

        sums = exact["moving_sums"]
        moved = [abs(run["moving_sums"][key] - sums[key]) for run in float32 for key in sums]
        runs[name] = {
            "network": network,
            "learning_rate": keras_networks.LEARNING_RATES[network],
            "gain": gain,
            "steps": steps,
            "weight_shapes": [list(shape) for shape in plain["shapes"]],
            "losses": plain["losses"],
            "evaluate": plain["evaluate"],
            "moving_sums": plain["moving_sums"],
            "float64": {key: exact[key] for key in ("losses", "evaluate", "moving_sums")},
            "rounding": {
                "losses": spread(lambda run: run["losses"]),
                "evaluate_loss": spread(lambda run: run["evaluate"][0]),
                "moving_sums": max(moved, default=0.0),
            },
        }
        if name in CURVES:
            rounding = np.max([np.abs(np.divide(run["curve"], exact["curve"]) - 1) for run in float32], axis=0)
            runs[name]["curve"] = {"losses": exact["curve"], "rounding": [float(f"{v:.2g}") for v in rounding]}
    about = "steps on x/255 and one-hot labels; loss of a step before its update; see golden.py and the recorder"
    return {
        "about": about,
        "batch_size": golden.BATCH_SIZE,
        "optimizer": "Adam",
        "loss": "categorical_crossentropy",
        "evaluated_images": golden.EVALUATED,
        "sha256_of_the_images": golden.fingerprint(images, labels),
        "runs": runs,
    }


def padding() -> dict:
    """Measure tf.nn.conv2d in one dimension, with whole numbers so that sums are exact.

    The padding before the image is the only one, of all that could be, which gives TensorFlow's own output; the
    padding after it is what the last window then lacks.
    """
    rng = np.random.default_rng(SEED)
    rows = []
    for size in INPUT_SIZES:
        for kernel_size in KERNEL_SIZES:
            x = rng.integers(1, 1000, size).astype(np.float32)
            kernel = rng.integers(1, 1000, kernel_size).astype(np.float32)
            for stride in STRIDES:
                for name in ("same", "valid"):
                    if name == "valid" and kernel_size > size:
                        continue
                    y = tf.nn.conv2d(x.reshape(1, -1, 1, 1), kernel.reshape(-1, 1, 1, 1), stride, name.upper())
                    y = y.numpy().reshape(-1)
                    every = ((b, golden.correlate(x, kernel, stride, b, len(y))) for b in range(kernel_size))
                    fits = [before for before, candidate in every if np.array_equal(candidate, y)]
                    if len(fits) != 1:
                        raise RuntimeError(f"no single padding explains {(size, kernel_size, stride, name)}: {fits}")
                    after = max((len(y) - 1) * stride + kernel_size - size - fits[0], 0)
                    rows.append([size, kernel_size, stride, name, len(y), fits[0], after])
    about = "tf.nn.conv2d in one dimension, measured; a valid kernel larger than its input is left out (an error)"
    columns = ["input", "kernel", "stride", "padding", "output", "before", "after"]
    return {"about": about, "columns": columns, "rows": rows}


def cases(about: str, module: str) -> dict:
    """What Keras makes of the cases of one of the modules beside this one."""
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    return {"about": f"{about}; see {module}.py", **importlib.import_module(module).record(SEED)}


def dump(value, indent: int = 0) -> str:
    """JSON with a line for each key, and for each row of a list of lists or dicts; other lists stay on one line."""
    pad = "\n" + " " * (indent + 1)
    if isinstance(value, dict) and value:
        items = (f"{json.dumps(key)}: {dump(item, indent + 1)}" for key, item in value.items())
        return "{" + pad + ("," + pad).join(items) + "\n" + " " * indent + "}"
    if isinstance(value, list) and value and isinstance(value[0], (dict, str)) and indent < 3:
        return "[" + pad + ("," + pad).join(dump(item, indent + 1) for item in value) + "\n" + " " * indent + "]"
    if isinstance(value, list) and len(value) > 40 and isinstance(value[0], list):
        return "[" + pad + ("," + pad).join(json.dumps(item) for item in value) + "\n" + " " * indent + "]"
    return json.dumps(value, ensure_ascii=False)


def main() -> None:
    files = {"golden": ("golden_losses", lambda: golden_losses(args.data)), "padding": ("tensorflow_padding", padding)}
    for name, (about, module) in CASES.items():
        files[name] = (f"keras_{name}", functools.partial(cases, about, module))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=os.environ.get("FASTCONV_DATA"), help="folder of the binary CIFAR-10 files")
    parser.add_argument("--only", choices=list(files), help="record one file")
    args = parser.parse_args()
    if args.only in (None, "golden") and not args.data:
        parser.error("the losses need --data (or the environment variable FASTCONV_DATA): the binary CIFAR-10 files")
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    header = {
        "versions": {
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "seed": SEED,
        "date": datetime.date.today().isoformat(),
        "command": COMMAND,
    }
    for key, (name, record) in files.items():
        if args.only in (None, key):
            path = golden.DATA / f"{name}.json"
            path.write_text(dump({**header, **record()}) + "\n", encoding="utf-8")
            print(f"{path.relative_to(golden.DATA.parent.parent)}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
