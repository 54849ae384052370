"""Each likely cause, where it was planted."""

import numpy as np
import pytest
from failing_training import failure, names, numbers, stacked
from small_training import data, fit, network

import fastconv
from fastconv import datasets, layers, optimizers, utils
from fastconv.models import Model, Sequential, networks

# --- the lesson ------------------------------------------------------------------------------------------------------


def test_exploding_gradients_without_batch_normalization():
    """A learning rate that is too high explodes where normalizations were taken away, and not where they are."""
    (x, y), _ = datasets.load_sample()
    x, y = x[:640].astype(np.float32) / 255, utils.to_categorical(y[:640], 10)

    def lesson(batch_norm):
        utils.set_random_seed(0)
        utils.clear_session()
        model = networks.cnn(batch_norm=batch_norm)
        model.compile(optimizers.SGD(1.0), "categorical_crossentropy")
        return model

    fit(lesson("all"), x, y, batch_size=32, epochs=1)

    model = lesson("first")
    report = failure(model, x, y, batch_size=32)
    assert 1 < report.step < 20 and report.exact
    assert [cause.name for cause in report.causes] == ["learning rate", "no normalization"]
    assert report.layer in [layer.name for layer in model.layers]
    assert f"in layer {report.layer}, step {report.step} (epoch 1, batch {report.step})" in str(report)
    assert len(report.samples) == 32 and report.losses[0] < 3 and np.isnan(report.losses[-1])
    first, *rest = report.ranges
    assert first.layer == "conv2d" and first.gradient_before > 1e3 and rest[-1].activation_before > 1e6


def test_unscaled_input():
    x, y = numbers()
    fit(stacked(rate=0.01), x, y, epochs=30)
    report = failure(stacked(rate=0.01), x * 255, y, epochs=30)
    assert names(report)[0] == "unscaled input" and report.input_max == pytest.approx(np.abs(x * 255).max(), rel=0.5)


def test_input_that_a_layer_scales_is_scaled():
    x, y = numbers()
    image = layers.Input((8,))
    model = Model(image, layers.Dense(1)(layers.Dense(8)(layers.Rescaling(1 / 255)(image))))
    model.compile(optimizers.SGD(1e6), "mse")
    report = failure(model, x * 255, y, epochs=30)
    assert names(report)[0] == "learning rate" and report.input_max < 10


def test_learning_rate():
    x, y = numbers()
    report = failure(stacked(rate=1e4), x, y)
    assert names(report)[0] == "learning rate" and report.learning_rate == 1e4
    assert "At a learning rate of 1e+04 the step before changed" in str(report)


def test_no_normalization():
    x, y = numbers()
    report = failure(stacked(depth=12, scale=3e3, rate=1e-30), x, y)
    assert names(report) == ["no normalization"] and report.tensor == "activation"
    assert report.layer == report.ranges[-1].layer and report.iterations == 0


def test_labels_beyond_float32():
    x, y = numbers()
    y = y.astype(np.float64)
    y[23] = 1e39
    with np.errstate(over="ignore"):
        report = failure(stacked(), x, y)
    assert (report.tensor, report.layer, names(report)) == ("label", None, ["labels"])
    assert report.samples.tolist() == [23] and report.values == (1, 1 * len(report.batch_samples))


def test_labels_that_are_not_scaled():
    x, y = numbers()
    report = failure(stacked(), x, y * np.float32(1e25))
    assert "labels" in names(report)


def test_predictions_that_are_no_probabilities():
    """ReLU in the place of softmax: of samples 2 and 5 all outputs are 0."""
    x = np.ones((8, 2), np.float32)
    x[[2, 5]] *= -1
    model = Sequential([layers.Dense(3, kernel_initializer="ones", activation="relu")])
    model.compile("sgd", "categorical_crossentropy")
    with pytest.warns(fastconv.AdviceWarning, match="end the model in softmax"):
        report = failure(model, x, utils.to_categorical([0, 1, 2, 0, 1, 2, 0, 1], 3))
    assert (report.tensor, names(report), sorted(report.samples)) == ("loss", ["no probabilities"], [2, 5])
    assert "which is 0 for 2 of the samples. End the model in softmax" in str(report)


def test_sample_weights_beyond_float32():
    x, y = numbers()
    weights = np.ones(len(x))
    weights[7] = 1e300
    with np.errstate(over="ignore"):
        report = failure(stacked(), x, y, sample_weight=weights)
    assert (report.tensor, names(report), report.samples.tolist()) == ("sample weight", ["sample_weight"], [7])


def test_one_sample_that_is_out_of_all_proportion():
    x, y = numbers()
    x[31] = 3e38
    report = failure(stacked(), x, y, epochs=1)
    assert report.samples.tolist() == [31] and report.tensor == "activation" and report.layer == "dense"
    assert names(report)[0] == "unscaled input"


def test_the_sample_behind_what_comes_from_all_of_a_batch():
    """Statistics of a batch normalization, the loss, and the sample that ruined the weights in the step before."""
    x, y = numbers()
    x[31] = 1e22
    report = failure(stacked(normalize=True), x, y, epochs=1)
    assert report.tensor == "moving statistic" and report.name.endswith("moving_variance")
    assert report.samples.tolist() == [31] and "(sample 31)" in str(report) and len(report.batch_samples) > 1

    x, y = numbers()
    y[17] = 1e25
    report = failure(stacked(), x, y, epochs=1)
    assert (report.tensor, report.samples.tolist()) == ("loss", [17]) and names(report) == ["labels"]
    assert "Look at that sample" in str(report)

    x, y = numbers()
    x[3] = 1e10
    report = failure(stacked(rate=0.1), x, y, shuffle=False, epochs=1)
    assert report.step > 1 and "(sample 3 of the step before)" in report.causes[0].evidence


@pytest.mark.parametrize("name", ["kernel", "moving_variance"])
def test_weights_that_are_not_finite_before_the_first_step(name):
    model = network()
    weight = next(w for w in model.weights if w.name == name)
    weight.array = np.full(weight.shape, np.nan)
    with pytest.raises(fastconv.NonFiniteError, match=f"before step 1.*{weight.path}") as caught:
        fit(model, *data())
    report = caught.value.report
    tensor = "weight" if name == "kernel" else "moving statistic"
    assert (report.tensor, report.layer, names(report)) == (tensor, weight.layer_name, ["weights"])
    assert report.iterations == 0 and not len(report.samples)
