"""fastconv beside a live TensorFlow, where one is installed: kernels on all listed shapes, layers, training steps.

    pip install "tensorflow-cpu==2.21.*" "keras==3.15.*" && pytest -m tensorflow

Kernels get small whole numbers, on which every order of summation gives the same float32: differences must be 0.
"""

import os

import numpy as np
import pytest
import shapes
from parity import golden, keras_networks

import fastconv
from fastconv import ops

pytestmark = pytest.mark.tensorflow

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
REASON = "TensorFlow is not installed (pip install tensorflow-cpu)"
tf = pytest.importorskip("tensorflow", reason=REASON)
keras = pytest.importorskip("keras", reason=REASON)

# TensorFlow's CPU kernels take the whole of a large shape in memory several times over; these cost seconds.
CONV2D = [shape for shape in shapes.CONV2D if shape.geometry().multiplications < 5_000_000]
STEPS = 3


def whole_numbers(rng, shape):
    return rng.integers(-3, 4, shape).astype(np.float32)


@pytest.mark.parametrize("padding", shapes.PADDINGS)
def test_conv2d_and_its_gradients(padding):
    rng = np.random.default_rng(1)
    listed = [shape for shape in CONV2D if shape.padding == padding]
    wrong = []
    for shape in listed:
        g = shape.geometry()
        x, kernel, dy = (whole_numbers(rng, size) for size in (g.x_shape, g.w_shape, g.y_shape))
        tensors = tf.constant(x), tf.constant(kernel)
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            y = tf.nn.conv2d(*tensors, shape.stride, padding.upper())
        dx, dw = tape.gradient(y, tensors, output_gradients=tf.constant(dy))
        options = {"strides": shape.stride, "padding": padding}
        passes = {
            "fprop": (ops.conv2d(x, kernel, **options), y),
            "dgrad": (ops.conv2d_dgrad(dy, kernel, x.shape, **options), dx),
            "wgrad": (ops.conv2d_wgrad(x, dy, kernel.shape, **options), dw),
        }
        wrong += [f"{name} {shape}" for name, (a, b) in passes.items() if not np.array_equal(a, b.numpy())]
    assert wrong == []


def test_enough_shapes_are_compared():
    assert len(CONV2D) >= 300


@pytest.mark.parametrize("shape", [(8, 3), (33, 17), (2, 5, 7, 9), (4, 16, 16, 32)], ids=str)
def test_batch_norm_and_its_gradient(shape):
    rng = np.random.default_rng(2)
    x, dy = rng.normal(3, 2, shape).astype(np.float32), rng.normal(0, 1, shape).astype(np.float32)
    gamma, beta = rng.uniform(0.5, 2, shape[-1]).astype(np.float32), rng.normal(0, 1, shape[-1]).astype(np.float32)
    layer = keras.layers.BatchNormalization(dtype="float64")
    layer.build(shape)
    layer.set_weights([gamma, beta, np.zeros(shape[-1]), np.ones(shape[-1])])
    tensors = [tf.constant(x, tf.float64), layer.gamma.value, layer.beta.value]
    with tf.GradientTape() as tape:
        tape.watch(tensors[0])
        y = layer(tensors[0], training=True)
    expected = [y, *tape.gradient(y, tensors, output_gradients=tf.constant(dy, tf.float64))]
    z, mean, variance = ops.batch_norm(x, gamma, beta)
    received = [z, *ops.batch_norm_backward(dy, x, gamma, mean, variance)]
    for actual, reference in zip(received, expected, strict=True):
        np.testing.assert_allclose(actual, reference.numpy(), rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("slope", [0.0, 0.125, 0.3])
def test_leaky_relu_and_its_gradient(slope):
    x = np.float32([-2, -0.0, 0.0, 1e-30, -1e-30, 1.5, np.inf, -np.inf])
    tensor = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        y = keras.layers.LeakyReLU(negative_slope=slope)(tensor)
    dx = tape.gradient(y, tensor).numpy()
    finite = np.isfinite(x) | (slope > 0)  # 0 * inf: Keras gives 0 where fastconv may say NaN
    np.testing.assert_array_equal(ops.leaky_relu(x, negative_slope=slope)[finite], y.numpy()[finite])
    np.testing.assert_array_equal(ops.leaky_relu_backward(np.ones_like(x), x, negative_slope=slope), dx)


@pytest.fixture(scope="module")
def sample():
    (images, labels), _ = fastconv.datasets.load_sample()
    return images, labels


@pytest.fixture
def float64():
    """Keras computes in float64: a reference that no branch of LeakyReLU taken the other way can spoil."""
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def both(name, optimizer, arguments, gain=1.0):
    """The same network in Keras and in fastconv, with the same weights."""
    models = [keras_networks.build(api, name, dropout=0.0) for api in (keras, fastconv)]
    weights = golden.golden_weights([w.shape for w in models[0].get_weights()], seed=3, gain=gain)
    for model, api in zip(models, (keras, fastconv), strict=True):
        model.set_weights(weights)
        model.compile(
            optimizer=getattr(api.optimizers, optimizer)(**arguments),
            loss="categorical_crossentropy",
            metrics=["accuracy"],
        )
    return models


@pytest.mark.parametrize("name", ["mlp", "conv", "cnn", "cnn-first-bn"])
def test_gradients_of_one_training_step(name, sample, float64):
    """A step of SGD with learning rate 1 moves each weight by its gradient."""
    models = both(name, "SGD", {"learning_rate": 1.0})
    before = models[0].get_weights()
    x, y = next(golden.batches(*sample))
    for model in models:
        model.train_on_batch(x, y)
    expected, received = ([a - b for a, b in zip(m.get_weights(), before, strict=True)] for m in models)
    # A bias before a BatchNormalization has gradient 0 but for rounding, so the scale has a floor.
    floor = max(np.abs(gradient).max() for gradient in expected) * 0.05
    errors = {
        weight.path: np.abs(b - a).max() / max(np.abs(a).max(), floor)
        for weight, a, b in zip(models[1].weights, expected, received, strict=True)
    }
    assert {path: error for path, error in errors.items() if not error < 1e-4} == {}


@pytest.mark.parametrize("name", ["mlp", "conv", "cnn", "cnn-first-bn"])
def test_losses_of_steps_with_adam(name, sample, float64):
    models = both(name, "Adam", {"learning_rate": keras_networks.LEARNING_RATES[name]}, gain=10.0)
    losses = [
        [float(model.train_on_batch(x, y)[0]) for x, y in golden.batches(*sample, steps=STEPS)] for model in models
    ]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)


@pytest.mark.parametrize("name", ["mlp", "conv", "cnn", "cnn-first-bn", "64x64x1"])
def test_predictions(name):
    models = both(name, "SGD", {})
    x = np.random.default_rng(4).uniform(0, 1, (7, *models[0].input_shape[1:])).astype(np.float32)
    expected, received = (model.predict(x, batch_size=4, verbose=0) for model in models)
    np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-6)
