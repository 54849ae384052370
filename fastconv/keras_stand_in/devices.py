"""What notebooks ask TensorFlow about the machine."""

from __future__ import annotations

from typing import NamedTuple

import fastconv


class PhysicalDevice(NamedTuple):
    """As of TensorFlow: a name such as "/physical_device:GPU:0", and "CPU" or "GPU"."""

    name: str
    device_type: str


def list_physical_devices(device_type: str | None = None) -> list[PhysicalDevice]:
    """The processors that models run on here: the CPU, and a GPU where fastconv uses it.

    Args:
        device_type: "CPU" or "GPU" alone; None for all.
    Source: tf.config.list_physical_devices.
    """
    kinds = ["CPU", "GPU"] if fastconv.get_device() == "cuda" else ["CPU"]
    return [PhysicalDevice(f"/physical_device:{kind}:0", kind) for kind in kinds if device_type in (None, kind)]
