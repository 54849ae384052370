"""ONNX files compute what `predict` does. Where onnx and onnxruntime are not installed, only refusals are tested."""

import numpy as np
import pytest
from users_layers import Scale

from fastconv import layers, saving
from fastconv.layers import activation as activations
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
    names = [given.name for given in session.get_inputs()]
    for x in batches:
        arrays = x if isinstance(x, list) else [x]
        found, expected = session.run(None, dict(zip(names, arrays, strict=True))), model.predict(x, verbose=0)
        for a, b in zip(found, expected if isinstance(expected, list) else [expected], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_a_network_computes_the_same_at_any_batch_size(tmp_path):
    check(residual(), tmp_path / "m.onnx", images(1, 9, 8, 3), images(5, 9, 8, 3))


@pytest.mark.parametrize("activation", activations.NAMES)
def test_activations(tmp_path, activation):
    check(Sequential([layers.Input((7,)), layers.Activation(activation)]), tmp_path / "m.onnx", 4 * images(5, 7))


CONVOLUTIONS = [
    layers.Conv2D(4, (3, 2), 2, "same"),
    layers.Conv2D(4, 3, padding="same", dilation_rate=(2, 3)),
    layers.Conv2D(4, (2, 3), dilation_rate=(2, 1), activation="elu"),
    layers.Conv2D(6, 3, 2, "same", groups=2),
    layers.Conv2D(6, 3, padding="same", dilation_rate=2, groups=2, use_bias=False),
    layers.Conv2D(3, (1, 2), (2, 3)),
    layers.DepthwiseConv2D(3, 2, "same", depth_multiplier=2),
    layers.DepthwiseConv2D((2, 3), padding="same", dilation_rate=(1, 2), use_bias=False),
    layers.SeparableConv2D(5, 3, padding="same", dilation_rate=2, activation="relu"),
    layers.SeparableConv2D(5, (3, 2), (2, 2), depth_multiplier=2),
]
TRANSPOSED = [
    layers.Conv2DTranspose(3, kernel, strides, padding)
    for kernel in (1, 2, (3, 4), 5)
    for strides in (1, 2, (3, 1))
    for padding in ("valid", "same")
] + [
    layers.Conv2DTranspose(3, 3, 2, "same", output_padding=0),
    layers.Conv2DTranspose(3, (4, 2), 3, "same", output_padding=(2, 1), use_bias=False),
    layers.Conv2DTranspose(3, 2, 3, output_padding=1),
    layers.Conv2DTranspose(3, 3, dilation_rate=(2, 3)),
    layers.Conv2DTranspose(3, (2, 3), padding="same", dilation_rate=2, activation="tanh"),
]
IMAGES = [
    layers.ZeroPadding2D(((1, 0), (2, 3))),
    layers.Cropping2D(((1, 2), (0, 3))),
    layers.UpSampling2D((2, 3)),
    layers.UpSampling2D((3, 2), interpolation="bilinear"),
    layers.MaxPooling2D((3, 2), 2, "same"),
    layers.AveragePooling2D(3, (1, 2), "same"),
    layers.GlobalMaxPooling2D(),
    layers.GlobalMaxPooling2D(keepdims=True),
    layers.GlobalAveragePooling2D(),
    layers.Reshape((8, -1)),
    layers.Reshape((4, -1, 9)),
    layers.PReLU(),
    layers.PReLU(shared_axes=[1, 2]),
    layers.ELU(0.5),
    layers.Softmax(),
    layers.ReLU(0.7, 0.1),
    layers.ReLU(None, 0.1, 0.5),
    layers.ReLU(0.8, 0.0, 0.5),
    layers.BatchNormalization(scale=False),
    layers.Rescaling(2.0, -1),
    layers.Normalization(),
    layers.Normalization(axis=(2, 3)),
    layers.Normalization(mean=[0.5, 1.0, 2.0, 3.0], variance=[1.0, 0.0, 2.0, 4.0], invert=True),
    layers.Normalization(axis=None, mean=0.5, variance=2.0),
    layers.RandomFlip(),
    layers.RandomTranslation(0.2, 0.2),
    layers.RandomCrop(6, 5),
    layers.Dropout(0.5),
]


VARIED = ("kernel_size", "strides", "padding", "output_padding", "dilation_rate", "groups", "depth_multiplier", "axis")


def described(layer):
    """A layer by what the tests vary of it."""
    config = layer.get_config()
    names = [name for name in VARIED if config.get(name) is not None]
    return " ".join([type(layer).__name__, *(f"{name}={config[name]}" for name in names)])


@pytest.mark.parametrize("layer", [*CONVOLUTIONS, *TRANSPOSED, *IMAGES], ids=described)
@pytest.mark.parametrize("within", [False, True], ids=["alone", "behind a convolution"])
def test_layers_of_images(tmp_path, layer, within):
    layer = type(layer).from_config(layer.get_config())  # with weights of its own
    before = [layers.Conv2D(4, 1)] if within else []
    check(Sequential([layers.Input((9, 8, 4)), *before, layer]), tmp_path / "m.onnx", images(3, 9, 8, 4))


@pytest.mark.parametrize("size", [(1, 8), (1, 1), (8, 1)], ids=str)
def test_images_of_one_line_are_no_dense_layers(tmp_path, size):
    model = Sequential(
        [layers.Input((*size, 3)), layers.Conv2D(4, 3, padding="same"), layers.Conv2D(2, 1), layers.ELU()]
    )
    check(model, tmp_path / "m.onnx", images(3, *size, 3))


@pytest.mark.parametrize(
    "merge",
    [
        layers.Add(),
        layers.Multiply(),
        layers.Average(),
        layers.Maximum(),
        layers.Minimum(),
        layers.Concatenate(),
        layers.Concatenate(axis=1),
        layers.Concatenate(axis=2),
    ],
    ids=described,
)
def test_merges(tmp_path, merge):
    """Of three tensors, of which one is in the order of axes that ONNX takes, one in that of the input."""
    image = layers.Input((5, 4, 3))
    x = layers.Conv2D(3, 1)(image)
    model = Model(image, merge([x, image, layers.ReLU()(x)]))
    check(model, tmp_path / "m.onnx", images(3, 5, 4, 3))


@pytest.mark.parametrize("merge", [layers.Add, layers.Multiply, layers.Subtract, layers.Maximum])
@pytest.mark.parametrize("first", [0, 1])
def test_merges_of_smaller_tensors(tmp_path, merge, first):
    image = layers.Input((5, 4, 3))
    gate = layers.GlobalAveragePooling2D()(layers.Conv2D(3, 3)(image))
    for small in (gate, layers.Reshape((1, 1, 3))(layers.Dense(3, activation="sigmoid")(gate))):
        pair = [layers.Conv2D(3, 1)(image), small]
        check(Model(image, merge()([pair[first], pair[1 - first]])), tmp_path / "m.onnx", images(3, 5, 4, 3))


def test_several_inputs_and_outputs_of_nested_models(tmp_path):
    a, b, inner = layers.Input((5, 4, 3), name="a"), layers.Input((2,), name="b"), layers.Input((5, 4, 3))
    inside = Model(inner, layers.BatchNormalization()(layers.Conv2D(2, 3, padding="same")(inner)))
    x = layers.Multiply()([inside(a), b])
    model = Model([a, b], [x, layers.Dense(3)(layers.Concatenate()([layers.Flatten()(x), b]))])
    check(model, tmp_path / "m.onnx", [images(3, 5, 4, 3), images(3, 2)])


def test_a_dilated_convolution_is_one_node(tmp_path):
    onnx = pytest.importorskip("onnx", reason="onnx is not installed (pip install onnx)")
    convolution = layers.Conv2D(4, 3, padding="same", dilation_rate=2, groups=2)
    saving.save_onnx(Sequential([layers.Input((9, 8, 4)), convolution]), tmp_path / "m.onnx")
    nodes = [node.op_type for node in onnx.load(tmp_path / "m.onnx").graph.node]
    assert nodes == ["Transpose", "Conv", "Transpose", "Identity"]


def test_a_layer_of_a_user_is_refused_by_name(tmp_path):
    pytest.importorskip("onnx", reason="onnx is not installed (pip install onnx)")
    with pytest.raises(ValueError, match=r"Received: mine.y0, which user_forward computes"):
        saving.save_onnx(Sequential([layers.Input((3,)), Scale(name="mine")]), tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


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
