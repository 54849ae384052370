"""Keras' module names, resolved to fastconv's modules while a `StandIn` is in place."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, NamedTuple

import fastconv

ROOTS = ("keras", "tensorflow")
_TENSORFLOW_KERAS = "tensorflow.keras"
_TENSORFLOW_VERSION = "2.21.0"  # whose numbers fastconv's are compared with

# Modules all of whose public names are served. `keras.ops` and `keras.config` mean something else than ours.
_MODULES = {
    f"keras.{name}": f"fastconv.{name}"
    for name in (
        *(
            "activations",
            "callbacks",
            "datasets",
            "datasets.cifar10",
            "initializers",
            "layers",
            "losses",
            "metrics",
            "models",
        ),
        *("optimizers", "optimizers.schedules", "regularizers", "utils"),
    )
}
_OLDER = ("advanced_activations", "convolutional", "core", "merge", "normalization", "pooling")
_MODULES |= {f"keras.layers.{name}": "fastconv.layers" for name in _OLDER}  # until Keras 2.5
_MODULES |= {"keras.utils.np_utils": "fastconv.utils", "keras.optimizers.legacy": "fastconv.optimizers"}  # until 2.15

# Names that live elsewhere in fastconv, or alone in their module.
_NAMES = {
    "keras.Input": ("fastconv.layers", "Input"),
    "keras.Model": ("fastconv.models", "Model"),
    "keras.Sequential": ("fastconv.models", "Sequential"),
    "keras.backend.clear_session": ("fastconv.utils", "clear_session"),
    "keras.models.load_model": ("fastconv.saving", "load_model"),
    "keras.models.save_model": ("fastconv.saving", "save_model"),
    "keras.saving.load_model": ("fastconv.saving", "load_model"),
    "keras.saving.save_model": ("fastconv.saving", "save_model"),
    "keras.utils.plot_model": ("fastconv.keras_stand_in.adapters", "plot_model"),
    "tensorflow.config.list_physical_devices": ("fastconv.keras_stand_in.adapters", "list_physical_devices"),
    "tensorflow.random.set_seed": ("fastconv.utils", "set_random_seed"),
}

_NAMES |= {
    f"tensorflow.nn.{name}": ("fastconv.activations", name)
    for name in ("elu", "gelu", "leaky_relu", "relu", "relu6", "selu", "sigmoid", "silu", "softmax", "softplus",
                 "softsign", "swish", "tanh")
}  # fmt: skip

_LIBRARIES = {"site-packages", "dist-packages"}  # folders of what is installed


class NotServed(NamedTuple):
    """A name of Keras or TensorFlow that fastconv does not have, and the place that asked for it."""

    name: str
    file: str
    line: int


def _canonical(name: str) -> str:
    """`name` with `keras` in place of `tensorflow.keras`."""
    if name == _TENSORFLOW_KERAS or name.startswith(_TENSORFLOW_KERAS + "."):
        return name.removeprefix("tensorflow.")
    return name


def is_module(name: str) -> bool:
    """Whether a dotted name of Keras' or TensorFlow's is a module here."""
    name = _canonical(name)
    return name in (*ROOTS, *_MODULES) or any(served.startswith(name + ".") for served in _NAMES)


def find(name: str) -> Any:
    """What fastconv has for a dotted name that is no module.

    Raises:
        LookupError: nothing.
    """
    parent, _, last = _canonical(name).rpartition(".")
    if (place := _NAMES.get(f"{parent}.{last}")) is not None:
        return getattr(importlib.import_module(place[0]), place[1])
    if parent in _MODULES:
        module = importlib.import_module(_MODULES[parent])
        if last in _public(module):
            return getattr(module, last)
    if last == "__version__" and parent in ROOTS:
        return _version(name)
    raise LookupError(name)


def names(module: str) -> list[str]:
    """The public names of a module that is served: what `from MODULE import *` binds."""
    prefix = _canonical(module) + "."
    served = {name.removeprefix(prefix).split(".")[0] for name in (*_MODULES, *_NAMES) if name.startswith(prefix)}
    if _canonical(module) in _MODULES:
        served.update(_public(importlib.import_module(_MODULES[_canonical(module)])))
    if module == "tensorflow":
        served.add("keras")
    return sorted(served)


def _public(module: ModuleType) -> list[str]:
    listed = getattr(module, "__all__", None)
    if listed is not None:
        return list(listed)
    return [name for name, value in vars(module).items() if name[0] != "_" and not isinstance(value, ModuleType)]


def _version(name: str) -> str:
    """The version whose numbers fastconv keeps to, marked as not the real one (a local version of PEP 440)."""
    from fastconv.saving.keras_file import KERAS_VERSION

    number = _TENSORFLOW_VERSION if name == "tensorflow.__version__" else KERAS_VERSION
    return f"{number}+fastconv.{fastconv.__version__}"


class StandIn(MetaPathFinder, Loader):
    """A context in which `keras`, `tensorflow.keras` and a little of `tensorflow` are fastconv, in this process only.

    A name that fastconv does not have ends in ModuleNotFoundError or AttributeError, as a missing one of Keras' would,
    and is remembered in `not_served` with the place in the user's code. Installed libraries that look for TensorFlow
    (matplotlib does) get the error alone.

    >>> with StandIn() as stand_in:
    ...     from keras.layers import Dense
    >>> Dense.__module__
    'fastconv.layers.dense'
    """

    def __init__(self) -> None:
        self._asked: dict[NotServed, None] = {}
        self._hidden: dict[str, ModuleType] = {}

    @property
    def not_served(self) -> list[NotServed]:
        """What was asked for in vain, each place once, in the order of asking."""
        return list(self._asked)

    def __enter__(self) -> StandIn:
        self._hidden = {name: sys.modules.pop(name) for name in list(_loaded())}
        sys.meta_path.insert(0, self)
        return self

    def __exit__(self, *_: object) -> None:
        sys.meta_path.remove(self)
        for name in list(_loaded()):
            del sys.modules[name]
        sys.modules.update(self._hidden)

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if fullname.split(".")[0] not in ROOTS:
            return None
        if not is_module(fullname):
            # Without the name, which would make `from keras.layers import X` drop this message for one of its own.
            raise ModuleNotFoundError(self.refuse(fullname))
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Module(spec.name, self)

    def exec_module(self, module: ModuleType) -> None:
        pass

    def refuse(self, name: str) -> str:
        """Remembers that the user's code asked for `name`, and returns what to say about it."""
        frame = _asking_frame()
        file = frame.f_code.co_filename
        if _LIBRARIES.isdisjoint(Path(file).parts):
            self._asked[NotServed(name, file, frame.f_lineno)] = None
        return f"fastconv, which stands in for Keras here, has no {name}"


class _Module(ModuleType):
    """A module of Keras', whose names are fastconv's."""

    def __init__(self, name: str, stand_in: StandIn) -> None:
        super().__init__(name, "fastconv in place of this module of Keras'.")
        self.__stand_in = stand_in

    def __getattr__(self, name: str) -> Any:
        full = f"{self.__name__}.{name}"
        if name == "__all__":
            return names(self.__name__)
        if is_module(full):
            return importlib.import_module(full)
        try:
            return find(full)
        except LookupError:
            if name.startswith("_"):  # what tools look for in any object
                raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}") from None
        raise AttributeError(self.__stand_in.refuse(full))

    def __dir__(self) -> list[str]:
        return names(self.__name__)


def _loaded() -> Iterator[str]:
    return (name for name in sys.modules if name.split(".")[0] in ROOTS)


def _asking_frame() -> FrameType:
    """The innermost frame that is neither of this file nor of Python's import system."""
    here = os.path.abspath(__file__)
    frame = sys._getframe(1)
    while frame.f_back is not None and (
        os.path.abspath(frame.f_code.co_filename) == here
        or frame.f_code.co_filename.startswith("<frozen importlib")
        or frame.f_code.co_filename == importlib.__file__
    ):
        frame = frame.f_back
    return frame
