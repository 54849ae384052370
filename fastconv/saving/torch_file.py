"""Weights to and from PyTorch: the arrays of a `state_dict` in a safetensors file, with the layouts turned round.

| fastconv | PyTorch |
| --- | --- |
| Conv2D kernel (R, S, C, K), bias | Conv2d weight (K, C, R, S), bias |
| Conv2DTranspose kernel (R, S, K, C), bias | ConvTranspose2d weight (C, K, R, S), bias |
| DepthwiseConv2D kernel (R, S, C, M), bias | Conv2d with groups=C: weight (C * M, 1, R, S), bias |
| Dense kernel (C, K), bias | Linear weight (K, C), bias |
| BatchNormalization gamma, beta, moving_mean, moving_variance | BatchNorm weight, bias, running_mean, running_var |

A Dense layer behind a Flatten reads rows, columns and channels in another order there (C, H, W), which is turned too.
PyTorch's running variance is that of batches of n numbers divided by n - 1, fastconv's (and Keras') by n: with
`batch_size` the one becomes the other. Settings do not travel: PyTorch's BatchNorm wants eps=1e-3, momentum=0.01, and
its padding=1 at stride 2 is not "same" (ZeroPad2d((0, 1, 0, 1)) is, on even sizes).
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from fastconv.diagnosis.advice import advise, listed
from fastconv.geometry import dilated
from fastconv.geometry import window as padding_window
from fastconv.layers import Conv2DTranspose
from fastconv.layers.base import Layer
from fastconv.models.model import require_built
from fastconv.saving.atomic import StrPath, atomic_write

_PASSES_ON = ("Activation", "BatchNormalization", "Dropout", "LeakyReLU", "ReLU")  # leave the order of numbers as it is


class _Place(NamedTuple):
    """A layer's weight and how PyTorch has it."""

    name: str
    turned: Callable[[np.ndarray], np.ndarray]
    back: Callable[[np.ndarray], np.ndarray]


def save_torch(
    model: Any, path: StrPath, names: Mapping[str, str] | None = None, batch_size: int | None = None
) -> None:
    """Writes the weights as a PyTorch `state_dict` to a safetensors file, whole or not at all.

    Args:
        model: a built model of Conv2D, Conv2DTranspose, DepthwiseConv2D, Dense, BatchNormalization and layers without
            weights.
        path: the file, ending in ".safetensors"; `safetensors.torch.load_file` reads it.
        names: PyTorch's names of modules by the names of layers, such as {"conv2d": "features.0"}; layers that are left
            out keep their own.
        batch_size: of the training that PyTorch would have done, for the variances; None leaves them as they are.

    Raises:
        ValueError: on a layer whose weights have no place in PyTorch, or a wrong argument.
        OSError: the file cannot be written; what was there before is unchanged.
    """
    from safetensors.numpy import save

    path, names, arrays = _checked(path), names or {}, {}
    for layer, shapes in _layers(model, names):
        prefix = names.get(layer.name, layer.name)
        for weight, place in zip(layer.weights, _places(layer, shapes, batch_size), strict=True):
            arrays[f"{prefix}.{place.name}"] = np.ascontiguousarray(place.turned(weight.array), np.float32)
    with atomic_write(path) as file:
        file.write(save(arrays))


def load_torch(
    model: Any, path: StrPath, names: Mapping[str, str] | None = None, batch_size: int | None = None
) -> None:
    """Reads the weights of a PyTorch `state_dict` (of `safetensors.torch.save_file`) into a model of the same layers.

    The whole file is checked before the first weight changes. An `AdviceWarning` names layers whose zeros lie elsewhere
    than where PyTorch's `padding` puts them, which a file of weights cannot say.

    Args:
        model: a built model.
        path: the file.
        names: as of `save_torch`. Modules that are left out are taken by the names of layers if these are theirs, else
            in the natural order of their names ("layer2.1" before "layer10.0").
        batch_size: as of `save_torch`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: naming the array that is missing, too much, or of another shape.
    """
    path = _checked(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no weights file {path}")
    arrays = _read(path)
    layers = _layers(model, names or {})
    prefixes = _prefixes(arrays, layers, names or {}, path)
    values, taken = [], set()
    for layer, shapes in layers:
        for weight, place in zip(layer.weights, _places(layer, shapes, batch_size), strict=True):
            key = f"{prefixes[layer.name]}.{place.name}"
            expected = place.turned(np.empty(weight.shape, np.float32)).shape
            received = arrays[key].shape if key in arrays else None
            if received != expected:
                raise ValueError(f"{path}: expected {key} of shape {expected} for {weight.path}. Received: {received}")
            values.append((weight, place.back(arrays[key]).reshape(weight.shape)))
            taken.add(key)
    if extra := sorted(arrays.keys() - taken):
        raise ValueError(f"{path}: expected the arrays of this model alone. Received: {', '.join(extra[:4])} as well")
    for weight, value in values:
        weight.assign(value)
    _advise_on_padding(model)


def _advise_on_padding(model: Any) -> None:
    """PyTorch pads as many zeros before as after; "same" with an odd number of them has the extra one after."""
    uneven = [node.layer.name for node in model.nodes if _pads_unevenly(node)]
    if uneven:
        advise(
            model,
            "padding_of_torch",
            f'load_torch: {listed(uneven)}: padding="same" adds an odd number of zeros there, the extra one below and '
            "to the right. PyTorch's `padding` adds as many above and to the left: weights trained with that see an "
            'image shifted by a pixel, and predict worse. For those put ZeroPadding2D and padding="valid" in its '
            "place. Weights trained with ZeroPad2d((0, 1, 0, 1)) are as they should be.",
        )


def _pads_unevenly(node: Any) -> bool:
    layer = node.layer
    window = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None)
    if window is None or isinstance(layer, Conv2DTranspose) or layer.padding != "same":
        return False
    window = dilated(window, getattr(layer, "dilation_rate", (1, 1)))
    for size, taps, stride in zip(node.inputs[0].shape[1:3], window, layer.strides, strict=True):
        outputs, before = padding_window(size, taps, stride, "same")
        if max((outputs - 1) * stride + taps - size, 0) != 2 * before:
            return True
    return False


