from __future__ import annotations

from fastconv.checks import number
from fastconv.layers.base import Layer, Shape


class Dropout(Layer):
    """In training, sets a share `rate` of the inputs to 0 and divides the rest by 1 - rate; else passes them on.

    Which ones depends on the model's seed, the step and the position alone (a counter-based generator), so a run that
    starts from `utils.set_random_seed` repeats to the bit with any number of threads.

    Args:
        rate: share of zeros, in [0, 1].

    Input and output shape: any.
    Raises: ValueError if rate is out of range.
    Source: keras.layers.Dropout; Srivastava et al. 2014.

    >>> Dropout(0.5).rate
    0.5
    """

    def __init__(self, rate: float, name: str | None = None, input_shape: Shape | None = None):
        super().__init__(name, input_shape)
        self.rate = number(rate, "rate", 0, 1)

    def emit(self, graph, x):
        if not graph.layers_train or self.rate == 0:
            return x
        y = graph.buffer(x.shape, f"{self.name}.y")
        seed, step = graph.state("seed", dtype="int64"), graph.state("step", dtype="int64")
        graph.emit("dropout_forward", {"y": y}, x=x, seed=seed, step=step, rate=self.rate, stream=graph.new_stream())
        return y
