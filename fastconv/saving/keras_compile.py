"""What `compile` was told, as Keras' config.json has it, and back.

The dtype policy is an argument of `compile` here and a setting of every layer in Keras.
"""

from __future__ import annotations

import warnings
from typing import Any

from fastconv import device
from fastconv.plan import precision
from fastconv.saving.hdf5 import FormatError
from fastconv.saving.keras_config import deserialize, policy_name, serialize
from fastconv.saving.keras_model import layer_configs

_TAKEN = ("optimizer", "loss", "loss_weights", "metrics", "weighted_metrics")
_WITHOUT_EFFECT = {"run_eagerly": False, "steps_per_execution": 1, "jit_compile": False}


def config_of(model: Any) -> dict[str, Any] | None:
    """The settings of a compiled model; None before `compile`."""
    if model.compile_arguments is None:
        return None
    return {**{name: serialize(model.compile_arguments[name]) for name in _TAKEN}, **_WITHOUT_EFFECT}


def store_policy(entry: dict[str, Any], policy: str) -> None:
    """Gives the layers of a model's entry the dtype policy that it was compiled with; they have float32 without."""
    if policy != "float32":
        for config in layer_configs(entry):
            config["dtype"] = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": policy}}
            config["dtype"]["registered_name"] = None


def _policy_of(entry: dict[str, Any]) -> str:
    """The policy of a model with these layers: "mixed_bfloat16" if one of them has it. Logits and losses are float32
    under it, as is what Keras' guide gives the last layers."""
    mixed = any(policy_name(config.get("dtype")) == "mixed_bfloat16" for config in layer_configs(entry))
    return "mixed_bfloat16" if mixed else "float32"


def _usable(policy: str) -> str:
    """The policy, or "float32" with a warning where models run on what has no kernels for it."""
    try:
        precision.require_kernels(policy, device.ops())
    except RuntimeError as error:
        warnings.warn(f'{error}. The model of this file was: it is compiled with "float32"', stacklevel=2)
        return "float32"
    return policy


def compile_model(model: Any, entry: dict[str, Any]) -> None:
    """Compiles a model as it was when it was saved.

    Raises:
        FormatError: naming what fastconv has no equivalent for; `load_model(path, compile=False)` leaves it out.
    """
    config = entry["compile_config"]
    arguments = {name: deserialize(config[name]) for name in _TAKEN if config.get(name) is not None}
    try:
        model.compile(**arguments, dtype_policy=_usable(_policy_of(entry)))
    except Exception as error:
        raise FormatError(f"compile: {error}. load_model(path, compile=False) leaves its settings out") from error
