"""Models of several inputs and outputs, models as layers, and models between the tensors of others."""

import copy
import pickle

import numpy as np
import pytest
from fake_device import FakeOps

from fastconv import Model, Sequential, layers, optimizers, utils

CE = "sparse_categorical_crossentropy"
RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(20, 6)), RNG.integers(9, size=(20, 4)).astype(np.uint8)
Y = [RNG.integers(3, size=20), RNG.integers(2, size=20)]


def two_by_two(form=list):
    utils.set_random_seed(0)
    utils.clear_session()
    a, b = layers.Input((6,), name="a"), layers.Input((4,), name="b")
    x = layers.Add()([layers.Dense(5, name="da")(a), layers.Dense(5, name="db")(b)])
    one = layers.Dense(3, activation="softmax", name="one")(x)
    two = layers.Dense(2, activation="softmax", name="two")(x)
    outputs = {"z": two, "y": one} if form is dict else [one, two]
    model = Model({"a": a, "b": b} if form is dict else [a, b], outputs)
    model.compile(optimizers.SGD(0.1), CE, metrics=["accuracy", "accuracy"])
    return model


def base():
    utils.clear_session()
    x = layers.Input((6,), name="x")
    x1 = layers.LeakyReLU(name="act")(layers.BatchNormalization(name="norm")(layers.Dense(5, name="hidden")(x)))
    return Model(x, layers.Dense(3, activation="softmax", name="out")(x1), name="base")


# ---- several inputs and outputs
def test_lists_and_dicts_of_arrays_are_told_apart_by_names():
    results = []
    for x, y in (([A, B], Y), ({"b": B, "a": A}, {"two": Y[1], "one": Y[0]}), ((A, B), tuple(Y))):
        model = two_by_two()
        history = model.fit(x, y, batch_size=6, epochs=2, verbose=0).history
        results.append((history, model.evaluate(x, y, verbose=0), [p.tolist() for p in model.predict(x, verbose=0)]))
    assert results[0] == results[1] == results[2]
    assert list(history) == ["loss", "one_accuracy", "one_loss", "two_accuracy", "two_loss"]


def test_a_dict_of_outputs_gives_its_keys_to_losses_labels_and_predictions():
    model = two_by_two(dict)
    history = model.fit({"a": A, "b": B}, {"y": Y[0], "z": Y[1]}, verbose=0).history
    assert list(history) == ["loss", "y_accuracy", "y_loss", "z_accuracy", "z_loss"]
    found = model.predict({"a": A, "b": B}, verbose=0)
    assert {key: value.shape for key, value in found.items()} == {"y": (20, 3), "z": (20, 2)}
    assert model.output_names == ["y", "z"] and model.layers[-2].name == "one"
    assert model.output_shape == {"y": (None, 3), "z": (None, 2)} and model.input_shape["b"] == (None, 4)


def test_single_batches_and_evaluate_agree():
    model = two_by_two()
    found = model.test_on_batch([A, B], Y)
    assert found == pytest.approx(model.evaluate([A, B], Y, batch_size=7, verbose=0), rel=1e-6)
    assert model.train_on_batch([A, B], Y, return_dict=True) == pytest.approx(
        model.evaluate([A, B], Y, return_dict=True, verbose=0), rel=1
    )
    assert [p.shape for p in model.predict_on_batch([A, B])] == [(20, 3), (20, 2)]


def test_validation_of_several_arrays():
    model = two_by_two()
    history = model.fit([A, B], Y, validation_split=0.25, epochs=2, verbose=0).history
    tail = [array[15:] for array in (A, B)], [array[15:] for array in Y]
    assert history["val_loss"][-1] == pytest.approx(model.evaluate(*tail, verbose=0)[0], rel=1e-6)
    history = model.fit([A, B], Y, validation_data=([A, B], Y), verbose=0).history
    assert history["val_two_accuracy"][-1] == pytest.approx(model.evaluate([A, B], Y, verbose=0)[-1])


