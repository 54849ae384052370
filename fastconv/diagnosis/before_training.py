"""Advice from what can be seen before the first step: the layers, the loss, the first samples."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastconv.diagnosis.advice import advise, due, listed
from fastconv.plan.graph import Buffer, Graph, Step

# Of inputs. Initializers and learning rates are made for values around 1; of numbers with mean 0 and deviation 1, and
# even of heavy tails, few exceed 10, while images as bytes go to 255 and most raw measurements beyond 10.
LARGEST_INPUT = 10
OTHER_SCALE = 10  # between data for training and for evaluation; a forgotten division by 255 or a mean is more
_LOOKED_AT = 64  # samples

# Ops that keep the scale of what they read: inputs reach a kernel behind them as they are.
_SAME_SCALE = ("view", "maxpool2d_forward", "avgpool2d_forward", "random_window", "space_to_batch", "batch_to_space",
               "copy_columns", "dropout_forward", "swap_axes")  # fmt: skip
_KERNELS = {"conv2d_fprop": "x", "grouped_conv2d_fprop": "x", "depthwise_conv2d_fprop": "x", "conv2d_dgrad": "dy"}


def advise_on_layers(model: Any) -> None:
    """What layers and losses say, once after `compile`: it calls this, or `fit` where the model was not built then."""
    if not due(model, "layers", 1):
        return
    graph = Graph("train", [(1, *x.shape[1:]) for x in model.inputs], model.frozen)
    for output, loss in zip(model.emit(graph, *graph.inputs), model.objective.losses, strict=True):
        last = _maker(graph, output)
        if last is not None and _probabilities(last):
            before = _maker(graph, last.reads["x"])
            if before is not None and _probabilities(before):
                _advise_on_two(model, before, last)
            if _probabilities(last) == "softmax" and last.reads["x"].shape[-1] == 1:
                advise(
                    model,
                    "softmax_of_one",
                    f"compile: {last.layer!r} is a softmax over a single unit, which is 1 for any input: nothing is "
                    'learned. Use activation="sigmoid" with loss="binary_crossentropy" for two classes in one unit.',
                )
        found = None if loss is None else loss.advice(graph, output)
        if found is not None:
            advise(model, found[0], f"compile: {found[1]}")


def _advise_on_two(model: Any, before: Step, last: Step) -> None:
    first, second = _probabilities(before), _probabilities(last)
    advise(
        model,
        "double_softmax",
        f"compile: {before.layer!r} ends in a {first} and {last.layer!r} takes a {second} of that. Numbers from 0 to 1 "
        "are nearly the same to it, so that no output comes near 1 and learning slows down or stops. Leave one of them "
        "out.",
    )


def _maker(graph: Graph, buffer: Buffer) -> Step | None:
    """The step that computes a buffer, views aside."""
    step = graph.producer(buffer)
    while step is not None and step.op == "view":
        step = graph.producer(step.reads["x"])
    return step


def _probabilities(step: Step) -> str:
    """The function if it makes numbers from 0 to 1 for a cross-entropy, else an empty string."""
    if step.op == "softmax_forward":
        return "softmax"
    sigmoid = step.op == "activation_forward" and step.attrs["function"] == "sigmoid"
    return "sigmoid" if sigmoid else ""


def advise_on_samples(model: Any, samples: Any, count: int | None, batch_size: int) -> None:
    """What the layers say of these samples.

    Args:
        model: built and compiled.
        samples: `fastconv.models.data.Samples`: all, or the first batch of what gives batches.
        count: of an epoch's samples; None where it is not known.
        batch_size: of its batches.
    """
    if not any(w.trainable and w not in model.frozen for w in model.weights):
        _advise_on_frozen(model)
    inputs = _some(samples)
    model.largest_inputs = [_largest(x) for x in inputs]
    large = max(model.largest_inputs) > LARGEST_INPUT and "inputs_not_scaled" not in model.advised
    single = (batch_size == 1 or (count or 0) % batch_size == 1) and "batch_of_one" not in model.advised
    if not (large or single):  # of most models: `fit` may be short, and layers need not be asked
        return
    graph = Graph("train", [(1, *x.shape[1:]) for x in model.inputs], model.frozen)
    model.emit(graph, *graph.inputs)
    if single:
        _advise_on_batches(model, graph, count, batch_size)
    if large:
        for title, *one in zip(_titles(model, "x"), graph.inputs, inputs, model.largest_inputs, strict=True):
            _advise_on_input(model, graph, title, *one)


def _some(samples: Any) -> list[np.ndarray]:
    """Views of inputs, spread over all: data may be sorted by class."""
    return samples.part(slice(None, None, -(-len(samples) // _LOOKED_AT))).inputs


def _titles(model: Any, name: str) -> list[str]:
    names = model.input_names
    return [f"{name}[{one!r}]" for one in names] if len(names) > 1 else [name]


def _largest(x: np.ndarray) -> float:
    return max(float(np.max(x)), -float(np.min(x)))


def advise_on_scale(model: Any, method: str, samples: Any, name: str = "x") -> None:
    """Compares samples to evaluate with those that `fit` was given last."""
    if "other_scale" in model.advised or not model.largest_inputs:
        return
    inputs = _some(samples)
    for title, before, now in zip(_titles(model, name), model.largest_inputs, map(_largest, inputs), strict=True):
        if LARGEST_INPUT < max(before, now) < math.inf and min(before, now) * OTHER_SCALE < max(before, now):
            advise(
                model,
                "other_scale",
                f"{method}: {title} goes up to {now:g}, and x that was trained on up to {before:g} ({len(inputs[0])} "
                "samples looked at). A network knows nothing of inputs on another scale. Scale both alike, or begin "
                "the model with layers.Rescaling, which scales whatever it is given.",
            )


def _advise_on_frozen(model: Any) -> None:
    frozen = sorted({weight.layer_name for weight in model.frozen})
    why = f"`trainable` was False of {listed(frozen)} when it was compiled" if frozen else "it has none that could"
    advise(
        model,
        "nothing_learns",
        f"fit: no weight of {model.name!r} learns: {why}. The loss will stay as it is. Set `trainable = True` where "
        "it should learn, then call `compile` again.",
    )


def _advise_on_input(model: Any, graph: Graph, name: str, buffer: Buffer, x: np.ndarray, largest: float) -> None:
    kernel = _kernel_behind(graph, buffer)
    if kernel is None or not LARGEST_INPUT < largest < math.inf:
        return
    divisor = 255 if 100 < largest <= 255 else float(f"{largest:.1g}")
    advise(
        model,
        "inputs_not_scaled",
        f"fit: {name} goes up to {largest:g} ({x.dtype}, {len(x)} samples looked at) and reaches {kernel!r} as it is. "
        f"Initial weights and learning rates are made for inputs around 1; with larger ones the first steps are too "
        f"large. Give x / {divisor:g}, to `evaluate` and `predict` as well, or begin the model with "
        f"layers.Rescaling(1 / {divisor:g}).",
    )


def _kernel_behind(graph: Graph, buffer: Buffer) -> str | None:
    """The name of a layer whose kernel multiplies an input at its scale; None where all is brought to another."""
    same = {buffer}
    for step in graph.steps:
        if step.op in _KERNELS and step.reads[_KERNELS[step.op]] in same:
            return step.layer
        if step.op in _SAME_SCALE and same & set(step.reads.values()):
            same.update(step.writes.values())
    return None


def _advise_on_batches(model: Any, graph: Graph, count: int | None, batch_size: int) -> None:
    norms = [step for step in graph.steps if step.op == "batchnorm_forward"]
    single = [step.layer for step in norms if math.prod(step.reads["x"].shape[:-1]) == 1]  # of a batch of one
    if norms and batch_size == 1:
        are = "have one value per channel, which becomes 0 whatever it is" if single else "are single images"
        layers = listed(single or [step.layer for step in norms])
        advise(
            model,
            "batch_of_one",
            f"fit: batch_size is 1, so that the batches of {layers} (BatchNormalization) {are}. Training then differs "
            "from `evaluate` and `predict`, which use the moving statistics. Use larger batches, or leave the "
            "normalization out.",
        )
    elif single:
        remedy = f"Choose another batch_size, or leave a sample out: x[:{count - 1}]" if count > 1 else "Give it more"
        advise(
            model,
            "batch_of_one",
            f"fit: the last of the batches has 1 of {count} samples (batch_size={batch_size}). For {listed(single)} "
            "(BatchNormalization) that is one value per channel, which becomes 0 whatever it is, and the moving "
            f"variance moves towards 0. {remedy}.",
        )
