"""The one list of shapes that tests and benchmarks share: the layers of the example networks, then the edge cases.

Every entry of `CONV2D` is tested in all passes on every instruction set, so the edge cases are as small as their edge
allows. benchmarks/ops.py measures `network_layers(name, batch)`.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

from fastconv import geometry


class Conv2DShape(NamedTuple):
    """A convolution as a user states it; `geometry()` gives the explicit sizes and pads that the kernels take.

    n, h, w, c: images. k: filters of r x s pixels. count: how often the layer stands in its network.
    """

    n: int
    h: int
    w: int
    c: int
    k: int
    r: int
    s: int
    stride: tuple[int, int] = (1, 1)
    padding: str = "valid"
    count: int = 1
    name: str = ""

    def geometry(self) -> geometry.Conv2DGeometry:
        return geometry.conv2d((self.n, self.h, self.w, self.c), self.k, (self.r, self.s), self.stride, self.padding)

    def __str__(self) -> str:
        stride = "x".join(map(str, self.stride))
        sizes = f"n{self.n}_{self.h}x{self.w}x{self.c}_k{self.k}_{self.r}x{self.s}_s{stride}_{self.padding}"
        return f"{self.name}_{sizes}" if self.name else sizes


def dense(rows: int, inputs: int, units: int, name: str = "") -> Conv2DShape:
    """A dense layer: a 1x1 convolution over one line of `rows` pixels, as `geometry.dense`."""
    return Conv2DShape(1, 1, rows, inputs, units, 1, 1, name=name)


def network_layers(network: str, batch: int) -> list[Conv2DShape]:
    """The convolutions and dense layers of an example network, in order.

    "cnn-first-bn" has those of "cnn". "64x64x1" is the network of the tests with one-channel images.
    """

    def conv(h, w, c, k, size, stride, name):
        return Conv2DShape(batch, h, w, c, k, size, size, (stride, stride), "same", 1, f"{network}.{name}")

    def flat(inputs, units, name):
        return dense(batch, inputs, units, f"{network}.{name}")

    return {
        "mlp": [flat(3072, 200, "dense"), flat(200, 150, "dense_1"), flat(150, 10, "dense_2")],
        "conv": [
            conv(32, 32, 3, 10, 4, 2, "conv2d"),
            conv(16, 16, 10, 20, 3, 2, "conv2d_1"),
            flat(1280, 10, "dense"),
        ],
        "cnn": [
            conv(32, 32, 3, 32, 3, 1, "conv2d"),
            conv(32, 32, 32, 32, 3, 2, "conv2d_1"),
            conv(16, 16, 32, 64, 3, 1, "conv2d_2"),
            conv(16, 16, 64, 64, 3, 2, "conv2d_3"),
            flat(4096, 128, "dense"),
            flat(128, 10, "dense_1"),
        ],
        "64x64x1": [
            conv(64, 64, 1, 2, 3, 1, "conv2d"),
            conv(64, 64, 2, 20, 3, 2, "conv2d_1"),
            flat(20480, 10, "dense"),
        ],
    }[network]


NETWORKS = ("mlp", "conv", "cnn", "64x64x1")
STRIDES = ((1, 1), (2, 2), (3, 3))
PADDINGS = ("same", "valid")


def _seed_layers():
    return [layer for network in NETWORKS for layer in network_layers(network, batch=2)]


def _channels():
    """Every remainder of C and of K modulo any vector width, with one vector, with two, and with more than two."""
    for stride, count in product(((1, 1), (2, 2)), range(1, 34)):
        yield Conv2DShape(2, 4, 5, count, 3, 3, 3, stride, "same")
        yield Conv2DShape(2, 4, 5, 3, count, 3, 3, stride, "same")
    for c, k in ((17, 19), (33, 47), (48, 70), (5, 130), (130, 5), (257, 3), (300, 2), (64, 64)):
        yield Conv2DShape(2, 3, 4, c, k, 2, 2, (1, 1), "same")
    yield Conv2DShape(1, 2, 3, 300, 17, 1, 1)


def _kernels():
    """Square kernels 1 to 7, even ones too, at each stride; and kernels and strides that are not square."""
    for size, stride, padding in product(range(1, 8), STRIDES, PADDINGS):
        yield Conv2DShape(2, 9, 8, 3, 4, size, size, stride, padding)
    windows = ((1, 7), (7, 1), (2, 5), (5, 2), (3, 4), (4, 1), (1, 2), (6, 3))
    for (r, s), stride, padding in product(windows, ((1, 1), (2, 1), (1, 3), (3, 2)), PADDINGS):
        yield Conv2DShape(2, 8, 9, 2, 5, r, s, stride, padding)


def _images():
    """Images smaller than the kernel, of one pixel, as large as the kernel, of odd sizes; batches of 1 and more."""
    small = ((1, 1), (1, 2), (2, 1), (2, 3), (3, 2))
    for (h, w), size, stride in product(small, (2, 3, 4, 5, 7), STRIDES):
        yield Conv2DShape(2, h, w, 3, 5, size, size, stride, "same")
    for size in range(1, 8):
        yield Conv2DShape(1, size, size, 3, 4, size, size)
    for (h, w), stride, padding in product(((5, 7), (11, 13), (13, 5)), ((2, 2), (3, 3), (2, 3)), PADDINGS):
        yield Conv2DShape(1, h, w, 3, 9, 3, 3, stride, padding)
    for n in (1, 2, 3, 5, 15, 16, 17, 33):
        yield Conv2DShape(n, 4, 3, 3, 4, 3, 3, (1, 1), "same")


def _cuts():
    """Work that the host cuts: lines of many pixels, bands of rows, wide filter rows, many filters on few pixels."""
    for w in (47, 48, 49, 95, 96, 97, 145, 200):
        yield Conv2DShape(1, 1, w, 5, 7, 1, 1)
    yield Conv2DShape(9, 20, 30, 5, 7, 1, 1)
    yield Conv2DShape(2, 3, 100, 17, 33, 1, 1)
    yield Conv2DShape(2, 3, 100, 4, 6, 1, 1, (1, 2))
    for rows, inputs, units in ((1, 1, 1), (1, 50, 7), (31, 33, 17), (97, 16, 32), (3, 1000, 10), (64, 9, 100)):
        yield dense(rows, inputs, units)
    yield Conv2DShape(1, 40, 40, 64, 8, 3, 3, (1, 1), "same")
    yield Conv2DShape(1, 41, 39, 64, 8, 3, 3, (2, 2), "same")
    yield Conv2DShape(1, 41, 39, 64, 6, 3, 3, (2, 2), "valid")
    yield Conv2DShape(1, 39, 40, 7, 64, 3, 3, (2, 1), "same")
    yield Conv2DShape(2, 70, 70, 3, 4, 3, 3, (1, 1), "same")
    yield Conv2DShape(1, 5, 6, 60, 4, 3, 3, (1, 1), "same")
    yield Conv2DShape(1, 5, 6, 60, 4, 3, 3, (1, 1), "valid")
    yield Conv2DShape(1, 2, 2, 2, 200, 2, 2, (1, 1), "same")
    yield Conv2DShape(1, 300, 1, 3, 2, 5, 1, (2, 1), "same")
    yield Conv2DShape(1, 1, 300, 3, 2, 1, 5, (1, 2), "same")
    yield Conv2DShape(1, 47, 48, 5, 3, 3, 3, (1, 1), "same")
    yield Conv2DShape(1, 49, 47, 16, 16, 3, 3, (1, 1), "same")
    yield Conv2DShape(3, 31, 33, 16, 16, 3, 3, (1, 1), "same")


def _thin():
    """Few filters or input channels beside many, on rows of several tiles."""
    for few, stride, width in product((1, 2, 3, 4, 5, 6, 7, 8), ((1, 1), (2, 2)), (7, 39)):
        yield Conv2DShape(2, 3, width, 37, few, 3, 3, stride, "same")
        yield Conv2DShape(2, 3, width, few, 37, 3, 3, stride, "same")
    yield Conv2DShape(1, 3, 17, 64, 8, 2, 2)
    yield Conv2DShape(1, 3, 17, 8, 64, 2, 2, (1, 1), "same")
    yield Conv2DShape(1, 1, 17, 100, 5, 1, 1)


def _row_ends():
    """Columns padded at the right alone, where the last pixel is computed apart, in tiles of every width."""
    for pixels, k in product(range(1, 14), (9, 16, 20, 32)):
        yield Conv2DShape(1, 4, 2 * pixels, 5, k, 3, 3, (2, 2), "same")


CONV2D = list(dict.fromkeys([*_seed_layers(), *_channels(), *_kernels(), *_images(), *_cuts(), *_thin(), *_row_ends()]))

# The shapes that are worth cutting: a change of thread count changes how their work is dealt out.
CONV2D_FOR_THREADS = [
    *network_layers("cnn", batch=5),
    Conv2DShape(33, 8, 8, 3, 5, 3, 3, (1, 1), "same"),
    Conv2DShape(17, 6, 7, 5, 33, 3, 2, (2, 2), "valid"),
    Conv2DShape(1, 40, 40, 64, 40, 3, 3, (1, 1), "same"),
    Conv2DShape(1, 41, 39, 33, 70, 4, 3, (3, 2), "same"),
    Conv2DShape(3, 9, 200, 17, 33, 1, 1),
    Conv2DShape(1, 47, 48, 37, 3, 3, 3, (1, 1), "same"),
    Conv2DShape(1, 49, 47, 16, 16, 3, 3, (1, 1), "same"),
    dense(97, 130, 33),
]

# Shapes of x for batchnorm, channels last.
BATCHNORM = [
    *((7, c) for c in range(1, 34)),
    *((2, 3, 2, c) for c in (1, 3, 8, 16, 17, 32, 33, 64, 100)),
    (1, 1),
    (1, 5),
    (2, 1),
    (3, 33),
    (3, 1000),
    (257, 2),
    (1000, 3),
    (2, 32, 32, 32),
    (2, 8, 8, 64),
    (2, 128),
]

# Numbers of elements around every vector width, and around the cuts of the host.
ELEMENTWISE = [*range(1, 34), 63, 64, 65, 100, 1000, 4095, 4097, 16383, 16384, 16385, 50_001]

# Images for the ops on images: every remainder of their channels modulo any vector width, one pixel, a line of many.
IMAGES = [*((2, 4, 5, c) for c in range(1, 34)), (1, 1, 1, 1), (1, 3, 20, 40), (3, 1, 70, 5)]

# (rows, classes) of softmax.
SOFTMAX = [*((3, c) for c in range(1, 34)), (1, 1), (1, 10), (32, 10), (33, 10), (257, 10), (5, 100), (2, 1000)]
