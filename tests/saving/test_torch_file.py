"""Weights to and from PyTorch: the layouts, and where torch is installed what its networks compute."""

import warnings

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from fastconv import layers, models, saving, utils


@pytest.fixture
def model():
    utils.set_random_seed(3)
    image = layers.Input((6, 5, 2))
    x = layers.Conv2D(4, 3, name="conv")(image)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.Flatten()(layers.LeakyReLU()(x))
    x = layers.Dropout(0.5)(x)
    x = layers.Dense(7, activation="relu", name="hidden")(x)
    model = models.Model(image, layers.Dense(3, activation="softmax", name="out")(x))
    for i, weight in enumerate(model.weights):
        weight.assign(0.5 + np.sin(i + np.arange(weight.numpy().size)).reshape(weight.shape) / 3)
    return model


def saved(model, tmp_path, **arguments):
    saving.save_torch(model, tmp_path / "w.safetensors", **arguments)
    return load_file(tmp_path / "w.safetensors")


def test_shapes_are_those_of_pytorch(model, tmp_path):
    assert {name: array.shape for name, array in saved(model, tmp_path).items()} == {
        "conv.weight": (4, 2, 3, 3),
        "conv.bias": (4,),
        "norm.weight": (4,),
        "norm.bias": (4,),
        "norm.running_mean": (4,),
        "norm.running_var": (4,),
        "hidden.weight": (7, 48),
        "hidden.bias": (7,),
        "out.weight": (3, 7),
        "out.bias": (3,),
    }


def test_a_dense_layer_behind_a_flatten_reads_channels_first(model, tmp_path):
    weight = saved(model, tmp_path)["hidden.weight"]
    kernel = model.get_layer("hidden").kernel.numpy().reshape(4, 3, 4, 7)  # rows, columns, channels
    np.testing.assert_array_equal(weight.reshape(7, 4, 4, 3)[5, 2, 1, 0], kernel[1, 0, 2, 5])


@pytest.mark.parametrize("batch_size", [None, 8])
def test_loading_gives_back_what_was_saved(model, tmp_path, batch_size):
    before = model.get_weights()
    saved(model, tmp_path, batch_size=batch_size)
    for weight in model.weights:
        weight.assign(np.zeros(weight.shape))
    saving.load_torch(model, tmp_path / "w.safetensors", batch_size=batch_size)
    for array, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_allclose(array, expected, rtol=1e-6)


def test_the_variance_becomes_unbiased(model, tmp_path):
    variance, count = model.get_layer("norm").moving_variance.numpy(), 8 * 4 * 3
    np.testing.assert_allclose(
        saved(model, tmp_path, batch_size=8)["norm.running_var"], variance * count / (count - 1), rtol=1e-6
    )


def test_modules_are_taken_in_natural_order(model, tmp_path):
    names = {"conv": "net.2", "norm": "net.9", "hidden": "net.10", "out": "net.11"}
    before = model.get_weights()
    arrays = saved(model, tmp_path, names=names)
    assert "net.10.weight" in arrays
    save_file({**arrays, "net.9.num_batches_tracked": np.array(7)}, tmp_path / "w.safetensors")
    for weight in model.weights:
        weight.assign(np.zeros(weight.shape))
    saving.load_torch(model, tmp_path / "w.safetensors")
    for array, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.pop("hidden.bias"), r"expected hidden.bias of shape \(7,\) for hidden/bias. Received: None"),
        (lambda a: a.update({"out.weight": np.zeros((7, 3), "f4")}), r"expected out.weight of shape \(3, 7\)"),
        (lambda a: a.update({"out.extra": np.zeros(1, "f4")}), "Received: out.extra as well"),
        (lambda a: a.update({"more.weight": np.zeros(1, "f4")}), "expected 0 modules with weights. Received: 1"),
    ],
)
def test_a_file_that_does_not_fit_changes_nothing(model, tmp_path, change, message):
    arrays, before = saved(model, tmp_path), model.get_weights()
    change(arrays)
    save_file(arrays, tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match=message):
        saving.load_torch(model, tmp_path / "w.safetensors", {n: n for n in ("conv", "norm", "hidden", "out")})
    for array, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(array, expected)


def test_a_damaged_file_is_refused(model, tmp_path):
    (tmp_path / "w.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(ValueError, match="cut short"):
        saving.load_torch(model, tmp_path / "w.safetensors")


def test_unknown_layers_are_named(model, tmp_path):
    with pytest.raises(ValueError, match=r"names: expected layers with weights. Received: \['none'\]"):
        saving.save_torch(model, tmp_path / "w.safetensors", {"none": "net"})


def test_one_number_a_channel_has_no_unbiased_variance(tmp_path):
    model = models.Sequential([layers.Input((3,)), layers.BatchNormalization()])
    with pytest.raises(ValueError, match="batch_size: expected two numbers a channel or more. Received: batch_size=1"):
        saving.save_torch(model, tmp_path / "w.safetensors", batch_size=1)


def test_pytorch_computes_the_same(model, tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed (pip install torch)")
    net = torch.nn.Sequential()
    net.add_module("conv", torch.nn.Conv2d(2, 4, 3))
    net.add_module("norm", torch.nn.BatchNorm2d(4, eps=1e-3))
    net.add_module("act", torch.nn.LeakyReLU(0.3))
    net.add_module("flatten", torch.nn.Flatten())
    net.add_module("hidden", torch.nn.Linear(48, 7))
    net.add_module("relu", torch.nn.ReLU())
    net.add_module("out", torch.nn.Linear(7, 3))
    net.add_module("softmax", torch.nn.Softmax(1))
    arrays = saved(model, tmp_path)
    net.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()}, strict=False)
    x = np.sin(np.arange(4 * 60)).reshape(4, 6, 5, 2).astype(np.float32)
    with torch.no_grad():
        expected = net.eval()(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).numpy()
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "layer, size, uneven",
    [
        (layers.Conv2D(2, 3, strides=2, padding="same"), 8, True),
        (layers.Conv2D(2, 3, strides=2, padding="same"), 9, False),
        (layers.Conv2D(2, 3, padding="same"), 8, False),
        (layers.Conv2D(2, 2, padding="same"), 8, True),
        (layers.Conv2D(2, 2, dilation_rate=2, padding="same"), 8, False),
        (layers.Conv2D(2, 3, strides=2), 8, False),
        (layers.DepthwiseConv2D(3, strides=2, padding="same"), 8, True),
        (layers.Conv2DTranspose(2, 3, strides=2, padding="same"), 8, False),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_zeros_that_lie_elsewhere_in_pytorch_are_told_of(tmp_path, layer, size, uneven):
    model = models.Sequential([layers.Input((size, size, 3)), layer])
    saving.save_torch(model, tmp_path / "a.safetensors")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        saving.load_torch(model, tmp_path / "a.safetensors")
    assert [layer.name in str(one.message) for one in caught] == [True] * uneven
