"""Layers that scale data: values against their formulas, adapt, what is refused, uint8 on a device."""

import numpy as np
import pytest

from fastconv import layers, models


def predicted(layer, x):
    model = models.Sequential([layers.Input(x.shape[1:]), layer])
    return model.predict(x, verbose=0)


def test_rescaling_takes_bytes():
    x = np.array([[0, 128, 255]], np.uint8)
    np.testing.assert_allclose(predicted(layers.Rescaling(1 / 127.5, -1), x), [[-1, 1 / 255, 1]], atol=1e-7)


DATA = np.random.default_rng(0).normal(3, [1.0, 2.0, 4.0], (50, 4, 2, 3)).astype(np.float32)


@pytest.mark.parametrize("axis", [-1, 3, (2, 3), (1, 2, 3), (-1, -2), None], ids=str)
@pytest.mark.parametrize("invert", [False, True])
def test_adapted_normalization(axis, invert):
    layer = layers.Normalization(axis, invert=invert)
    layer.adapt(DATA)
    axes = [] if axis is None else [a % 4 for a in np.atleast_1d(axis)]
    others = tuple(a for a in range(4) if a not in axes)
    mean, deviation = DATA.mean(others, keepdims=True, dtype=float), DATA.std(others, keepdims=True, dtype=float)
    expected = DATA * deviation + mean if invert else (DATA - mean) / deviation
    np.testing.assert_allclose(predicted(layer, DATA), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("batches", [[DATA], [DATA[:7], DATA[7:9], DATA[9:]], [(DATA[:20], 0), (DATA[20:], 0)]])
def test_batches_give_what_all_data_give(batches):
    layer = layers.Normalization()
    layer.adapt(iter(batches))
    np.testing.assert_allclose(layer.adapt_mean.array, DATA.mean((0, 1, 2), dtype=float), rtol=1e-6)
    np.testing.assert_allclose(layer.adapt_variance.array, DATA.var((0, 1, 2), dtype=float), rtol=1e-6)


def test_an_offset_costs_no_digits_of_the_variance():
    layer = layers.Normalization(None)
    layer.adapt([DATA[:25] + np.float32(1e4), DATA[25:] + np.float32(1e4)])
    np.testing.assert_allclose(layer.adapt_variance.array, (DATA + np.float32(1e4)).var(dtype=float), rtol=1e-6)


@pytest.mark.parametrize(("mean", "variance"), [(2.0, 4.0), ([1.0, 2.0, 3.0], [4.0, 1.0, 0.25])])
def test_given_normalization_has_no_weights(mean, variance):
    layer = layers.Normalization(mean=mean, variance=variance)
    np.testing.assert_allclose(predicted(layer, DATA), (DATA - mean) / np.sqrt(variance), rtol=1e-5, atol=1e-6)
    assert layer.weights == []
    with pytest.raises(ValueError, match="adapt: expected a layer without mean and variance"):
        layer.adapt(DATA)


def test_no_variance_divides_by_the_smallest_deviation():
    layer = layers.Normalization(mean=0.0, variance=0.0)
    np.testing.assert_allclose(predicted(layer, np.ones((1, 3), np.float32)), np.full((1, 3), 1e7), rtol=1e-5)


def test_normalization_does_not_train():
    layer = layers.Normalization()
    layer.adapt(DATA)
    model = models.Sequential([layers.Input((4, 2, 3)), layer, layers.Flatten(), layers.Dense(2, activation="softmax")])
    model.compile(optimizer="sgd", loss="categorical_crossentropy")
    before = layer.adapt_mean.numpy()
    model.fit(DATA, np.eye(2)[np.arange(50) % 2], verbose=0)
    np.testing.assert_array_equal(layer.adapt_mean.array, before)
    assert [w.name for w in layer.weights] == ["mean", "variance", "count"]
    assert layer.trainable_weights == []


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.Rescaling("255"), "scale: expected a finite number. Received: scale='255'"),
        (lambda: layers.Rescaling(1, np.inf), "offset: expected a finite number. Received: offset=inf"),
        (lambda: layers.Normalization(mean=1.0), "mean: expected with a variance of its shape, or neither"),
        (lambda: layers.Normalization(mean=1.0, variance=[1.0, 2.0]), "mean: expected with a variance of its shape"),
    ],
)
def test_settings_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (layers.Normalization(1), "axis: expected the last axes, not the batch, or None. Received: axis=1"),
        (layers.Normalization(4), "axis=4"),
        (layers.Normalization((0, 1, 2, 3)), r"axis=\(0, 1, 2, 3\)"),
        (layers.Normalization(mean=[1.0, 2.0], variance=[1.0, 2.0]), r"mean: expected a shape that fits \(3,\)"),
    ],
    ids=str,
)
def test_axes_that_are_not_the_last_are_refused(layer, message):
    with pytest.raises(ValueError, match=message):
        layer(layers.Input((4, 2, 3)))


def test_an_adapted_layer_refuses_other_channels():
    layer = layers.Normalization()
    layer.adapt(DATA)
    with pytest.raises(ValueError, match=r"expected an input whose last axes are \(3,\)"):
        layer(layers.Input((4, 2, 5)))
    with pytest.raises(ValueError, match=r"data: expected at least one sample"):
        layer.adapt(DATA[:0])
