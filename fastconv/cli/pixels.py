"""Which numbers of pixels a model reads."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any

import typer


class Range(str, Enum):
    """Of pixels: as they are in files, or divided by 255, as the example networks read them."""

    BYTES = "0..255"
    UNIT = "0..1"


Pixels = Annotated[
    Range | None,
    typer.Option(
        "--pixels",
        metavar="0..1|0..255",
        help="The pixels that the model reads.",
        show_default="0..255 if it begins with Rescaling or Normalization, else 0..1",
    ),
]


def range_for(model: Any, asked: Range | None) -> Range:
    """What was asked for, or else what the model's first layer suggests."""
    if asked is not None:
        return asked
    first = next((layer for layer in model.layers if type(layer).__name__ != "InputLayer"), None)
    return Range.BYTES if type(first).__name__ in ("Rescaling", "Normalization") else Range.UNIT


def scaled(pixels: Any, wanted: Range) -> Any:
    """uint8 pixels as float32 of the range."""
    import numpy as np

    result = pixels.astype(np.float32)
    if wanted is Range.UNIT:
        result /= 255
    return result
