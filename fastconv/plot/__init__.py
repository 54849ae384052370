"""Pictures of training, networks and images, by matplotlib (the extra "plot"); of a model's graph without it.

Each function draws one picture. With `path` it is written to a file, whole or not at all, and no window or notebook is
needed; without, it is a pyplot figure, which a notebook shows. Magnitudes have the colours of viridis, numbers of
either sign those of RdBu around 0, and pairs those of Okabe and Ito, which colour-blind readers tell apart.
"""

from __future__ import annotations

from fastconv.plot.confusion_matrix import plot_confusion_matrix
from fastconv.plot.feature_maps import plot_feature_maps
from fastconv.plot.filters import plot_filters
from fastconv.plot.gradient_norms import plot_gradient_norms
from fastconv.plot.history import plot_history
from fastconv.plot.images import plot_images
from fastconv.plot.model import plot_model
from fastconv.plot.padding import plot_padding
from fastconv.plot.receptive_field import plot_receptive_field

__all__ = [
    "plot_confusion_matrix",
    "plot_feature_maps",
    "plot_filters",
    "plot_gradient_norms",
    "plot_history",
    "plot_images",
    "plot_model",
    "plot_padding",
    "plot_receptive_field",
]
