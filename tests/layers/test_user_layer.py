"""Layers that users write: forward and backward in Python within a plan, what they may return, and refusals."""

import copy
import pickle

import numpy as np
import pytest
from fake_device import FakeOps
from users_layers import Centered, Gate, Halves, Linear, Scale, Square

from fastconv import Sequential, device, layers, models, optimizers, regularizers, utils
from fastconv.layers import Layer


def data(count=50, features=6, classes=5):
    rng = np.random.default_rng(0)
    return rng.normal(size=(count, features)).astype(np.float32), rng.integers(classes, size=count)


def trained(layer_of, epochs=3, **options):
    """A small network around the layers of `layer_of()`, and the losses of its epochs."""
    utils.clear_session()
    utils.set_random_seed(0)
    model = Sequential([layers.Input((6,)), layers.Dense(6), *layer_of(), layers.Dense(5, activation="softmax")])
    model.compile(optimizers.Adam(0.01), "sparse_categorical_crossentropy", **options)
    return model, model.fit(*data(), batch_size=16, epochs=epochs, verbose=0).history["loss"]


def test_it_learns_what_the_layer_of_fastconv_learns():
    mine, losses = trained(lambda: [Linear(7)])
    model, expected = trained(lambda: [layers.Dense(7)])
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    for a, b in zip(mine.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    x, y = data(7)
    np.testing.assert_allclose(mine.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-5)
    np.testing.assert_allclose(mine.evaluate(x, y, verbose=0), model.evaluate(x, y, verbose=0), rtol=1e-5)


def test_a_penalty_of_its_weight_is_part_of_the_loss():
    _, losses = trained(lambda: [Linear(7, regularizers.L2(0.1))])
    _, expected = trained(lambda: [layers.Dense(7, kernel_regularizer=regularizers.L2(0.1))])
    np.testing.assert_allclose(losses, expected, rtol=1e-5)


def test_several_inputs():
    x, gate = layers.Input((6,)), layers.Input((6,))
    model = models.Model([x, gate], Gate()([x, gate]))
    a, b = data(5)[0], data(5)[0][::-1].copy()
    np.testing.assert_allclose(model.predict([a, b], verbose=0), a / (1 + np.exp(-b)), rtol=1e-6)


def test_several_outputs():
    x, image = data(5)[0], layers.Input((6,))
    left, right = models.Model(image, Halves()(image)).predict(x, verbose=0)
    np.testing.assert_array_equal(left, x[:, :3])
    np.testing.assert_array_equal(right, x[:, 3:])


def test_frozen_weights_stay_and_what_is_before_learns():
    model, _ = trained(lambda: [Scale(trainable=False)])
    dense, scale = model.layers[:2]
    np.testing.assert_array_equal(scale.factor.array, np.ones(6))
    assert dense.bias.array.any()


def test_forward_writes_its_own_statistics_in_training_alone():
    model, _ = trained(lambda: [Centered()])
    mean = model.layers[1].mean
    before = mean.numpy()
    assert before.any()
    model.evaluate(*data(), verbose=0)
    np.testing.assert_array_equal(mean.array, before)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_is_a_model_of_its_own(duplicate):
    model, _ = trained(lambda: [Scale(), Linear(4)])
    other = duplicate(model)
    before, (x, y) = model.get_weights(), data()
    np.testing.assert_array_equal(model.predict(x, verbose=0), other.predict(x, verbose=0))
    other.fit(x, y, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), before, strict=True))


@pytest.mark.parametrize("suffix", [".safetensors", ".weights.h5"])
def test_weights_of_a_file(tmp_path, suffix):
    model, _ = trained(lambda: [Scale(), Linear(4)])
    model.save_weights(tmp_path / f"net{suffix}")
    other, _ = trained(lambda: [Scale(), Linear(4)], epochs=1)
    other.load_weights(tmp_path / f"net{suffix}")
    x = data()[0]
    np.testing.assert_array_equal(model.predict(x, verbose=0), other.predict(x, verbose=0))


def test_check_gradients_finds_a_backward_that_does_not_fit():
    class Wrong(Linear):
        def backward(self, dy, x, y):
            dx, dkernel, dbias = super().backward(dy, x, y)
            return 0.9 * dx, dkernel, dbias

    for layer, right in ((Linear, True), (Wrong, False)):
        assert trained(lambda layer=layer: [layer(4)])[0].check_gradients(*data(4)).ok is right


# ---- a device: NumPy's arrays stand for those of a GPU


@pytest.mark.parametrize("resident", [True, False])
def test_on_a_device_it_is_not_captured_and_has_the_numbers_of_the_host(monkeypatch, resident):
    def run():
        model, losses = trained(lambda: [Scale(), Centered(), Linear(4)])
        return losses, model.predict(data(5)[0], verbose=0).tolist(), [w.tolist() for w in model.get_weights()]

    expected, gpu = run(), FakeOps()
    if not resident:
        monkeypatch.setattr(gpu.memory, "free_bytes", lambda: 0)
    monkeypatch.setattr(device, "_ops", gpu)
    assert run() == expected
    assert gpu.memory.captures == 0


