"""Initial values of weights, by Keras' names.

An initializer is called with a shape and returns a float32 array. Without a seed it draws from the package's generator
(`utils.set_random_seed`); with one, the numbers of NumPy's counter-based Philox4x64-10 with the seed as its key, the
same in every call. The distributions are Keras', the numbers are not.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable

import numpy as np

from fastconv import rng
from fastconv.checks import number, positive, refused
from fastconv.settings import Configurable

Shape = tuple[int, ...]
# The standard deviation of a normal distribution with what lies beyond two of its own cut off.
_TRUNCATED_STDDEV = 0.87962566103423978


def fans(shape: Shape) -> tuple[int, int]:
    """How many inputs an output sees and how many outputs an input reaches: receptive field x channels.

    >>> fans((3, 3, 32, 64))
    (288, 576)
    """
    if len(shape) < 2:
        return (shape[0] if shape else 1,) * 2
    receptive = math.prod(shape[:-2])
    return receptive * shape[-2], receptive * shape[-1]


class Initializer(Configurable):
    """Base: a subclass returns the values for a shape.

    Source: keras.initializers.Initializer.
    """

    def __call__(self, shape: Shape, dtype=None) -> np.ndarray:
        """Values of this shape, float32 unless `dtype` says otherwise."""
        return np.asarray(self._values(tuple(shape)), np.float32 if dtype is None else dtype)

    def _values(self, shape: Shape) -> np.ndarray:
        raise NotImplementedError


class Constant(Initializer):
    """One value everywhere.

    Args:
        value: that.

    Source: keras.initializers.Constant.

    >>> Constant(0.5)((2,)).tolist()
    [0.5, 0.5]
    """

    def __init__(self, value: float = 0.0):
        if np.ndim(value) or np.asarray(value).dtype.kind not in "fiub":
            raise refused("value", "a number", value)
        self.value = value

    def _values(self, shape):
        return np.full(shape, self.value)


class Zeros(Initializer):
    """0 everywhere. Source: keras.initializers.Zeros."""

    def _values(self, shape):
        return np.zeros(shape)


class Ones(Initializer):
    """1 everywhere. Source: keras.initializers.Ones."""

    def _values(self, shape):
        return np.ones(shape)


class Identity(Initializer):
    """The identity matrix.

    Args:
        gain: what is on the diagonal.

    Raises: ValueError for a shape of other than two axes.
    Source: keras.initializers.Identity.
    """

    def __init__(self, gain: float = 1.0):
        self.gain = number(gain, "gain")

    def _values(self, shape):
        if len(shape) != 2:
            raise ValueError(f"Identity: expected a shape of two axes. Received: shape={shape}")
        return self.gain * np.eye(*shape)


class _Random(Initializer):
    """Base of those that draw.

    Args:
        seed: None, or an integer >= 0.
    """

    def __init__(self, seed: int | None = None):
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, numbers.Integral) or seed < 0):
            raise ValueError(f"seed: expected an integer >= 0 or None. Received: seed={seed!r}")
        self.seed = seed

    def _values(self, shape):
        return self._drawn(shape, rng.generator() if self.seed is None else rng.keyed(self.seed))

    def _drawn(self, shape: Shape, generator: np.random.Generator) -> np.ndarray:
        raise NotImplementedError


class RandomNormal(_Random):
    """Normally distributed.

    Args:
        mean: of the distribution.
        stddev: its standard deviation.
        seed: None, or an integer >= 0 for the same numbers in every call.

    Source: keras.initializers.RandomNormal.
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None):
        super().__init__(seed)
        self.mean, self.stddev = number(mean, "mean"), number(stddev, "stddev", 0)

    def _drawn(self, shape, generator):
        return generator.normal(self.mean, self.stddev, shape)


class TruncatedNormal(RandomNormal):
    """Normally distributed, drawn anew where a number is more than two standard deviations off.

    Args:
        mean: of the distribution.
        stddev: its standard deviation before the cut.
        seed: None, or an integer >= 0 for the same numbers in every call.

    Source: keras.initializers.TruncatedNormal.
    """

    def _drawn(self, shape, generator):
        return self.mean + self.stddev * _truncated(generator, shape)


class RandomUniform(_Random):
    """Uniform in [minval, maxval).

    Args:
        minval: lower end.
        maxval: upper end.
        seed: None, or an integer >= 0 for the same numbers in every call.

    Source: keras.initializers.RandomUniform.
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None):
        super().__init__(seed)
        self.minval, self.maxval = number(minval, "minval"), number(maxval, "maxval")
        if self.minval > self.maxval:
            raise refused("maxval", f"a number >= minval={minval}", maxval)

    def _drawn(self, shape, generator):
        return generator.uniform(self.minval, self.maxval, shape)


class VarianceScaling(_Random):
    """Variance `scale / n`, n the number of inputs, of outputs, or their mean (`fans`).

    Args:
        scale: see above.
        mode: "fan_in", "fan_out" or "fan_avg".
        distribution: "truncated_normal" ("normal"), "untruncated_normal" or "uniform".
        seed: None, or an integer >= 0 for the same numbers in every call.

    Raises: ValueError if an argument is out of range.
    Source: keras.initializers.VarianceScaling.
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
    ):
        super().__init__(seed)
        positive(scale, "scale")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(f"mode: expected one of ['fan_avg', 'fan_in', 'fan_out']. Received: mode={mode!r}")
        if distribution == "normal":
            distribution = "truncated_normal"
        if distribution not in ("truncated_normal", "untruncated_normal", "uniform"):
            raise ValueError(
                "distribution: expected one of ['truncated_normal', 'uniform', 'untruncated_normal']. "
                f"Received: distribution={distribution!r}"
            )
        self.scale, self.mode, self.distribution = scale, mode, distribution

    def _drawn(self, shape, generator):
        fan_in, fan_out = fans(shape)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, n)
        if self.distribution == "uniform":
            limit = math.sqrt(3 * variance)
            return generator.uniform(-limit, limit, shape)
        if self.distribution == "untruncated_normal":
            return generator.normal(0.0, math.sqrt(variance), shape)
        return math.sqrt(variance) / _TRUNCATED_STDDEV * _truncated(generator, shape)


