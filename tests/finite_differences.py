"""Central differences, for the tests of references: float64 alone."""

from __future__ import annotations

import numpy as np

STEP = 1e-6  # of central differences, whose error is about STEP**2 + 1e-16 / STEP


def slopes(loss, array):
    """The gradient of loss() with respect to every element of `array`, by central differences."""
    gradient = np.empty_like(array)
    for index in np.ndindex(array.shape):
        value = array[index]
        array[index] = value + STEP
        above = loss()
        array[index] = value - STEP
        gradient[index] = (above - loss()) / (2 * STEP)
        array[index] = value
    return gradient


def assert_gradient(actual, loss, array):
    np.testing.assert_allclose(actual, slopes(loss, array), atol=1e-5, rtol=1e-3)


def away_from(values, kink, distance=1e-3):
    """`values`, none closer to `kink` than `distance`: a finite difference across a kink is neither side's slope."""
    return np.where(np.abs(values - kink) < distance, kink + 2 * distance, values)