def test_a_device_runs_python_in_every_step(monkeypatch):
    gpu, calls = FakeOps(), []

    class Counting(Square):
        def forward(self, x):
            calls.append(len(x))
            return super().forward(x)

    monkeypatch.setattr(device, "_ops", gpu)
    model = Sequential([layers.Input((6,)), Counting()])
    for _ in range(3):
        model.predict(data(4)[0], verbose=0)
    assert calls == [4, 4, 4]


# ---- without a gradient


def test_without_backward_it_predicts():
    x = data()[0]
    np.testing.assert_array_equal(Sequential([layers.Input((6,)), Square()]).predict(x, verbose=0), x * x)


def test_without_backward_what_comes_after_it_learns():
    model = Sequential([layers.Input((6,)), layers.Dense(6, trainable=False), Square(), layers.Dense(5)])
    model.compile("sgd", "mse")
    before = model.layers[-1].kernel.numpy()
    model.fit(data()[0], np.ones((50, 5)), verbose=0)
    assert (model.layers[-1].kernel.array != before).all()


def test_without_backward_nothing_before_it_learns():
    model = Sequential([layers.Input((6,)), layers.Dense(6), Square(name="mine")])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"mine: expected a method backward\(self, dy, x, y\).*Received: Square"):
        model.fit(data()[0], data()[0], verbose=0)


# ---- what it may return


def predict_with(forward):
    layer = type("Mine", (Layer,), {"forward": forward})(name="mine")
    return Sequential([layers.Input((6,)), layer]).predict(data(5)[0], verbose=0)


def fit_with(backward, *weights):
    def build(self, input_shape):
        for name in weights:
            self.add_weight((6,), "ones", name=name)

    methods = {"build": build, "forward": lambda self, x: 2 * x, "backward": backward}
    layer = type("Mine", (Layer,), methods)(name="mine")
    model = Sequential([layers.Input((6,)), layers.Dense(6), layer])
    model.compile("sgd", "mse")
    model.fit(data(5)[0], data(5)[0], verbose=0)
    return model


@pytest.mark.parametrize(
    ("forward", "error", "received"),
    [
        (lambda self, x: x.sum(axis=0), ValueError, r"shape \(6,\)"),
        (lambda self, x: x[:, :1], ValueError, r"shape \(5, 1\)"),
        (lambda self, x: x.tolist(), TypeError, "a list of 5, no numpy.ndarray"),
        (lambda self, x: None, TypeError, "NoneType, no numpy.ndarray"),
        (lambda self, x: x * 1j, ValueError, "dtype complex64"),
    ],
    ids=["fewer axes", "another size", "list", "None", "complex"],
)
def test_what_forward_returns_has_to_fit(forward, error, received):
    expected = r"mine: expected forward to return an array of real numbers of shape \(5, 6\). Received: "
    with pytest.raises(error, match=expected + received):
        predict_with(forward)


def test_real_numbers_of_any_type_are_converted():
    x = data(5)[0]
    np.testing.assert_array_equal(predict_with(lambda self, x: x > 0), np.float32(x > 0))
    np.testing.assert_array_equal(predict_with(lambda self, x: x * np.arange(6.0)), np.float32(x * np.arange(6.0)))
    np.testing.assert_array_equal(predict_with(lambda self, x: x), x)


@pytest.mark.parametrize(
    ("weights", "gradients", "message"),
    [
        ((), lambda dy: dy.T, r"return, as dx0, an array of real numbers of shape \(5, 6\). Received: shape \(6, 5\)"),
        ((), lambda dy: (dy,), r"return, as dx0, an array of real numbers.*Received: a tuple of 1"),
        ((), lambda dy: None, "return dx. Received: NoneType"),
        (("a",), lambda dy: dy, r"return \(dx, da\). Received: ndarray"),
        (("a", "b"), lambda dy: (dy, dy[0]), r"return \(dx, da, db\). Received: a tuple of 2"),
        (
            ("a", "b"),
            lambda dy: (dy, dy[0], dy),
            r"return, as dw1, an array .* of shape \(6,\). Received: shape \(5, 6\)",
        ),
    ],
)
def test_what_backward_returns_has_to_fit(weights, gradients, message):
    with pytest.raises((ValueError, TypeError), match="mine: expected backward to " + message):
        fit_with(lambda self, dy, x, y: gradients(dy), *weights)


def test_gradients_of_several_inputs_are_a_list():
    inputs = [layers.Input((6,)), layers.Input((6,))]
    gate = type("Half", (Gate,), {"backward": lambda self, dy, x, y: dy})(name="half")
    model = models.Model(inputs, gate([layers.Dense(6)(x) for x in inputs]))
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"half: expected backward to return \[dx0, dx1\]. Received: ndarray"):
        model.fit([data(5)[0]] * 2, data(5)[0], verbose=0)


