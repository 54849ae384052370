"""JAX on the CPU or a GPU, jit: a worker of `benchmarks/train.py` and `gpu.py` (see worker.py).

The networks are written by hand on jax.lax: NHWC images, HWIO kernels, batch normalization, dropout and Adam by Keras'
formulas. One compiled function is the whole training step; it takes its state over (donated buffers).
"""

from __future__ import annotations

import functools
import itertools

import numpy as np
import worker

# Layers after the image; ("conv", stride), and ("norm", slope) is batch normalization with LeakyReLU. "filter" is a
# convolution without a bias; "keep" keeps the tensor that "add" adds and "shortcut" convolves before.
NORM = ("norm", 0.3)


def block(stride):
    first = (("keep",), ("filter", stride), ("norm", 0.0), ("filter", 1))
    return (*first, *([("shortcut", stride)] if stride > 1 else []), ("norm", 1.0), ("add",), ("relu",))


NETWORKS = {
    "mlp": (("dense",), ("relu",), ("dense",), ("relu",), ("dense",)),
    "conv": (("conv", 2), ("conv", 2), ("dense",)),
    "cnn": (
        *(("conv", 1), NORM, ("conv", 2), NORM, ("conv", 1), NORM, ("conv", 2), NORM),
        *(("dense",), NORM, ("dropout",), ("dense",)),
    ),
    "resnet20": (
        *(("filter", 1), ("norm", 0.0)),
        *(part for stride in (1, 1, 1, 2, 1, 1, 2, 1, 1) for part in block(stride)),
        *(("average",), ("dense",)),
    ),
}
FILTERS = ("filter", "shortcut")  # have a kernel, no bias
MOMENTUM, EPSILON = 0.99, 1e-3
BETA_1, BETA_2, ADAM_EPSILON = 0.9, 0.999, 1e-7


class Jax(worker.System):
    modes = {
        "": "jit of the whole step, NHWC, donated buffers; an epoch is a lax.scan over its steps",
        # of gpu.py
        "bf16": "as jax; products and stored activations in bfloat16, statistics and weights in float32",
    }

    def begin(self, threads):
        import jax

        jax.config.update("jax_platforms", self.device)  # on the CPU as many threads as the process has cores
        try:
            jax.devices()
        except RuntimeError as error:
            raise worker.Unavailable(f"JAX finds no device: {error}") from error
        self.jax = jax
        return {"jax": jax.__version__, "numpy": np.__version__}

    def build(self, dropout):
        """Return the compiled step (state, x, y) -> state, loss, count of right answers, and the first state."""
        weights, moving = split(NETWORKS[self.network], self.weights)
        zeros = [np.zeros_like(w) for w in weights]
        state = self.jax.device_put((weights, moving, zeros, zeros, np.int32(0)))
        dtype = self.jax.numpy.bfloat16 if self.variant == "bf16" else np.float32
        step = functools.partial(train_step, self.jax, NETWORKS[self.network], dropout, self.learning_rate, dtype)
        return self.jax.jit(step, donate_argnums=0), state

    def losses(self, steps):
        step, state = self.build(dropout=0.0)
        found = []
        for x, y in self.batches(steps):
            state, loss, _ = step(state, x, y)
            found.append(float(loss))
        return {"losses": found}

    def prepare_fit(self):
        """A shuffled epoch that keeps the running loss and accuracy, as Keras' `fit` does."""
        step, state = self.build(dropout=0.5)
        rng = np.random.default_rng(0)

        def run(steps):
            nonlocal state
            images, labels = self.data(steps)
            total_loss = total_right = 0
            for index in np.split(rng.permutation(len(images)), steps):
                state, loss, right = step(state, images[index], labels[index])
                total_loss = total_loss + loss * len(index)
                total_right = total_right + right
            return float(total_loss) / len(images), float(total_right) / len(images)

        return run

    def prepare_epoch(self):
        """Shuffled epochs of images that stay on the device, without a smaller last batch; loss and accuracy are read
        at the end. An epoch is one call."""
        jax, batch_size = self.jax, self.batch_size
        step, state = self.build(dropout=0.5)
        data = jax.device_put(self.epoch_data())
        keys = itertools.count()

        @functools.partial(jax.jit, donate_argnums=0)
        def scanned(state, key, data):
            steps = len(data[0]) // batch_size
            order = jax.random.permutation(key, len(data[0]))[: steps * batch_size]

            def one(state, index):
                state, *result = step(state, *(a[index] for a in data))
                return state, result

            state, (losses, right) = jax.lax.scan(one, state, order.reshape(steps, batch_size))
            return state, losses.mean(), right.sum() / (steps * batch_size)

        def epoch():
            nonlocal state
            state, loss, accuracy = scanned(state, jax.random.key(next(keys)), data)
            return float(loss), float(accuracy)

        return worker.each(epoch)

    def prepare_step(self):
        step, state = self.build(dropout=0.5)
        batches = [self.jax.device_put(batch) for batch in self.batches()]

        def run(steps):
            nonlocal state
            for x, y in worker.in_turn(batches, steps):
                state, loss, _ = step(state, x, y)
            self.jax.block_until_ready((state, loss))

        return run

    def prepare_predict(self):
        """From a NumPy array to a NumPy array, as the others' `predict`."""
        jax, layers = self.jax, NETWORKS[self.network]
        weights, moving = jax.device_put(split(layers, self.weights))
        predict = jax.jit(lambda x: jax.nn.softmax(forward(jax, layers, weights, moving, x)[0]))
        x, _ = self.batches(1)[0]
        return worker.repeat(lambda: np.asarray(predict(x)))


