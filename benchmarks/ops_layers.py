"""The layers that ops.py measures: those of the example networks as the tests list them, and of ResNet and VGG."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from shapes import Conv2DShape, network_layers  # noqa: E402  (found through the line above)

NETWORKS = ("cnn", "conv", "mlp", "resnet", "vgg")

# CIFAR-10 as in He et al. 2016 (4.2) and its wider relatives: image, channels, filters, kernel, stride.
RESNET = (
    (32, 16, 16, 3, 1),
    (32, 16, 32, 3, 2),
    (32, 16, 32, 1, 2),
    (16, 32, 32, 3, 1),
    (16, 32, 64, 3, 2),
    (16, 32, 64, 1, 2),
    (8, 64, 64, 3, 1),
)
# Simonyan and Zisserman 2015 at 32x32: one layer of each block.
VGG = ((32, 64, 64, 3, 1), (16, 128, 128, 3, 1), (8, 256, 256, 3, 1), (4, 512, 512, 3, 1))


def layers(network: str, batch: int) -> list[Conv2DShape]:
    """The convolutions and dense layers of one of NETWORKS."""
    if network not in ("resnet", "vgg"):
        return network_layers(network, batch)
    return [
        Conv2DShape(batch, size, size, c, k, kernel, kernel, (stride, stride), "same", name=network)
        for size, c, k, kernel, stride in (RESNET if network == "resnet" else VGG)
    ]


def label(shape: Conv2DShape) -> str:
    """A layer as people write it: "resnet 3x3 s2 16>32 @32"."""
    network = shape.name.partition(".")[0]
    if shape.h == 1:
        return f"{network} dense {shape.c}>{shape.k}"
    stride = f" s{shape.stride[0]}" if shape.stride != (1, 1) else ""
    return f"{network} {shape.r}x{shape.s}{stride} {shape.c}>{shape.k} @{shape.h}"
