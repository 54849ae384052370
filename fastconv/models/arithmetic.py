"""How the numbers of a summary come about: parameters and output sizes of a layer as expressions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastconv import layers
from fastconv.geometry import dilated


def arithmetic(layer: Any) -> list[str]:
    """Lines such as "16 = ceil(32 / 2)" and "490 = (4 x 4 x 3 + 1) x 10": sizes first, of the layer's last call.

    A size that the layer does not change, or takes from an argument, has no line; nor have no parameters.

    >>> layer = Conv2D(10, 4, strides=2, padding="same")
    >>> _ = layer(Input((32, 32, 3)))
    >>> arithmetic(layer)
    ['16 = ceil(32 / 2)', '490 = (4 x 4 x 3 + 1) x 10']
    """
    lines = sizes(layer) if layer.calls else []
    count = layer.count_params() if layer.built else 0
    return [*lines, f"{count:,} = {parameters(layer)}"] if count else lines


def parameters(layer: Any) -> str:
    """The sum of the sizes of a layer's weights, from its windows, channels and units."""
    if getattr(layer, "layers", None):
        counts = {id(inner): inner.count_params() for inner in layer.layers}
        return " + ".join(f"{count:,}" for count in counts.values() if count)
    kernel, bias = getattr(layer, "kernel", None), getattr(layer, "bias", None)
    if kernel is None:
        return _sum(layer.weights)
    if isinstance(layer, layers.DepthwiseConv2D):
        window, filters = kernel.shape[:2], kernel.shape[2:]
    elif isinstance(layer, layers.Conv2DTranspose):
        window, filters = (*kernel.shape[:2], kernel.shape[3]), kernel.shape[2:3]
    else:
        window, filters = kernel.shape[:-1], kernel.shape[-1:]
    return f"{_product(window) if bias is None else f'({_product(window)} + 1)'} x {_product(filters)}"


def _sum(weights: Sequence[Any]) -> str:
    """Weights of one shape together: batch normalization has four of a number per channel."""
    names: dict[tuple, list[str]] = {}
    for weight in weights:
        names.setdefault(weight.shape, []).append(weight.name)
    return " + ".join(
        _product(shape) if len(same) == 1 else f"{len(same)} x {_product(shape)} ({', '.join(same)})"
        for shape, same in names.items()
    )


def _product(numbers: Sequence[int]) -> str:
    return " x ".join(map(str, numbers)) or "1"


def sizes(layer: Any) -> list[str]:
    """Of the axes that the layer's last call changed, each arithmetic once."""
    node = layer.calls[-1]
    before, after = [tensor.shape for tensor in node.inputs], node.outputs[0].shape
    if isinstance(layer, layers.Flatten):
        return [f"{after[1]:,} = {_product(before[0][1:])}"]
    if isinstance(layer, layers.Concatenate):
        return [f"{after[layer.axis]:,} = {' + '.join(str(shape[layer.axis]) for shape in before)}"]
    if not any(isinstance(layer, kind) for kind in _AXES):
        return []
    of_axis = next(rule for kind, rule in _AXES.items() if isinstance(layer, kind))
    lines = [f"{after[1 + axis]:,} = {text}" for axis in (0, 1) if (text := of_axis(layer, axis, before[0][1 + axis]))]
    return list(dict.fromkeys(lines))


def _convolution(layer: Any, axis: int, size: int) -> str:
    return _window(layer, axis, size, layer.kernel_size[axis], layer.dilation_rate[axis])


def _pooling(layer: Any, axis: int, size: int) -> str:
    return _window(layer, axis, size, layer.pool_size[axis], 1)


def _window(layer: Any, axis: int, size: int, taps: int, dilation: int) -> str:
    """The rule of `fastconv.geometry.window`."""
    stride = layer.strides[axis]
    if layer.padding == "same":
        return f"ceil({size} / {stride})" if stride > 1 else ""
    window = str(taps) if dilation == 1 else f"(({taps} - 1) x {dilation} + 1)"
    return f"{size} - {window} + 1" if stride == 1 else f"floor(({size} - {window}) / {stride}) + 1"


def _transposed(layer: Any, axis: int, size: int) -> str:
    """The rule of `fastconv.geometry.transposed_size`."""
    (kernel,) = dilated(layer.kernel_size[axis : axis + 1], layer.dilation_rate[axis : axis + 1])
    stride, extra = layer.strides[axis], layer.output_padding
    if extra is None and layer.padding == "same":
        return f"{size} x {stride}" if stride > 1 else ""
    if extra is None:
        return f"({size} - 1) x {stride} + {max(kernel, stride)}"
    return f"({size} - 1) x {stride} + {kernel % 2 if layer.padding == 'same' else kernel} + {extra[axis]}"


def _padded(layer: Any, axis: int, size: int) -> str:
    before, after = layer.padding[axis]
    return f"{before} + {size} + {after}"


def _cropped(layer: Any, axis: int, size: int) -> str:
    before, after = layer.cropping[axis]
    return f"{size} - {before} - {after}"


def _repeated(layer: Any, axis: int, size: int) -> str:
    return f"{size} x {layer.size[axis]}"


_AXES = {
    layers.Conv2D: _convolution,
    layers.DepthwiseConv2D: _convolution,
    layers.SeparableConv2D: _convolution,
    layers.MaxPooling2D: _pooling,
    layers.AveragePooling2D: _pooling,
    layers.Conv2DTranspose: _transposed,
    layers.ZeroPadding2D: _padded,
    layers.Cropping2D: _cropped,
    layers.UpSampling2D: _repeated,
}
