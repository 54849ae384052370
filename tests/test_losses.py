"""What losses take: labels, and what they say about others; arguments; names."""

import numpy as np
import pytest

from fastconv import losses
from fastconv.plan.graph import Graph

CATEGORICAL, SPARSE = losses.CategoricalCrossentropy(), losses.SparseCategoricalCrossentropy()
BINARY, SQUARED = losses.BinaryCrossentropy(), losses.MeanSquaredError()
TEN, ONE, IMAGES = (None, 10), (None, 1), (None, 4, 4, 3)


@pytest.mark.parametrize(
    ("loss", "output", "y", "message"),
    [
        (CATEGORICAL, TEN, np.array([1, 2, 3]), r"sparse_categorical_crossentropy.*to_categorical"),
        (CATEGORICAL, TEN, np.array([[1], [2]]), r"sparse_categorical_crossentropy"),
        (CATEGORICAL, TEN, np.zeros((2, 4)), r"expected y of shape \(N, 10\).*\(2, 4\)"),
        (CATEGORICAL, TEN, np.full((2, 10), np.nan), r"expected finite labels.*sample 0"),
        (CATEGORICAL, TEN, np.array([["a"] * 10]), r"real numbers.*<U1"),
        (CATEGORICAL, IMAGES, np.zeros((2, 3)), r"expected y of shape \(N, 4, 4, 3\).*\(2, 3\)"),
        (SPARSE, TEN, np.eye(10), r'looks one-hot: use loss="categorical_crossentropy"'),
        (SPARSE, TEN, np.array([0, 10]), r"from 0 to 9.*Received: 10 at sample 1"),
        (SPARSE, TEN, np.array([3, -1, -2]), r"Received: -1 at sample 1 \(2 such labels\)"),
        (SPARSE, TEN, np.array([0.5, 1.0]), r"Received: 0.5 at sample 0"),
        (SPARSE, TEN, np.array([np.nan]), r"Received: nan at sample 0"),
        (SPARSE, TEN, np.zeros((2, 3)), r"shape \(N,\) or \(N, 1\).*\(2, 3\)"),
        (SPARSE, IMAGES, np.zeros((2, 4)), r"shape \(N, 4, 4\) or \(N, 4, 4, 1\).*\(2, 4\)"),
        (
            BINARY,
            ONE,
            np.array([0, 2]),
            r"from 0 to 1.*sparse_categorical.*mean_squared_error.*Received: 2.0 at sample 1",
        ),
        (BINARY, ONE, np.array([0.5, -0.5]), r"Received: -0.5 at sample 1"),
        (BINARY, TEN, np.array([3, 4]), r"sparse_categorical_crossentropy"),
        (SQUARED, ONE, np.zeros((3, 2)), r"expected y of shape \(N, 1\).*\(3, 2\)"),
        (SQUARED, IMAGES, np.zeros((2, 4, 4)), r"expected y of shape \(N, 4, 4, 3\).*looks like integer labels"),
        (SQUARED, ONE, np.array([1, np.inf]), r"expected finite labels.*inf at sample 1"),
        (SQUARED, ONE, 3.0, r"expected an array of labels.*Received: 3.0"),
    ],
)
def test_labels_are_refused(loss, output, y, message):
    with pytest.raises(ValueError, match=message):
        loss.labels_of(y, output)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float64, ">i4"])
@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_sparse_takes_any_whole_dtype(dtype, shape):
    labels = SPARSE.labels_of(np.array([0, 9, 4]).astype(dtype).reshape(shape), TEN)
    assert labels.dtype == np.int32 and labels.tolist() == [0, 9, 4]


@pytest.mark.parametrize("shape", [(2, 4, 4), (2, 4, 4, 1)])
def test_sparse_takes_a_label_for_each_pixel(shape):
    assert SPARSE.labels_of(np.ones(shape), IMAGES).shape == (2, 4, 4)
    assert SPARSE.target((2, 4, 4, 3)) == ((2, 4, 4), "int32")


@pytest.mark.parametrize(
    ("shape", "output"), [((5,), ONE), ((5, 1), ONE), ((5, 4, 4), (None, 4, 4, 1)), ((5, 10, 1), TEN)]
)
@pytest.mark.parametrize("loss", [SQUARED, BINARY])
def test_a_last_axis_of_length_1_may_be_missing_or_too_many(loss, shape, output):
    labels = loss.labels_of(np.ones(shape, np.int64), output)
    assert labels.shape == (5, *output[1:]) and labels.dtype == np.float32


def test_a_loss_of_classes_takes_rows():
    with pytest.raises(ValueError, match=r"expected a model output \(N, ..., classes\). Received: shape \(None,\)"):
        CATEGORICAL.check_output((None,))