def split(layers, arrays):
    """Keras' list of weights as (those that are trained, moving means and variances)."""
    remaining, weights, moving = iter(arrays), [], []
    for kind, *_ in layers:
        if kind in ("conv", "dense", "norm"):
            weights += [next(remaining), next(remaining)]
        if kind in FILTERS:
            weights.append(next(remaining))
        if kind == "norm":
            moving += [next(remaining), next(remaining)]
    return weights, moving


def forward(jax, layers, weights, moving, x, key=None, dropout=0.0, dtype=np.float32):
    """Return logits and the new moving statistics; with a key (of jax.random), as in training.

    Convolutions and dense layers take and return `dtype`; all else is float32.
    """
    jnp, weights, moving, updated = jax.numpy, iter(weights), iter(moving), []
    kept = None

    def convolve(x, stride):
        layout = ("NHWC", "HWIO", "NHWC")
        x, kernel = x.astype(dtype), next(weights).astype(dtype)
        x = jax.lax.conv_general_dilated(x, kernel, (stride, stride), "SAME", dimension_numbers=layout)
        return x.astype(np.float32)

    for kind, *argument in layers:
        if kind == "conv":
            x = convolve(x, *argument) + next(weights)
        elif kind == "filter":
            x = convolve(x, *argument)
        elif kind == "shortcut":
            kept = convolve(kept, *argument)
        elif kind == "keep":
            kept = x
        elif kind == "add":
            x = x + kept
        elif kind == "average":
            x = jnp.mean(x, (1, 2))
        elif kind == "dense":
            x = x.reshape(len(x), -1).astype(dtype) @ next(weights).astype(dtype)
            x = x.astype(np.float32) + next(weights)
        elif kind == "relu":
            x = jax.nn.relu(x)
        elif kind == "norm":
            mean, variance = next(moving), next(moving)
            if key is not None:
                of_batch = jnp.mean(x, range(x.ndim - 1)), jnp.var(x, range(x.ndim - 1))
                old = jnp.stack((mean, variance))
                updated += list(MOMENTUM * old + (1 - MOMENTUM) * jnp.stack(of_batch))
                mean, variance = of_batch
            x = (x - mean) * (next(weights) * jax.lax.rsqrt(variance + EPSILON)) + next(weights)
            x = x if argument[0] == 1 else jax.nn.leaky_relu(x, argument[0])
        elif key is not None and dropout:
            x = jnp.where(jax.random.bernoulli(key, 1 - dropout, x.shape), x / (1 - dropout), 0)
    return x, updated


def train_step(jax, layers, dropout, learning_rate, dtype, state, x, y):
    jnp = jax.numpy
    weights, moving, firsts, seconds, step = state
    key = jax.random.fold_in(jax.random.key(0), step)

    def loss_of(weights):
        logits, updated = forward(jax, layers, weights, moving, x, key, dropout, dtype)
        return -jnp.mean(jnp.sum(y * jax.nn.log_softmax(logits), axis=1)), (logits, updated)

    (loss, (logits, moving)), gradients = jax.value_and_grad(loss_of, has_aux=True)(weights)
    step += 1
    rate = learning_rate * jnp.sqrt(1 - BETA_2**step) / (1 - BETA_1**step)
    firsts = [m + (g - m) * (1 - BETA_1) for m, g in zip(firsts, gradients, strict=True)]
    seconds = [v + (g * g - v) * (1 - BETA_2) for v, g in zip(seconds, gradients, strict=True)]
    weights = [w - rate * m / (jnp.sqrt(v) + ADAM_EPSILON) for w, m, v in zip(weights, firsts, seconds, strict=True)]
    right = jnp.sum(jnp.argmax(logits, axis=1) == jnp.argmax(y, axis=1))
    return (weights, moving, firsts, seconds, step), loss, right


if __name__ == "__main__":
    worker.serve(Jax())
