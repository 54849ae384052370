"""What `compile` was told, as Keras' config.json has it, and back."""

from __future__ import annotations

from typing import Any

from fastconv.saving.hdf5 import FormatError
from fastconv.saving.keras_config import deserialize, serialize

_TAKEN = ("optimizer", "loss", "loss_weights", "metrics", "weighted_metrics")
_WITHOUT_EFFECT = {"run_eagerly": False, "steps_per_execution": 1, "jit_compile": False}


def config_of(model: Any) -> dict[str, Any] | None:
    """The settings of a compiled model; None before `compile`."""
    if model.compile_arguments is None:
        return None
    return {**{name: serialize(model.compile_arguments[name]) for name in _TAKEN}, **_WITHOUT_EFFECT}


def compile_model(model: Any, config: dict[str, Any]) -> None:
    """Compiles a model as it was when it was saved.

    Raises:
        FormatError: naming what fastconv has no equivalent for; `load_model(path, compile=False)` leaves it out.
    """
    arguments = {name: deserialize(config[name]) for name in _TAKEN if config.get(name) is not None}
    try:
        model.compile(**arguments)
    except Exception as error:
        raise FormatError(f"compile: {error}. load_model(path, compile=False) leaves its settings out") from error