def test_an_output_without_a_loss_needs_no_labels():
    model = two_by_two()
    model.compile("sgd", {"two": CE})
    before = model.get_layer("one").get_weights()
    for y in (Y[1], {"two": Y[1]}, [None, Y[1]]):
        assert list(model.fit([A, B], y, verbose=0).history) == ["loss"]
    for found, expected in zip(model.get_layer("one").get_weights(), before, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("y", [Y, [None, Y[1]]], ids=["two-labels", "one-label"])
def test_a_device_gathers_every_array(use, on_cpu, y):
    def train():
        model = two_by_two()
        model.compile(optimizers.SGD(0.1), [None if one is None else CE for one in y])
        return model.fit([A, B], y, batch_size=6, epochs=2, verbose=0).history

    expected, ops = on_cpu(train), FakeOps()
    use(ops)
    assert train() == expected
    assert ops.memory.captures == 2 and B.nbytes in ops.memory.uploads  # bytes stay bytes


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([A], Y, r"x: expected a list or dict for \['a', 'b'\]. Received: 1 of them"),
        (A, Y, r"x: expected a list or dict for \['a', 'b'\]. Received: ndarray"),
        ({"a": A, "c": B}, Y, r"x: expected the keys \['a', 'b'\]. Received: \['a', 'c'\]"),
        ([A, B[:5]], Y, r"x: expected as many samples for every input. Received: .*20.*5"),
        ([A, A], Y, r"x\['b'\]: expected shape \(N, 4\).*\(20, 6\)"),
        ([A, B], Y[:1], r"y: expected a list or dict for \['one', 'two'\]. Received: 1 of them"),
        ([A, B], [Y[0], Y[1][:9]], r"as many labels as samples. Received: 20 in x, 9 in y"),
        ([A, B], {"one": Y[0]}, r"y: expected the keys \['one', 'two'\]. Received: \['one'\]"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(x, y, message):
    with pytest.raises(ValueError, match=message):
        two_by_two().fit(x, y, verbose=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"class_weight": {0: 1.0}}, "class_weight: expected a model of one output. Received: 2"),
        ({"sample_weight": np.ones(19)}, r"sample_weight: expected 20 real numbers.*\(19,\)"),
        ({"sample_weight": [np.ones(20), np.full(20, np.nan)]}, "sample_weight: expected finite numbers.*sample 0"),
        ({"sample_weight": {"one": np.ones(20)}}, r"sample_weight: expected the keys \['one', 'two'\]"),
        ({"validation_data": ([A, B], Y, np.ones(3))}, "validation sample_weight: expected 20"),
    ],
)
def test_weights_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        two_by_two().fit([A, B], Y, verbose=0, **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"class_weight": {0: 1.0}, "sample_weight": np.ones(20)}, "class_weight: expected it without sample_weight"),
        ({"class_weight": [1.0, 2.0]}, "class_weight: expected a dict. Received: list"),
    ],
)
def test_class_weights_that_do_not_fit_are_refused(arguments, message):
    model = base()
    model.compile("sgd", CE)
    with pytest.raises(ValueError, match=message):
        model.fit(A, Y[0], verbose=0, **arguments)


# ---- models as layers
def test_a_nested_model_computes_what_it_computes_alone():
    inner = base()
    x = layers.Input((6,))
    outer = Model(x, layers.Dense(2, name="top")(inner(x)))
    kernel, bias = outer.get_layer("top").get_weights()
    expected = inner.predict(A, verbose=0) @ kernel + bias
    np.testing.assert_allclose(outer.predict(A, verbose=0), expected, rtol=1e-5, atol=1e-6)
    assert outer.get_layer("base") is inner and [layer.name for layer in outer.layers[1:]] == ["base", "top"]


def test_a_nested_model_shares_its_weights_and_counts_once():
    inner = base()
    x, y = layers.Input((6,)), layers.Input((6,))
    outer = Model([x, y], layers.Add()([inner(x), inner(y), inner.layers[-1](layers.Dense(5)(x))]))
    assert outer.count_params() == inner.count_params() + 35
    assert len(outer.weights) == len(inner.weights) + 2 == len(outer.trainable_weights) + 2
    before = inner.get_weights()
    trained = Model([x, y], layers.Softmax()(outer.output))
    trained.compile(optimizers.SGD(0.5), CE)
    trained.fit([A, A + 1], Y[0], verbose=0)
    assert all((a != b).any() for a, b in zip(before, inner.get_weights(), strict=True))


def test_weights_of_nested_models_travel(tmp_path):
    first, second = (Sequential([base(), layers.Dense(2), layers.Dense(2)]) for _ in range(2))
    first.save_weights(tmp_path / "nested.safetensors")
    second.load_weights(tmp_path / "nested.safetensors")
    for a, b in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_sequential_holds_models():
    inner = base()
    model = Sequential([inner, layers.Dense(2)])
    assert model.built and model.input_shape == (None, 6) and model.layers[0] is inner
    later = Sequential([Sequential([layers.Dense(4)], name="first"), layers.Dense(2)])
    assert not later.built
    assert later.predict(A, verbose=0).shape == (20, 2) and later.count_params() == 28 + 10