class GlorotUniform(VarianceScaling):
    """Uniform in +-sqrt(6 / (fan_in + fan_out)). Source: keras.initializers.GlorotUniform; Glorot and Bengio 2010."""

    def __init__(self, seed: int | None = None):
        super().__init__(1.0, "fan_avg", "uniform", seed)


class GlorotNormal(VarianceScaling):
    """Truncated normal of variance 2 / (fan_in + fan_out). Source: keras.initializers.GlorotNormal."""

    def __init__(self, seed: int | None = None):
        super().__init__(1.0, "fan_avg", "truncated_normal", seed)


class HeUniform(VarianceScaling):
    """Uniform in +-sqrt(6 / fan_in). Source: keras.initializers.HeUniform; He et al. 2015."""

    def __init__(self, seed: int | None = None):
        super().__init__(2.0, "fan_in", "uniform", seed)


class HeNormal(VarianceScaling):
    """Truncated normal of variance 2 / fan_in. Source: keras.initializers.HeNormal; He et al. 2015."""

    def __init__(self, seed: int | None = None):
        super().__init__(2.0, "fan_in", "truncated_normal", seed)


class LecunUniform(VarianceScaling):
    """Uniform in +-sqrt(3 / fan_in). Source: keras.initializers.LecunUniform; LeCun et al. 1998."""

    def __init__(self, seed: int | None = None):
        super().__init__(1.0, "fan_in", "uniform", seed)


class LecunNormal(VarianceScaling):
    """Truncated normal of variance 1 / fan_in. Source: keras.initializers.LecunNormal; LeCun et al. 1998."""

    def __init__(self, seed: int | None = None):
        super().__init__(1.0, "fan_in", "truncated_normal", seed)


class Orthogonal(_Random):
    """Orthogonal columns, or rows where there are fewer of them, of the matrix (all axes but the last, the last).

    Args:
        gain: factor.
        seed: None, or an integer >= 0 for the same numbers in every call.

    Raises: ValueError for a shape of fewer than two axes.
    Source: keras.initializers.Orthogonal; Saxe et al. 2014, arXiv:1312.6120.
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None):
        super().__init__(seed)
        self.gain = number(gain, "gain")

    def _drawn(self, shape, generator):
        if len(shape) < 2:
            raise ValueError(f"Orthogonal: expected a shape of two axes or more. Received: shape={shape}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        q, r = np.linalg.qr(generator.normal(size=(max(rows, columns), min(rows, columns))))
        q *= np.sign(np.diagonal(r))  # makes it uniformly distributed: Mezzadri 2007, arXiv:math-ph/0609050
        return self.gain * (q if rows >= columns else q.T).reshape(shape)


def _truncated(generator: np.random.Generator, shape: Shape) -> np.ndarray:
    """Normal numbers within +-2."""
    values = generator.normal(size=shape)
    while (beyond := np.abs(values) > 2).any():
        values[beyond] = generator.normal(size=int(beyond.sum()))
    return values


constant, zeros, ones, identity = Constant, Zeros, Ones, Identity
random_normal, truncated_normal, random_uniform = RandomNormal, TruncatedNormal, RandomUniform
variance_scaling, orthogonal = VarianceScaling, Orthogonal
glorot_uniform, glorot_normal = GlorotUniform, GlorotNormal
he_uniform, he_normal = HeUniform, HeNormal
lecun_uniform, lecun_normal = LecunUniform, LecunNormal

_KNOWN = {
    name: value
    for name, value in globals().items()
    if isinstance(value, type) and issubclass(value, Initializer) and value not in (Initializer, _Random)
} | {"normal": RandomNormal, "uniform": RandomUniform, "one": Ones, "zero": Zeros}


def get(identifier: str | Callable, name: str = "initializer") -> Callable[[Shape], np.ndarray]:
    """An initializer: by its name, of its class with defaults, or `identifier` itself, a callable from shape to array.
    Errors call it `name`.

    Raises:
        ValueError: listing the known names.
    """
    if isinstance(identifier, type) and issubclass(identifier, Initializer):
        return identifier()
    if callable(identifier):
        return identifier
    if not isinstance(identifier, str) or identifier not in _KNOWN:
        raise refused(name, f"a callable or one of {sorted(_KNOWN)}", identifier)
    return _KNOWN[identifier]()


def checked(identifier: str | Callable, name: str) -> str | Callable:
    """`identifier` as it is, of a layer's argument `name`, if `get` takes it.

    Raises:
        ValueError: listing the known names.
    """
    get(identifier, name)
    return identifier
