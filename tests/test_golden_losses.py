"""The first training steps of the seed networks against losses recorded from TensorFlow (parity/record_tensorflow.py).

The bounds are 1e-4 for losses, and ten times what rounding alone did to TensorFlow's own runs (`rounding`
in the file) for the rest: the evaluation after these steps, and the curves of 100.
"""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from parity import golden

import fastconv
from fastconv.models.networks import NETWORKS

RECORDED = golden.load("golden_losses")
LOSS_TOLERANCE = 1e-4
EVALUATION_TOLERANCE = 1e-3
MOVING_SUM_TOLERANCE = 5e-3  # absolute
ONE_IMAGE = 1 / RECORDED["evaluated_images"]


@pytest.fixture(scope="module")
def sample():
    (images, labels), _ = fastconv.datasets.load_sample()
    return images, labels


@pytest.fixture(scope="module", params=RECORDED["runs"])
def trained(request, sample):
    """A network after the recorded steps: what was recorded, and what fastconv got."""
    images, labels = sample
    recorded = RECORDED["runs"][request.param]
    # With kernels that are not enlarged, one output of 131,072 at LeakyReLU's kink moves the second loss by 1e-4.
    # Direct sums lie on TensorFlow's side of it on every instruction set; Winograd's, rounded twice as much, need not.
    fastconv.config.set_conv_algorithm("direct" if request.param == "cnn-gain-1" else "auto")
    factory = NETWORKS[recorded["network"]].factory
    fastconv.utils.clear_session()
    model = factory(dropout=0.0) if recorded["network"] == "cnn" else factory()
    weights = golden.golden_weights(recorded["weight_shapes"], RECORDED["seed"], recorded["gain"])
    model.set_weights(weights)
    model.compile(
        optimizer=fastconv.optimizers.Adam(learning_rate=recorded["learning_rate"]),
        loss=RECORDED["loss"],
        metrics=["accuracy"],
    )
    steps, curve = recorded["steps"], recorded.get("curve")
    batches = golden.batches(images, labels, len(curve["losses"]) if curve else steps)
    losses = [model.train_on_batch(x, y)[0] for x, y in itertools.islice(batches, steps)]
    evaluated = slice(0, RECORDED["evaluated_images"])
    x, y = golden.scaled(images[evaluated]), golden.one_hot(labels[evaluated])
    loss, accuracy = model.evaluate(x, y, batch_size=RECORDED["batch_size"], verbose=0)
    sums = {w.path: float(np.sum(w.array, dtype=np.float64)) for w in model.weights if "moving" in w.path}
    curve = losses + [model.train_on_batch(x, y)[0] for x, y in batches]
    fastconv.config.set_conv_algorithm("auto")
    found = {"losses": losses, "loss": loss, "accuracy": accuracy, "moving_sums": sums, "curve": curve}
    return SimpleNamespace(recorded=recorded, **found)


def test_the_bundled_sample_has_the_recorded_images(sample):
    assert golden.fingerprint(*sample) == RECORDED["sha256_of_the_images"]


def test_losses_of_the_first_steps(trained):
    np.testing.assert_allclose(trained.losses, trained.recorded["losses"], rtol=LOSS_TOLERANCE)


def test_curve_of_the_longer_runs(trained):
    if "curve" not in trained.recorded:
        pytest.skip("no curve is recorded of this run")
    expected, rounding = (np.array(trained.recorded["curve"][name]) for name in ("losses", "rounding"))
    bounds = np.maximum(LOSS_TOLERANCE, 10 * np.maximum.accumulate(rounding))
    deviations = np.abs(np.array(trained.curve) / expected - 1)
    assert {i: d for i, d in enumerate(deviations) if d > bounds[i]} == {}


def test_evaluated_loss_after_the_steps(trained):
    np.testing.assert_allclose(trained.loss, trained.recorded["evaluate"][0], rtol=EVALUATION_TOLERANCE)


def test_accuracy_after_the_steps(trained):
    assert abs(trained.accuracy - trained.recorded["evaluate"][1]) <= 1.01 * ONE_IMAGE


def test_moving_statistics_after_the_steps(trained):
    assert trained.moving_sums == pytest.approx(trained.recorded["moving_sums"], rel=0, abs=MOVING_SUM_TOLERANCE)