# ---- arguments


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: losses.MeanSquaredError(reduction="sum"),
            "reduction: expected .*sum_over_batch_size.*reduction='sum'",
        ),
        (lambda: losses.Huber(reduction=None), "reduction: expected .*reduction=None"),
        (lambda: losses.MeanAbsoluteError(dtype="float16"), "dtype: expected None or \"float32\".*dtype='float16'"),
        (lambda: losses.Huber(delta=0), "delta: expected a positive number. Received: delta=0"),
        (lambda: losses.BinaryCrossentropy(label_smoothing=1.5), "label_smoothing: expected .*label_smoothing=1.5"),
        (lambda: losses.CategoricalCrossentropy(axis=1), "axis: expected -1.*axis=1"),
        (lambda: losses.SparseCategoricalCrossentropy(ignore_class=0), "ignore_class: expected None.*ignore_class=0"),
    ],
)
def test_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("mse", losses.MeanSquaredError),
        ("MAE", losses.MeanAbsoluteError),
        ("bce", losses.BinaryCrossentropy),
        ("huber", losses.Huber),
        ("mean_squared_error", losses.MeanSquaredError),
        ("SparseCategoricalCrossentropy", losses.SparseCategoricalCrossentropy),
    ],
)
def test_a_loss_has_the_names_of_keras(name, loss):
    assert type(losses.get(name)) is loss


def test_a_loss_object_is_taken_as_it_is():
    assert losses.get(BINARY) is BINARY


@pytest.mark.parametrize("name", ["msle", 3, losses.Huber])
def test_unknown_names_list_the_known(name):
    with pytest.raises(ValueError, match=r"categorical_crossentropy.*mse.*sparse_categorical_crossentropy.*Received: "):
        losses.get(name)


# ---- steps


def graph_of(op, **attributes):
    """A graph whose output is some op's, and this output."""
    graph = Graph("train", [(5, 4)])
    y = graph.buffer((5, 4), "y")
    graph.layer = "last"
    graph.emit(op, {"y": y}, x=graph.inputs[0], **attributes)
    return graph, y


def emitted(loss, **output):
    """The loss's step behind an output of some op."""
    graph, y = graph_of(**output)
    graph.totals = graph.buffer((2,), "totals", dtype="float64")
    target, _ = graph.target(*loss.target(y.shape), weighted=False)
    loss.emit(graph, y, target, None, 0, 1.0)
    return graph.steps[-1], graph.inputs[0]


@pytest.mark.parametrize("loss", [CATEGORICAL, SPARSE])
def test_a_model_that_ends_in_softmax_gives_its_logits_away(loss):
    step, logits = emitted(loss, op="softmax_forward")
    assert step.op == "softmax_xent" and step.reads["x"] is logits


def test_a_model_that_ends_in_sigmoid_gives_its_logits_away():
    step, logits = emitted(BINARY, op="activation_forward", function="sigmoid", parameters=())
    assert step.attrs["function"] == "binary_crossentropy_of_logits" and step.reads["x"] is logits


@pytest.mark.parametrize("loss", [CATEGORICAL, SPARSE, BINARY])
def test_other_probabilities_are_taken_as_they_are(loss):
    step, x = emitted(loss, op="activation_forward", function="hard_sigmoid", parameters=())
    assert step.reads["x"] is not x and step.attrs.get("function") in (None, "binary_crossentropy")
    assert step.op in ("categorical_crossentropy", "loss")


@pytest.mark.parametrize("loss", [losses.CategoricalCrossentropy, losses.BinaryCrossentropy])
def test_logits_are_taken_as_they_are(loss):
    step, x = emitted(loss(from_logits=True), op="leaky_relu_forward", slope=0.5)
    assert step.reads["x"] is not x and (step.op, step.attrs.get("function")) in (
        ("softmax_xent", None),
        ("loss", "binary_crossentropy_of_logits"),
    )


@pytest.mark.parametrize("loss", [CATEGORICAL, BINARY])
def test_there_is_advice_on_an_output_that_cannot_be_probabilities(loss):
    kind, text = loss.advice(*graph_of("leaky_relu_forward", slope=0.5))
    assert kind == "no_probabilities" and "'last' makes none" in text
    assert f"end the model in {loss.activation}, or pass from_logits=True" in text


def test_there_is_advice_on_from_logits_behind_a_sigmoid():
    sigmoid = graph_of("activation_forward", function="sigmoid", parameters=())
    kind, text = losses.BinaryCrossentropy(True).advice(*sigmoid)
    assert kind == "from_logits" and "'last' ends in sigmoid. Its logits are used" in text
    assert losses.BinaryCrossentropy().advice(*sigmoid) is None and losses.MeanSquaredError().advice(*sigmoid) is None
