"""Settings of the optimizers; their arithmetic is tested in ops/test_optimizer.py and test_keras_semantics.py."""

import numpy as np
import pytest

from fastconv import optimizers


@pytest.mark.parametrize("rate", [1, True, "0.1", -0.1, float("nan"), float("inf"), None])
def test_learning_rate_must_be_a_float(rate):
    with pytest.raises(ValueError, match="learning_rate"):
        optimizers.Adam(rate)


def test_learning_rate_is_settable_and_checked():
    adam = optimizers.Adam()
    adam.learning_rate = np.float32(0.25)
    assert adam.learning_rate == 0.25 and adam.learning_rate_array[0] == 0.25
    with pytest.raises(ValueError, match="learning_rate=-1.0"):
        adam.learning_rate = -1.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optimizers.Adam(beta_1=1.0), "beta_1=1.0"),
        (lambda: optimizers.Adam(beta_2=-0.1), "beta_2=-0.1"),
        (lambda: optimizers.Adam(epsilon=0.0), "epsilon=0.0"),
        (lambda: optimizers.SGD(momentum=2), "momentum=2"),
        (lambda: optimizers.get("adamx"), r"\['adam', 'sgd'\].*adamx"),
        (lambda: optimizers.get(None), "Received: None"),
    ],
)
def test_settings_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_get_by_name_and_by_object():
    assert isinstance(optimizers.get("Adam"), optimizers.Adam)
    sgd = optimizers.SGD()
    assert optimizers.get(sgd) is sgd