def test_a_model_of_several_outputs_gives_tensors_in_its_form():
    model = two_by_two(dict)
    a, b = layers.Input((6,)), layers.Input((4,))
    outputs = model({"b": b, "a": a})
    assert {key: tensor.shape for key, tensor in outputs.items()} == {"y": (None, 3), "z": (None, 2)}
    outer = Model([a, b], [outputs["z"], outputs["y"]])
    alone = model.predict([A, B], verbose=0)
    for found, key in zip(outer.predict([A, B], verbose=0), "zy", strict=True):
        np.testing.assert_array_equal(found, alone[key])
    with pytest.raises(ValueError, match="layers of one output. Received: 'functional' with several"):
        Sequential([layers.Input((6,)), Model(a, [a, layers.ReLU()(a)], name="functional")])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model: model(layers.Input((6,))), r"functional: expected a list or dict for \['a', 'b'\]"),
        (lambda model: model([layers.Input((6,)), layers.Input((5,))]), r"input of shape \(None, 4\).*\(None, 5\)"),
    ],
)
def test_a_model_refuses_other_tensors(call, message):
    with pytest.raises(ValueError, match=message):
        call(two_by_two())


def test_trainable_reaches_every_layer_inside():
    inner = base()
    x = layers.Input((6,))
    outer = Model(x, Sequential([inner, layers.Dense(2)])(x))
    outer.trainable = False
    assert not inner.trainable and not inner.get_layer("hidden").trainable
    inner.trainable = True
    assert inner.get_layer("norm").trainable and not outer.trainable


# ---- models between tensors
def test_features_come_from_the_same_weights():
    model = base()
    model.compile(optimizers.SGD(0.1), CE)
    features = Model(model.input, model.get_layer("act").output)
    before = features.predict(A, verbose=0)
    model.fit(A, Y[0], verbose=0)
    after = features.predict(A, verbose=0)
    assert (before != after).any() and features.count_params() == 35 + 20
    kernel, bias = model.get_layer("out").get_weights()
    exp = np.exp(after @ kernel + bias)
    np.testing.assert_allclose(model.predict(A, verbose=0), exp / exp.sum(1, keepdims=True), rtol=1e-5)


def test_a_model_may_begin_between_layers():
    model = base()
    tail = Model(model.get_layer("act").input, model.output)
    head = Model(model.input, model.get_layer("norm").output)
    assert [layer.name for layer in tail.layers] == ["act", "out"]
    np.testing.assert_allclose(
        tail.predict(head.predict(A, verbose=0), verbose=0), model.predict(A, verbose=0), rtol=1e-6
    )


def test_an_output_inside_is_not_fused_away():
    model = base()
    norm, act = (model.get_layer(name).output for name in ("norm", "act"))
    found, after = Model(model.input, [norm, act]).predict(A, verbose=0)
    np.testing.assert_allclose(np.where(found > 0, found, 0.3 * found), after, rtol=1e-6)


def test_an_input_may_be_an_output():
    x = layers.Input((6,))
    found, same = Model(x, [layers.ReLU()(x), x]).predict(A, verbose=0)
    np.testing.assert_array_equal(same, A.astype(np.float32))
    np.testing.assert_array_equal(found, np.maximum(same, 0))


def test_input_and_output_of_a_layer_are_those_of_its_first_call():
    a, b, dense = layers.Input((4,)), layers.Input((4,)), layers.Dense(3)
    with pytest.raises(AttributeError, match="a layer that was called, to have an output. Received: no call"):
        _ = dense.output
    first, _ = dense(a), dense(b)
    assert dense.input is a and dense.output is first
    assert layers.Add(name="sum")([a, b]).node.layer.input == [a, b]


# ---- copies
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_knows_its_calls_and_no_other_models(copied):
    model = base()
    model.get_layer("hidden")(layers.Input((6,)))
    outer = Model(x := layers.Input((6,)), model(x))
    other = copied(outer)
    inner = other.get_layer("base")
    features = Model(inner.input, inner.get_layer("act").output)
    expected = Model(model.input, model.get_layer("act").output).predict(A, verbose=0)
    np.testing.assert_array_equal(features.predict(A, verbose=0), expected)
    assert len(inner.calls) == len(inner.get_layer("hidden").calls) == 1
    assert inner.get_layer("hidden") is not model.get_layer("hidden")
    alone = copied(model)
    assert alone.calls == []


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_deep_chain_is_copied_without_recursion(copied):
    x = y = layers.Input((2,))
    for _ in range(400):
        y = layers.ReLU()(y)
    assert len(copied(Model(x, y)).nodes) == 401
