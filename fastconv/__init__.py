"""fastconv: small convolutional networks, trained fast, under Keras' names.

>>> import fastconv
>>> model = fastconv.Sequential([...])
>>> model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
>>> model.fit(x_train, y_train, epochs=10)
"""

from __future__ import annotations

import importlib

try:
    _core = importlib.import_module("fastconv._core")
except ModuleNotFoundError as error:
    if error.name != "fastconv._core":
        raise
    raise ImportError(
        f"fastconv was imported from {__path__[0]}, which has no compiled extension: most likely the source folder. "
        "Run `pip install .` (or `pip install -e .`) there, and start Python in another folder."
    ) from None

__version__: str = _core.__version__

_SUBMODULES = frozenset(
    ("activations", "callbacks", "config", "datasets", "diagnosis", "initializers", "layers", "losses", "metrics",
     "models", "ops", "optimizers", "plot", "regularizers", "saving", "utils")
)  # fmt: skip
_FROM = {
    "AdviceWarning": "diagnosis.advice",
    "Input": "layers",
    "fingerprint": "diagnosis.fingerprint",
    "from_keras": "saving",
    "to_keras": "saving",
    "load_model": "saving",
    "NonFiniteError": "diagnosis",
    "Model": "models",
    "Sequential": "models",
    "get_device": "device",
    "set_device": "device",
    "show_config": "config",
}

__all__ = sorted((*_SUBMODULES, *_FROM, "__version__"))


def __getattr__(name: str):
    """Submodules and public names are imported on first use: `import fastconv` stays a matter of milliseconds."""
    if name in _SUBMODULES:
        return importlib.import_module(f"fastconv.{name}")
    if name in _FROM:
        return getattr(importlib.import_module(f"fastconv.{_FROM[name]}"), name)
    raise AttributeError(f"module 'fastconv' has no attribute {name!r}")


def __dir__():
    return __all__
