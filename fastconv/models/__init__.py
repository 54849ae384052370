"""Models, by Keras' names."""

from __future__ import annotations

from fastconv.models.model import Model
from fastconv.models.sequential import Sequential

__all__ = ["Model", "Sequential"]
