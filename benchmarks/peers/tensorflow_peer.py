"""Keras on TensorFlow, CPU: a worker of `benchmarks/train.py`, and the reference runs on full CIFAR-10.

Started without arguments it is a worker (see worker.py). With `--accuracy` it trains a network as its notebook does
and writes the test loss and accuracy after each phase of the schedule to benchmarks/results/keras_reference.json:

    FASTCONV_DATA=/path/to/cifar python benchmarks/peers/tensorflow_peer.py --accuracy mlp --seed 1
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
from pathlib import Path

import numpy as np
import worker

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "parity"))

import keras_networks  # noqa: E402  (found through the line above)

# (epochs, batch size) one after the other with one optimizer, as in the notebooks.
SCHEDULES = {"mlp": ((10, 32), (5, 256), (5, 2048)), "conv": ((10, 32),)}


class TensorFlow(worker.System):
    modes = {
        "": "Keras fit, predict; step: tf.function; call: model(x)",
        "xla": "jit_compile=True: Keras fit, predict; step and call: tf.function",
    }

    def begin(self, threads):
        import keras
        import tensorflow as tf

        if self.device == "cuda" and not tf.config.list_physical_devices("GPU"):
            raise worker.Unavailable("TensorFlow finds no GPU")
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        self.tf, self.keras = tf, keras
        return {"tensorflow": tf.__version__, "keras": keras.__version__, "numpy": np.__version__}

    @property
    def jit(self):
        return self.variant == "xla"

    def build(self, dropout):
        model = keras_networks.build(self.keras, self.network, dropout)
        model.set_weights(self.weights)
        adam = self.keras.optimizers.Adam(self.learning_rate)
        # Left to itself ("auto"), Keras 3.15 compiles nothing with XLA on the CPU.
        model.compile(adam, "categorical_crossentropy", metrics=["accuracy"], jit_compile=self.jit)
        return model

    def losses(self, steps):
        model = self.build(dropout=0.0)
        return {"losses": [float(model.train_on_batch(x, y)[0]) for x, y in self.batches(steps)]}

    def prepare_fit(self):
        model = self.build(dropout=0.5)

        def run(steps):
            x, y = self.data(steps)
            model.fit(x, y, batch_size=self.batch_size, epochs=1, verbose=0, shuffle=True)

        return run

    def prepare_epoch(self):
        """Keras' `fit` on arrays of the host: it has no data set on the device."""
        model, (x, y) = self.build(dropout=0.5), self.epoch_data()
        return worker.each(lambda: model.fit(x, y, batch_size=self.batch_size, epochs=1, verbose=0, shuffle=True))

    def prepare_step(self):
        tf, model = self.tf, self.build(dropout=0.5)
        loss = self.keras.losses.CategoricalCrossentropy()
        model.optimizer.build(model.trainable_variables)
        batches = [(tf.constant(x), tf.constant(y)) for x, y in self.batches()]

        @tf.function(jit_compile=self.jit)
        def step(x, y):
            with tf.GradientTape() as tape:
                value = loss(y, model(x, training=True))
            gradients = tape.gradient(value, model.trainable_variables)
            model.optimizer.apply(gradients, model.trainable_variables)
            return value

        def run(steps):
            for x, y in worker.in_turn(batches, steps):
                value = step(x, y)
            value.numpy()

        return run

    def prepare_predict(self):
        model, (x, _) = self.build(dropout=0.5), self.batches(1)[0]
        return worker.repeat(lambda: model.predict(x, verbose=0))

    def prepare_call(self):
        model, (x, _) = self.build(dropout=0.5), self.batches(1)[0]
        call = self.tf.function(model, jit_compile=True) if self.jit else model
        return worker.repeat(lambda: call(x, training=False).numpy())


def read_cifar(folder: str):
    """Return (x_train, y_train), (x_test, y_test) of the binary files: images in 0..1 and one-hot labels."""
    folder = Path(folder)
    if (folder / "cifar-10-batches-bin").is_dir():
        folder = folder / "cifar-10-batches-bin"
    parts = []
    for names in ([f"data_batch_{i}.bin" for i in range(1, 6)], ["test_batch.bin"]):
        records = np.concatenate([np.fromfile(folder / name, np.uint8).reshape(-1, 3073) for name in names])
        images = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1).astype(np.float32) / 255
        parts.append((np.ascontiguousarray(images), np.eye(10, dtype=np.float32)[records[:, 0]]))
    return parts


def reference_run(name: str, data: str, seed: int, threads: int) -> dict:
    system = TensorFlow()
    system.network, system.variant = name, ""
    versions = system.begin(threads)
    keras = system.keras
    keras.utils.set_random_seed(seed)
    (x, y), (x_test, y_test) = read_cifar(data)
    model = keras_networks.build(keras, name)
    rate = keras_networks.LEARNING_RATES[name]
    model.compile(optimizer=keras.optimizers.Adam(rate), loss="categorical_crossentropy", metrics=["accuracy"])
    phases = []
    for epochs, batch_size in SCHEDULES[name]:
        history = model.fit(x, y, batch_size=batch_size, epochs=epochs, shuffle=True, verbose=2).history
        test = [float(value) for value in model.evaluate(x_test, y_test, batch_size=1000, verbose=0)]
        train = [float(history["loss"][-1]), float(history["accuracy"][-1])]
        phase = {"epochs": epochs, "batch_size": batch_size, "test": test, "train": train}
        print(json.dumps(phase), flush=True)
        phases.append(phase)
    return {
        "versions": versions,
        "seed": seed,
        "threads": threads,
        "date": datetime.date.today().isoformat(),
        "learning_rate": rate,
        "phases": phases,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accuracy", choices=sorted(SCHEDULES), help="network to train on full CIFAR-10")
    parser.add_argument("--data", default=os.environ.get("FASTCONV_DATA"), help="folder of the binary CIFAR-10 files")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "keras_reference.json")
    args = parser.parse_args()
    if not args.accuracy:
        worker.serve(TensorFlow())
        return
    if not args.data:
        parser.error("--accuracy needs --data (or the environment variable FASTCONV_DATA)")
    run = reference_run(args.accuracy, args.data, args.seed, args.threads)
    run["command"] = (
        f"python benchmarks/peers/tensorflow_peer.py --accuracy {args.accuracy}"
        f" --seed {args.seed} --threads {args.threads}"
    )
    results = json.loads(args.out.read_text()) if args.out.exists() else {}
    results.setdefault("about", "Keras on full CIFAR-10 (x/255); test and train are [loss, accuracy] after the phase")
    results.setdefault("runs", {}).setdefault(args.accuracy, []).append(run)
    args.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
