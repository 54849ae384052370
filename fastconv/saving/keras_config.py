"""Models as Keras' config.json describes them, and back: layers, their settings, and how they are connected.

A config comes from strangers and names classes. They are looked up among fastconv's own, and then among those that the
caller gave; no module is imported and no function found by its name, so that nothing a file says can run
(CVE-2025-1550 and its successors in Keras). What fastconv has no equivalent for is an error that names it, never left
out.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
import importlib
import inspect
import numbers
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from fastconv.plan.precision import POLICIES
from fastconv.saving.hdf5 import FormatError
from fastconv.settings import Configurable, arguments

_MAX_DEPTH = 16  # of objects within objects

# Keras' modules as files name them, and the modules of fastconv whose classes stand for theirs.
_MODULES = {
    "keras.layers": "fastconv.layers",
    "keras.initializers": "fastconv.initializers",
    "keras.regularizers": "fastconv.regularizers",
    "keras.optimizers": "fastconv.optimizers",
    "keras.optimizers.schedules": "fastconv.optimizers.schedules",
    "keras.losses": "fastconv.losses",
    "keras.metrics": "fastconv.metrics",
}

# Settings that fastconv does not have, with the values that mean what it does. None and False mean it everywhere.
_NEUTRAL = {
    "axis": (-1,),
    "data_format": ("channels_last",),
    "ema_momentum": (0.99,),
    "renorm_momentum": (0.99,),
}

_users: contextvars.ContextVar[Mapping[str, type]] = contextvars.ContextVar("classes of users", default={})  # noqa: B039 (never changed)


@contextlib.contextmanager
def users_classes(custom_objects: Mapping[str, type] | None) -> Iterator[None]:
    """A context in which configs may name these classes, too.

    Raises:
        TypeError: if one is no class of a layer or of other settings.
    """
    for name, cls in (custom_objects or {}).items():
        if not inspect.isclass(cls) or not issubclass(cls, Configurable):
            raise TypeError(
                f"custom_objects: expected names of classes that are derived from fastconv's, such as layers.Layer. "
                f"Received: {name!r}: {cls!r}"
            )
    token = _users.set(custom_objects or {})
    try:
        yield
    finally:
        _users.reset(token)


# ---- objects to JSON ------------------------------------------------------------------------------------------------


def serialize(value: Any) -> Any:
    """A setting as JSON can hold it, in Keras' form.

    Raises:
        ValueError: for what no file can hold, such as a function of the user's.

    >>> serialize(Flatten(name="rows"))
    {'module': 'keras.layers', 'class_name': 'Flatten', 'config': {'name': 'rows'}, 'registered_name': None}
    """
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [serialize(v) for v in value]
    if isinstance(value, dict):
        return {str(k): serialize(v) for k, v in value.items()}
    if not isinstance(value, Configurable):
        raise ValueError(
            f"expected settings and layers whose classes a file can name. Received: {value!r}. The weights alone can "
            "be saved with save_weights"
        )
    name, config = type(value).__name__, {key: serialize(v) for key, v in value.get_config().items()}
    module = next((m for m in _MODULES if _classes(m).get(name) is type(value)), None)
    registered = None if module else name  # as Keras has it for a class of a user
    return {
        "module": module or type(value).__module__,
        "class_name": name,
        "config": config,
        "registered_name": registered,
    }


# ---- JSON to objects ------------------------------------------------------------------------------------------------


def deserialize(value: Any, depth: int = 0) -> Any:
    """What `serialize` wrote, or Keras did.

    Raises:
        FormatError: naming what fastconv has no equivalent for.
    """
    if depth > _MAX_DEPTH:
        raise FormatError(f"expected objects within objects to a depth of {_MAX_DEPTH}. Received: more")
    if isinstance(value, list):
        return tuple(deserialize(v, depth + 1) for v in value)
    if not isinstance(value, dict):
        return value
    if "class_name" not in value:
        return {k: deserialize(v, depth + 1) for k, v in value.items()}
    name, config = value["class_name"], value.get("config")
    cls = _class(value.get("module"), name)
    if not isinstance(config, dict):
        raise FormatError(f"{name}: expected a config of names and values. Received: {config!r}")
    try:
        if cls in _users.get().values():
            return cls.from_config(_users_arguments(cls, config, depth))
        return cls(**_arguments(cls, config, depth))
    except Exception as error:  # a setting of any type may be in a file, and what it breaks of any kind
        raise FormatError(f"{name}: {error}") from error


@functools.cache
def _classes(module: str) -> dict[str, type]:
    """The classes of a module of Keras' that files may name: not what else fastconv's module has imported."""
    found = vars(importlib.import_module(_MODULES[module])).items()
    return {name: v for name, v in found if inspect.isclass(v) and issubclass(v, Configurable) and name[0] != "_"}


def _class(module: Any, name: Any) -> type:
    cls = None
    if isinstance(name, str):
        own = _classes(module) if isinstance(module, str) and module in _MODULES else {}
        cls = own.get(name) or _users.get().get(name)
    if cls is None:
        raise FormatError(
            f"expected layers and settings that fastconv has. Received: {module}.{name}. load_model takes classes of "
            f"your own as custom_objects={{name: class}}"
        )
    return cls


def _arguments(cls: type, config: dict[str, Any], depth: int) -> dict[str, Any]:
    """The constructor's arguments out of a config; what it has beyond them must mean what fastconv does anyway."""
    known = arguments(cls)
    for key, value in config.items():
        if key not in known and not _is_neutral(key, value):
            raise FormatError(f"{cls.__name__}: expected settings that fastconv has. Received: {key}={value!r}")
    return {key: deserialize(value, depth + 1) for key, value in config.items() if key in known}


def _users_arguments(cls: type, config: dict[str, Any], depth: int) -> dict[str, Any]:
    """What `from_config` of a user's class is given: all but what every layer of Keras' has and this one does not take,
    which `layer_of` sees to."""
    known = arguments(cls)
    left_out = {k for k, v in config.items() if k == "name" or (k in ("dtype", "trainable") and _is_neutral(k, v))}
    return {key: deserialize(v, depth + 1) for key, v in config.items() if key in known or key not in left_out}


def policy_name(dtype: Any) -> Any:
    """The name of a dtype policy, whether a config has the policy or its name."""
    config = dtype.get("config") if isinstance(dtype, dict) else {"name": dtype}
    return config.get("name") if isinstance(config, dict) else None


def _is_neutral(key: str, value: Any) -> bool:
    if value is None or value is False or key == "trainable":  # `layer_of` sees to trainable
        return True
    if key == "dtype":
        return policy_name(value) in POLICIES  # `keras_compile` sees to the policy
    if key.endswith("_initializer"):
        return True  # the values are in the file
    return key in _NEUTRAL and value in _NEUTRAL[key]
