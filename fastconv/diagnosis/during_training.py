"""Advice from what training does: looked at seldom, so that a healthy `fit` takes as long as without it."""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from fastconv.diagnosis.advice import advise, due, listed
from fastconv.diagnosis.before_training import advise_on_layers, advise_on_samples
from fastconv.diagnosis.probe import Probe, spread
from fastconv.layers.batch_normalization import BatchNormalization
from fastconv.plan.graph import Step

# A step moves healthy weights by a thousandth of their size, and rates that still train by a tenth; above 1 what the
# initializer made is gone after one.
LARGEST_UPDATE = 1.0
# Of a layer's ReLU units. Wide layers on images from 0 to 1 go far with few: of the first layer of `mlp` 0.82 are dead
# with Adam(0.0005) on CIFAR-10, 0.92 with Adam(0.001) and 0.98 with its own Adam(0.005), at accuracies of 0.47, 0.46
# and 0.30 to 0.36 after some epochs.
DEAD_SHARE = 0.95
# Of the channels of a batch normalization, which single dead units before it do no harm.
CONSTANT_SHARE = 0.5
# The loss with moving statistics over that with the batch's, and the share of a moving average that may be its initial
# value: `cnn` on 5,000 images has ratios of 1.3 to 2 up to 314 steps and below 1.1 from 471 on, where 0.9% is left.
# Losses as near as this are both good.
WORSE, YOUNG, NEAR = 1.25, 0.01, 0.1

_SHARE = 32  # of the samples trained on, one is looked at
_MODES = ("evaluate", "train")
_LEAST, _MOST = 64, 256  # samples to look at: of fewer, a unit that few samples activate would pass for dead