def test_several_outputs_are_a_list():
    split = type("Split", (Halves,), {"forward": lambda self, x: x})(name="split")
    with pytest.raises(ValueError, match=r"split: expected forward to return a list of 2 arrays. Received: ndarray"):
        models.Model(image := layers.Input((6,)), split(image)).predict(data(5)[0], verbose=0)


def test_none_stands_for_zeros():
    model = fit_with(lambda self, dy, x, y: (None, None), "a")
    np.testing.assert_array_equal(model.layers[1].get_weights()[0], np.ones(6))
    np.testing.assert_array_equal(model.layers[0].bias.array, np.zeros(6))


@pytest.mark.parametrize("changed", ["dy", "x", "y"])
def test_the_arrays_that_are_lent_cannot_be_written_to(changed):
    def backward(self, dy, x, y):
        {"dy": dy, "x": x, "y": y}[changed][0] = 0

    with pytest.raises(ValueError, match="read-only"):
        fit_with(backward)


def test_a_weight_that_learns_cannot_be_written_to():
    class Writing(Scale):
        def forward(self, x, training=False):
            self.factor.value[...] = 2
            return super().forward(x)

    with pytest.raises(ValueError, match="read-only"):
        trained(lambda: [Writing()])


def test_an_error_within_leaves_the_weights_where_they_were():
    class Failing(Scale):
        def forward(self, x):
            raise ZeroDivisionError

    layer = Failing()
    with pytest.raises(ZeroDivisionError):
        trained(lambda: [layer])
    layer.factor.assign(np.zeros(6))
    np.testing.assert_array_equal(layer.factor.array, np.zeros(6))


@pytest.mark.parametrize("method", ["forward", "backward"])
@pytest.mark.parametrize("gpu", [False, True])
def test_a_step_with_an_error_does_not_count(monkeypatch, method, gpu):
    def fail(self, *arrays):
        raise ZeroDivisionError

    if gpu:
        monkeypatch.setattr(device, "_ops", FakeOps())
    model, _ = trained(lambda: [Scale()], epochs=1)
    before, state = model.get_weights(), model.training_state()
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(Scale, method, fail)
        model.fit(*data(), batch_size=16, verbose=0)
    assert model.optimizer.iterations == 4
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    for name, values in model.training_state().items():
        np.testing.assert_array_equal(values, state[name])
    model.fit(*data(), batch_size=16, verbose=0)
    assert model.optimizer.iterations == 8


# ---- how it is defined


def test_a_layer_has_a_forward():
    with pytest.raises(TypeError, match=r"nothing: expected a method forward\(self, x\).*Received: Nothing without"):
        type("Nothing", (Layer,), {})(name="nothing")(layers.Input((6,)))


def test_the_base_is_made_first():
    class Hasty(Square):
        def __init__(self):
            self.units = 3

    with pytest.raises(AttributeError, match=r"Hasty: expected super\(\).__init__\(\) to be called first"):
        Sequential([layers.Input((6,)), Hasty()])
    with pytest.raises(AttributeError, match="'Square' object has no attribute 'units'"):
        Square().units  # noqa: B018


def test_a_layer_of_fastconv_has_no_forward_of_its_own():
    mine = type("Mine", (layers.Dense,), {"forward": lambda self, x: x})
    with pytest.raises(TypeError, match=r"mine: expected layers.Layer itself as the base.*forward.*Received: Mine"):
        mine(3, name="mine")(layers.Input((6,)))


@pytest.mark.parametrize("shape", [None, (3,), (None, 0), (None, None), [(None, 3), (3, 3)], 7, ()], ids=str)
def test_shapes_of_outputs_begin_with_the_batch(shape):
    methods = {"compute_output_shape": lambda self, input_shape: shape, "forward": lambda self, x: x}
    with pytest.raises(ValueError, match=r"mine: expected compute_output_shape to return the shape of an array"):
        type("Mine", (Layer,), methods)(name="mine")(layers.Input((6,)))


def test_weights_have_names_of_their_own():
    layer = Square(name="mine")
    assert [layer.add_weight((2,)).name for _ in range(2)] == ["weight", "weight_1"]
    assert layer.add_weight().shape == ()
    with pytest.raises(ValueError, match="mine: expected every weight under its own name. Received: 'weight' twice"):
        layer.add_weight((2,), name="weight")


@pytest.mark.parametrize("shape", [3, "kernel", (None, 3), (0,), (2.5,)], ids=str)
def test_shapes_of_weights_are_positive_integers(shape):
    with pytest.raises(ValueError, match=r"shape.*Received: "):
        Square().add_weight(shape)


def test_settings_are_attributes():
    layer = Linear(3, name="mine")
    assert layer.get_config() == {"units": 3, "regularizer": None, "name": "mine", "trainable": True}
    assert Linear.from_config(layer.get_config()).units == 3