def _checked(path: StrPath) -> str:
    path = os.fspath(path)
    if not path.endswith(".safetensors"):
        raise ValueError(f'path: expected a name that ends in ".safetensors". Received: {path!r}')
    return path


def _read(path: str) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    from fastconv.saving.safetensors_file import check_length

    check_length(path)
    try:
        arrays = load_file(path)
    except (SafetensorError, ValueError, KeyError) as error:  # of a type NumPy has not
        raise ValueError(f"{path} is damaged or of numbers that NumPy has not: {error}") from error
    return {key: value for key, value in arrays.items() if not key.endswith("num_batches_tracked")}


def _layers(model: Any, names: Mapping[str, str]) -> list[tuple[Layer, list[tuple]]]:
    """The layers with weights, and the shapes of their inputs with what they were before a Flatten."""
    if not isinstance(names, Mapping):
        raise ValueError(f"names: expected a dict of names of layers and of modules. Received: names={names!r}")
    require_built(model)
    found = {}
    for node in model.nodes:
        if node.layer.weights and node.layer not in found:
            found[node.layer] = [node.inputs[0].shape, _before_flatten(node.inputs[0])]
    unknown = names.keys() - {layer.name for layer in found}
    if unknown:
        raise ValueError(f"names: expected layers with weights. Received: {sorted(unknown)}")
    return list(found.items())


def _before_flatten(tensor: Any) -> tuple | None:
    """The shape (N, H, W, C) whose flattened form a tensor is, or None."""
    while type(tensor.node.layer).__name__ in _PASSES_ON:
        tensor = tensor.node.inputs[0]
    if type(tensor.node.layer).__name__ != "Flatten":
        return None
    shape = tensor.node.inputs[0].shape
    return shape if len(shape) == 4 else None


def _places(layer: Layer, shapes: list[tuple], batch_size: int | None) -> list[_Place]:
    """How PyTorch has each weight of a layer, in the layer's order."""
    same = (np.asarray, np.asarray)
    kind = type(layer).__name__
    if kind == "BatchNormalization":
        factor = _unbiased(shapes[0], batch_size)
        names = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
        scale = (lambda v: v * factor, lambda v: v / factor)
        return [_Place(names[w.name], *(scale if w.name == "moving_variance" else same)) for w in layer.weights]
    if kind == "Conv2D" or kind == "Conv2DTranspose":
        kernel = (lambda v: v.transpose(3, 2, 0, 1), lambda v: v.transpose(2, 3, 1, 0))
    elif kind == "DepthwiseConv2D":
        kernel = (
            lambda v: v.transpose(2, 3, 0, 1).reshape(-1, 1, *v.shape[:2]),
            lambda v: v.reshape(shapes[0][-1], -1, *v.shape[2:]).transpose(2, 3, 0, 1),
        )
    elif kind == "Dense":
        kernel = _dense(shapes[1])
    else:
        raise ValueError(f"{layer.name}: expected a layer whose weights PyTorch has alike. Received: {kind}")
    return [_Place("bias", *same) if w.name == "bias" else _Place("weight", *kernel) for w in layer.weights]


def _dense(flattened: tuple | None):
    if flattened is None:
        return (lambda v: v.T, lambda v: v.T)
    h, w, c = flattened[1:]
    return (
        lambda v: v.reshape(h, w, c, -1).transpose(3, 2, 0, 1).reshape(-1, c * h * w),
        lambda v: v.reshape(-1, c, h, w).transpose(2, 3, 1, 0).reshape(h * w * c, -1),
    )


def _unbiased(shape: tuple, batch_size: int | None) -> float:
    """What turns a variance of n numbers divided by n into one divided by n - 1."""
    if batch_size is None:
        return 1.0
    count = batch_size * math.prod(shape[1:-1])
    if count < 2:
        raise ValueError(f"batch_size: expected two numbers a channel or more. Received: batch_size={batch_size!r}")
    return count / (count - 1)


def _prefixes(arrays: Mapping[str, Any], layers: list, names: Mapping[str, str], path: str) -> dict[str, str]:
    """PyTorch's name of each layer's module."""
    modules = {key.rpartition(".")[0] for key in arrays} - set(names.values())
    rest = [layer.name for layer, _ in layers if layer.name not in names]
    if len(modules) != len(rest):
        raise ValueError(
            f"{path}: expected {len(rest)} modules with weights. Received: {len(modules)}, without those of `names`"
        )
    if modules == set(rest):
        return {**names, **{name: name for name in rest}}
    ordered = sorted(modules, key=lambda name: [int(s) if s.isdecimal() else s for s in re.split(r"(\d+)", name)])
    return {**names, **dict(zip(rest, ordered, strict=True))}
