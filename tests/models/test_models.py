"""What models are made of: order of nodes and layers, Sequential's building, weights."""

import numpy as np
import pytest

from fastconv import Model, Sequential, layers, utils


def test_layers_in_order_of_computation():
    image = layers.Input((8, 8, 3), name="image")
    a = layers.Conv2D(4, 3, padding="same", name="a")(image)
    b = layers.Conv2D(4, 3, padding="same", name="b")(a)
    model = Model(image, layers.Add(name="sum")([b, a]))
    assert [layer.name for layer in model.layers] == ["image", "a", "b", "sum"]


def test_a_shared_layer_is_as_deep_as_its_deepest_call():
    a, b, shared = layers.Input((4,), name="a"), layers.Input((4,), name="b"), layers.Dense(4, name="s")
    deep = layers.Dense(4, name="d")(shared(a))
    model = Model([a, b], layers.Add(name="sum")([shared(b), deep, layers.Dense(4, name="e")(b)]))
    assert [layer.name for layer in model.layers] == ["b", "a", "s", "d", "e", "sum"]  # in Keras, too


def test_a_shared_layer_is_listed_once():
    x = layers.Input((4,))
    dense = layers.Dense(4)
    model = Model(x, dense(dense(x)))
    assert len(model.layers) == 2 and model.count_params() == 20 and len(model.nodes) == 3


def test_deep_chains_need_no_recursion():
    x = y = layers.Input((2,))
    for _ in range(3000):
        y = layers.ReLU()(y)
    assert len(Model(x, y).nodes) == 3001


def test_a_model_without_steps_predicts_its_input():
    x = layers.Input((2, 3))
    data = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    np.testing.assert_array_equal(Model(x, layers.Flatten()(x)).predict(data, verbose=0), data.reshape(2, 6))


def test_add_computes_the_sum():
    x = layers.Input((3,))
    data = np.array([[1.0, -2.0, 3.0]], np.float32)
    result = Model(x, layers.Add()([x, layers.ReLU()(x), x])).predict(data, verbose=0)
    np.testing.assert_array_equal(result, [[3, -4, 9]])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x, y: Model(layers.Input((3,)), y), "given inputs alone.*depends on 'input_layer'"),
        (lambda x, y: Model([x, layers.Input((3,), name="other")], y), "inputs of the outputs. Received: 'other'"),
        (lambda x, y: Model([x, x], y), "every tensor once"),
        (lambda x, y: Model([], y), "inputs: expected at least one tensor"),
        (lambda x, y: Model(x, np.zeros(3)), "outputs: expected tensors.*ndarray"),
        (
            lambda x, y: Model(x, layers.Dense(2, name="a")(layers.Dense(2, name="a")(x))),
            "own name. Received: 'a' twice",
        ),
    ],
)
def test_tensors_that_make_no_model(make, message):
    utils.clear_session()
    x = layers.Input((3,))
    with pytest.raises(ValueError, match=message):
        make(x, layers.Dense(2)(x))


def test_names_of_models():
    utils.clear_session()
    x = layers.Input((3,))
    assert [Model(x, layers.ReLU()(x)).name for _ in range(2)] == ["functional", "functional_1"]
    assert Sequential().name == "sequential" and Sequential(name="mine").name == "mine"


def test_a_sequential_without_input_is_built_by_its_data():
    model = Sequential([layers.Flatten(), layers.Dense(3)])
    assert not model.built and model.weights == []
    assert model.predict(np.zeros((2, 4, 5)), verbose=0).shape == (2, 3)
    assert model.built and model.count_params() == 63 and model.input_shape == (None, 4, 5)


def test_a_sequential_built_by_input_shape():
    model = Sequential([layers.Conv2D(2, 3, input_shape=(8, 8, 1)), layers.Flatten()])
    assert model.output_shape == (None, 72)


def test_sequential_add_and_pop():
    model = Sequential([layers.Input((4,))])
    model.add(layers.Dense(3))
    model.add(layers.Dense(2))
    assert model.output_shape == (None, 2)
    model.pop()
    assert model.output_shape == (None, 3) and len(model.layers) == 1
    assert model.layers[0].output is model.output and len(model.layers[0].calls) == 1


def test_a_layer_that_does_not_fit_leaves_a_sequential_as_it_was():
    model = Sequential([layers.Input((4,)), layers.Dense(3)])
    with pytest.raises(ValueError, match="rank 4"):
        model.add(layers.Conv2D(2, 3))
    assert model.output_shape == (None, 3) and len(model.layers) == 1


@pytest.mark.parametrize(
    ("entries", "error", "message"),
    [
        ([layers.Dense(2), "relu"], TypeError, "expected a layer.*relu"),
        ([layers.Dense(2), layers.Input((2,))], ValueError, "Input to come first"),
        ([layers.Dense(2, name="a"), layers.Dense(2, name="a")], ValueError, "'a' twice"),
    ],
)
def test_entries_that_make_no_sequential(entries, error, message):
    with pytest.raises(error, match=message):
        Sequential(entries)


def test_shapes_of_an_unbuilt_sequential():
    with pytest.raises(ValueError, match="expected a built model"):
        _ = Sequential([layers.Dense(2)]).output_shape


def test_get_and_set_weights_copy():
    model = Sequential([layers.Input((4,)), layers.Dense(3)])
    weights = model.get_weights()
    weights[0][:] = 7
    assert not (model.layers[0].kernel.array == 7).any()
    model.set_weights(weights)
    assert (model.layers[0].kernel.array == 7).all()
    with pytest.raises(ValueError, match="expected 2 arrays"):
        model.set_weights(weights[:1])


def test_weights_set_after_training_are_used(tmp_path):
    model = Sequential([layers.Input((4,)), layers.Dense(3, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    x = np.random.default_rng(0).normal(size=(8, 4))
    model.fit(x, np.zeros(8, int), verbose=0)
    model.set_weights([np.zeros((4, 3)), np.zeros(3)])
    np.testing.assert_allclose(model.predict(x, verbose=0), 1 / 3, rtol=1e-6)


def test_get_layer():
    model = Sequential([layers.Input((4,)), layers.Dense(3, name="head")])
    assert model.get_layer("head") is model.get_layer(index=0)
    with pytest.raises(ValueError, match=r"\['head'\].*'tail'"):
        model.get_layer("tail")