class Adviser:
    """Of one `fit`.

    Args:
        model: compiled and built.
        samples: all of them, or the first batch of what gives batches.
        count: of an epoch's samples; None where it is not known.
        batch_size: of its batches.
    """

    def __init__(self, model: Any, samples: Any, count: int | None, batch_size: int):
        self._model, self._samples, self._batch_size = model, samples, batch_size
        advise_on_layers(model)
        advise_on_samples(model, samples, count, batch_size)

    def watched(self, batches: Iterable[Any]) -> Iterable[Any]:
        """The batches of an epoch; the weights are compared before and after the very first, and that of an epoch after
        twice as many steps."""
        model, executor = self._model, self._model._ready()
        if not executor.memory.on_host or "large_updates" in model.advised:  # a device must not be waited for
            return batches
        return self._watched(iter(batches)) if due(model, "updates", executor.iterations) else batches

    def _watched(self, batches: Iterator[Any]) -> Iterator[Any]:
        model = self._model
        kernels = [w for w in model.trainable_weights if w.name.endswith("kernel") and w not in model.frozen]
        before = [w.numpy() for w in kernels]
        yield from itertools.islice(batches, 1)
        _advise_on_updates(model, kernels, before)
        yield from batches

    def after_epoch(self) -> None:
        """Looks at activations once as many samples were trained on, and after twice as many again."""
        trained = self._model._ready().iterations * self._batch_size
        if trained >= _LEAST * _SHARE and due(self._model, "activations", trained):
            with contextlib.suppress(MemoryError):  # training goes on without
                _advise_on_activations(self._model, self._samples, min(_MOST, trained // _SHARE), self._batch_size)


def _advise_on_updates(model: Any, kernels: list[Any], before: list[np.ndarray]) -> None:
    """Of the kernels' root mean squares. One that begins at 0 or near it is measured by Glorot's deviation."""
    worst, name = LARGEST_UPDATE, ""
    for weight, old in zip(kernels, before, strict=True):
        glorot = math.sqrt(2 / (math.prod(weight.shape[:-2]) * sum(weight.shape[-2:])))
        ratio = _root_mean_square(weight.array - old) / max(_root_mean_square(old), glorot)
        if ratio > worst:
            worst, name = ratio, weight.path
    if name and math.isfinite(worst):  # else `fit` ends with a NonFiniteError, which knows more
        rate, steps = model.optimizer.learning_rate, model.optimizer.iterations
        advise(
            model,
            "large_updates",
            f"fit: step {steps} changed {name} by {worst:.3g} times its own size. What the weights were is gone after "
            f"such a step, and the loss mostly grows or jumps about. Lower the learning rate, {rate:g} now, by "
            f"{10 ** math.ceil(math.log10(worst * 10)):g} times or more, and scale large inputs or targets first.",
        )


def _root_mean_square(array: np.ndarray) -> float:
    return math.sqrt(float(np.square(array, dtype=np.float64).mean()))


def _advise_on_activations(model: Any, samples: Any, count: int, batch_size: int) -> None:
    samples = spread(samples, count)
    dead, constant = _Still(DEAD_SHARE), _Still(CONSTANT_SHARE)

    def visit(step: Step, values: Any) -> None:
        if _is_relu(step):
            dead.see(step, values("y"), 0)
        elif step.op == "batchnorm_inference" and step.reads["moving_mean"] in moving:
            x = values("x")
            constant.see(step, x, x.reshape(-1, x.shape[-1])[0])

    batch = min(batch_size, len(samples))
    probe = Probe(model, "predict", batch)
    moving = [probe.graph.weight(layer.moving_mean) for layer in _normalizations(model)]
    if not (moving or any(map(_is_relu, probe.graph.steps))):
        return
    for begin in range(0, len(samples) - batch + 1, batch):
        probe.run(samples.part(slice(begin, begin + batch)), visit)
        if not (dead.found or constant.found):
            return
    if dead.found:
        found = ", ".join(f"{math.floor(100 * share)}% of {name!r}" for name, share in dead.shares.items() if share)
        advise(
            model,
            "dead_units",
            f"fit: dead ReLU units after {model.optimizer.iterations} steps: {found}: 0 for all of {len(samples)} "
            "samples. Their gradient is 0 as well, so that they cannot come back, and what comes after learns from the "
            "others alone. Train anew with a lower learning rate, "
            f"{model.optimizer.learning_rate:g} now, scaled inputs, BatchNormalization before the ReLU, or LeakyReLU.",
        )
    if constant.found:
        found = ", ".join(f"{constant.shares[name]:.0%} of {name!r}" for name in constant.found)
        advise(
            model,
            "constant_channels",
            f"fit: channels that batch normalization gets one value of for all of {len(samples)} samples: {found}. "
            "Divided by a variance of 0 they carry nothing, and the first value that differs becomes huge. Look for "
            "dead units or constant inputs before them.",
        )


class _Still:
    """Channels that had one value in all that was seen of them, by layers.

    Args:
        share: of a layer's channels, from which on it is `found`.
    """

    def __init__(self, share: float):
        self._share = share
        self._layers: dict[str, tuple[np.ndarray, np.ndarray]] = {}  # the value of each channel, and whether it is all

    def see(self, step: Step, values: np.ndarray, first: Any) -> None:
        """Compares all values of a layer's channels with the `first` ones seen."""
        rows = values.reshape(-1, values.shape[-1])
        value, still = self._layers.setdefault(
            step.layer, (np.array(np.broadcast_to(first, rows.shape[1])), np.ones(rows.shape[1], bool))
        )
        for part in (rows[:: len(rows) // 256 or 1], rows):  # a few show of most channels that they are alive
            left = np.flatnonzero(still)
            if left.size:
                still[left] = (part[:, left] == value[left]).all(axis=0)

    @property
    def shares(self) -> dict[str, float]:
        """By the names of layers."""
        return {name: float(still.mean()) for name, (_, still) in self._layers.items()}

    @property
    def found(self) -> list[str]:
        """The names of the layers that have as large a share."""
        return [name for name, share in self.shares.items() if share >= self._share]


def _is_relu(step: Step) -> bool:
    """Whether nothing of a step's negative inputs passes on."""
    if step.op == "leaky_relu_forward":
        return step.attrs["slope"] == 0
    return step.op == "activation_forward" and step.attrs["function"] == "relu" and step.attrs["parameters"][0] == 0


def advise_on_statistics(model: Any, method: str, samples: Any, batch_size: int) -> None:
    """Compares the losses of some samples with moving and with their own statistics, where the moving ones are young.

    Overfitting moves both away from the loss of training; only young statistics part them from each other.
    """
    steps = model.optimizer.iterations
    if "young_statistics" in model.advised or not steps:
        return
    norms = [layer for layer in _normalizations(model) if layer.moving_mean not in model.frozen]
    young = [layer for layer in norms if layer.momentum**steps > YOUNG]
    if not young or not due(model, "statistics", steps):
        return
    samples = spread(samples, min(_LEAST, batch_size))
    if len(samples) < 2:
        return
    try:
        moving, own = (Probe(model, mode, len(samples), samples.weighted).run(samples) for mode in _MODES)
    except MemoryError:  # there is nothing to say
        return
    if moving > WORSE * own and moving - own > NEAR:
        momentum, names = max(layer.momentum for layer in young), listed([layer.name for layer in young])
        advise(
            model,
            "young_statistics",
            f"{method}: the loss of {len(samples)} samples is {moving:.3g} with the moving statistics of {names} "
            f"(BatchNormalization), and {own:.3g} with those of the batch, as in training. After {steps} steps "
            f"with momentum {momentum:g}, {momentum**steps:.0%} of the moving ones is still their initial mean 0 and "
            "variance 1, and the rest lags behind the weights. Train for more steps, or use "
            f"BatchNormalization(momentum={_momentum(steps):g}) for so few.",
        )


def _momentum(steps: int) -> float:
    """One of which a twentieth of the initial statistics is left after so many steps, with two digits, at least 0.5."""
    return max(0.5, math.floor(100 * 0.05 ** (1 / steps)) / 100)


def _normalizations(model: Any) -> Iterator[Any]:
    """The BatchNormalization layers, those of models inside as well."""
    for layer in model.layers:
        if isinstance(layer, BatchNormalization):
            yield layer
        elif getattr(layer, "layers", None):
            yield from _normalizations(layer)
