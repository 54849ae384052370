"""ONNX files compute what `predict` does. Where onnx and onnxruntime are not installed, only refusals are tested."""

import numpy as np
import pytest

from fastconv import layers, saving
from fastconv.models import Model, Sequential


def images(count, *shape):
    return np.sin(np.arange(count * np.prod(shape)) * 0.7).reshape(count, *shape).astype(np.float32)


def residual():
    image = layers.Input((9, 8, 3), name="image")
    x = layers.Conv2D(4, 3, 2, "same", activation="relu")(image)
    y = layers.LeakyReLU(0.1)(layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same", use_bias=False)(x)))
    x = layers.MaxPooling2D(2, padding="same")(layers.Add()([x, y]))
    x = layers.AveragePooling2D(2, 1, padding="same")(x)
    x = layers.Dense(5, activation="gelu")(layers.Dropout(0.5)(layers.Flatten()(x)))
    return Model(image, layers.Dense(3, activation="softmax")(x))


def check(model, path, *batches):
    pytest.importorskip("onnx", reason="onnx is not installed (pip install onnx onnxruntime)")
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (pip install onnx onnxruntime)")
    for i, weight in enumerate(model.weights):
        weight.assign(0.5 + np.sin(i + np.arange(weight.numpy().size)).reshape(weight.shape) / 3)
    saving.save_onnx(model, path)
    session = runtime.InferenceSession(str(path))
    name = session.get_inputs()[0].name
    for x in batches:
        (found,) = session.run(None, {name: x})
        np.testing.assert_allclose(found, model.predict(x, verbose=0), rtol=1e-5, atol=1e-6)


def test_a_network_computes_the_same_at_any_batch_size(tmp_path):
    check(residual(), tmp_path / "m.onnx", images(1, 9, 8, 3), images(5, 9, 8, 3))


@pytest.mark.parametrize(
    "activation",
    ["elu", "selu", "gelu", "silu", "sigmoid", "hard_sigmoid", "tanh", "softplus", "softsign", "relu6", "mish"],
)
def test_activations(tmp_path, activation):
    check(Sequential([layers.Input((7,)), layers.Activation(activation)]), tmp_path / "m.onnx", 4 * images(5, 7))


def test_the_order_of_axes_is_turned_once(tmp_path):
    onnx = pytest.importorskip("onnx", reason="onnx is not installed (pip install onnx)")
    saving.save_onnx(residual(), tmp_path / "m.onnx")
    nodes = [node.op_type for node in onnx.load(tmp_path / "m.onnx").graph.node]
    assert nodes.count("Transpose") == 2


def test_another_suffix_is_refused(tmp_path):
    with pytest.raises(ValueError, match='ends in ".onnx". Received: .*m.bin'):
        saving.save_onnx(residual(), tmp_path / "m.bin")


def test_a_model_that_is_not_built_is_refused(tmp_path):
    with pytest.raises(ValueError, match="expected a built model"):
        saving.save_onnx(Sequential([layers.Dense(3)]), tmp_path / "m.onnx")
