"""Steps that put numbers in another order, for the layers that are made of them and convolutions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fastconv import geometry

Pair = Sequence[int]


def emit_space_to_batch(graph, x, lines: int, columns: int, name: str, dilation: Pair = (1, 1), padding: Pair = (0, 0)):
    """Images of `lines` x `columns`, one for each phase of the dilation; see `fastconv.ops.protocol`."""
    n, channels = x.shape[0] * dilation[0] * dilation[1], x.shape[-1]
    y = graph.buffer((n, lines, columns, channels), name)
    graph.emit("space_to_batch", {"y": y}, x=x, dilation=tuple(dilation), padding=tuple(padding))
    return y


def emit_batch_to_space(graph, x, lines: int, columns: int, name: str, dilation: Pair = (1, 1), padding: Pair = (0, 0)):
    """Images of `lines` x `columns` from one for each phase of the dilation."""
    n, channels = x.shape[0] // (dilation[0] * dilation[1]), x.shape[-1]
    y = graph.buffer((n, lines, columns, channels), name)
    graph.emit("batch_to_space", {"y": y}, x=x, dilation=tuple(dilation), padding=tuple(padding))
    return y


def emit_swap_axes(graph, x, rows: int, columns: int, shape: Pair, name: str):
    """`x`, taken as (rows, columns, ...), as (columns, rows, ...) in the given shape."""
    y = graph.buffer(shape, name)
    graph.emit("swap_axes", {"y": y}, x=x, rows=rows, columns=columns)
    return y


def emit_dilated(graph, x, window: Pair, dilation: Pair, padding: str, name: str, convolve: Callable):
    """A convolution of stride 1 with the taps of its `window` apart by `dilation` pixels.

    Pixels that far apart meet no others, so those of each phase are an image of their own, and `convolve(x, padding)`
    emits a convolution of these images without dilation.
    """
    if tuple(dilation) == (1, 1):
        return convolve(x, padding)
    sizes = zip(x.shape[1:3], geometry.dilated(window, dilation), strict=True)
    (p, top), (q, left) = (geometry.window(size, taps, 1, padding) for size, taps in sizes)
    lines, columns = (-(-out // d) + taps - 1 for out, d, taps in zip((p, q), dilation, window, strict=True))
    phases = emit_space_to_batch(graph, x, lines, columns, f"{name}.phases", dilation, (top, left))
    return emit_batch_to_space(graph, convolve(phases, "valid"), p, q, f"{name}.y", dilation)
