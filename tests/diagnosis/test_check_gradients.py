"""Model.check_gradients: right gradients pass, on every network of the plan's tests; a wrong one is found and named."""

import numpy as np
import pytest
from plan.test_gradients import NETWORKS

import fastconv
from fastconv import Sequential, layers, losses, models, regularizers, utils
from fastconv.ops.numpy_ops import NumpyOps


def compiled(model, loss="categorical_crossentropy", seed=1):
    """With labels for 5 classes, and weights away from their initial values."""
    rng = np.random.default_rng(seed)
    model.compile("adam", loss)
    for weight in model.trainable_weights:
        weight.assign(weight.array + rng.normal(size=weight.shape) * 0.3)
    x = rng.normal(size=(6, *model.inputs[0].shape[1:]))
    return model, x, np.eye(5)[rng.integers(5, size=6)]


def small(**options):
    utils.set_random_seed(3)
    image = layers.Input((6, 6, 2))
    x = layers.ReLU()(layers.BatchNormalization(name="bn")(layers.Conv2D(3, 3, name="conv")(image)))
    return models.Model(image, layers.Dense(5, "softmax", name="last", **options)(layers.Flatten()(x)))


@pytest.mark.parametrize("network", NETWORKS, ids=lambda f: f.__name__)
def test_right_gradients_pass(network):
    utils.set_random_seed(1)
    report = compiled(network())[0].check_gradients(*compiled(network())[1:], entries=4)
    assert report.ok, str(report)
    assert all(check.checked == min(4, np.prod(check.shape)) for check in report.checks)


@pytest.mark.parametrize(
    "rule, wrong",
    [
        ("conv2d_dgrad", {"conv/kernel", "bn/gamma", "bn/beta"}),  # of the last layer: what comes before it is wrong
        ("conv2d_wgrad", {"conv/kernel", "last/kernel"}),
        ("batchnorm_backward", {"bn/gamma"}),
    ],
)
def test_a_wrong_backward_pass_is_found_and_named(monkeypatch, rule, wrong):
    right = getattr(NumpyOps, rule)

    def planted(self, *args, **arguments):
        right(self, *args, **arguments)
        result = next(arguments[name] for name in ("dgamma", "dw", "dx") if arguments.get(name) is not None)
        result *= 1.001

    monkeypatch.setattr(NumpyOps, rule, planted)
    model, x, y = compiled(small())
    report = model.check_gradients(x, y)
    assert not report.ok and {check.weight for check in report.wrong} == wrong
    assert all(check.error == pytest.approx(1e-3, rel=0.1) for check in report.wrong)
    table = str(report)
    assert table.count("WRONG") == len(wrong) and f"{len(wrong)} of 6 weights are wrong" in table
    assert f"{report.wrong[0].weight}[" in table and "by the backward pass" in table


def test_a_table_says_what_was_compared():
    model, x, y = compiled(small())
    lines = str(model.check_gradients(x, y, entries=3)).splitlines()
    assert lines[0].split() == ["weight", "shape", "checked", "kinks", "largest", "error"]
    assert lines[1].split()[:5] == ["conv/kernel", "(3,", "3,", "2,", "3)"]
    assert lines[-1] == "18 entries of 6 weights on 6 samples, in float64: all right (tolerance 0.0001)"


def test_kinks_are_told_from_errors():
    """At zero weights each ReLU is at its kink: the slopes below and above differ, and the backward pass takes one."""
    model = Sequential([layers.Input((3,)), layers.Dense(2, "relu", name="kinked"), layers.Dense(5, "softmax")])
    model.compile("sgd", "categorical_crossentropy")
    model.get_layer("kinked").kernel.assign(np.zeros((3, 2)))
    report = model.check_gradients(np.ones((2, 3)), np.eye(5)[:2])
    assert report.ok
    assert [check.kinks for check in report.checks] == [6, 2, 0, 0]


def test_penalties_sample_weights_and_several_outputs_count():
    image = layers.Input((4,))
    x = layers.Dense(3, "tanh", kernel_regularizer=regularizers.L1L2(0.1, 0.2))(image)
    model = models.Model(image, [layers.Dense(5, "softmax", name="a")(x), layers.Dense(1, name="b")(x)])
    model.compile(
        "adam", {"a": losses.CategoricalCrossentropy(label_smoothing=0.1), "b": "mse"}, loss_weights=[1.0, 0.3]
    )
    rng = np.random.default_rng(0)
    y = {"a": np.eye(5)[[0, 3, 4]], "b": rng.normal(size=3)}
    report = model.check_gradients(rng.normal(size=(3, 4)), y, sample_weight=np.array([1.0, 0.5, 2.0]))
    assert report.ok, str(report)


def test_the_model_and_its_training_are_as_before():
    def trained(checks):
        model, x, y = compiled(small())
        model.fit(x, y, epochs=1, verbose=0)
        if checks:
            model.check_gradients(x, y, entries=2)
        model.fit(x, y, epochs=1, verbose=0)
        return fastconv.fingerprint(model, include_optimizer=True)

    assert trained(True) == trained(False)


def test_frozen_weights_are_left_out():
    model = small()
    model.get_layer("conv").trainable = False
    model, x, y = compiled(model)
    assert [check.weight for check in model.check_gradients(x, y, entries=1).checks][0] == "bn/gamma"


def test_what_cannot_be_checked_is_refused():
    model = small()
    with pytest.raises(RuntimeError, match="check_gradients: expected a compiled model"):
        model.check_gradients(np.zeros((1, 6, 6, 2)), np.eye(5)[:1])
    model.trainable = False
    model, x, y = compiled(model)
    with pytest.raises(ValueError, match="expected at least one weight that learns"):
        model.check_gradients(x, y)
    model.trainable = True
    model, x, y = compiled(model)
    x[0, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="expected a finite loss on these samples. Received: nan"):
        model.check_gradients(x, y)
    with pytest.raises(ValueError, match="entries: expected a positive integer"):
        model.check_gradients(x, y, entries=0)
