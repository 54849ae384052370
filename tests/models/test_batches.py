"""fit, evaluate and predict on what yields batches, and on a part of the batches of an epoch."""

import numpy as np
import pytest
from fake_device import FakeOps

from fastconv import Input, Model, Sequential, layers, optimizers, utils
from fastconv.callbacks import LambdaCallback

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(20, 4)).astype(np.float32), RNG.integers(3, size=20)
BATCHES = [(X[i : i + 6], Y[i : i + 6]) for i in range(0, 20, 6)]
CE = "sparse_categorical_crossentropy"


def network():
    utils.set_random_seed(0)
    model = Sequential([layers.Dense(5, activation="relu"), layers.Dense(3, activation="softmax")])
    model.compile(optimizers.SGD(0.1), CE, metrics=["accuracy"])
    return model


class Numbered:
    """As Keras' PyDataset."""

    def __init__(self):
        self.asked, self.ends = [], 0

    def __len__(self):
        return len(BATCHES)

    def __getitem__(self, i):
        self.asked.append(i)
        return BATCHES[i]

    def on_epoch_end(self):
        self.ends += 1


class Loader:
    """As PyTorch's DataLoader: an iterable of lists of tensors."""

    def __iter__(self):
        return ([Tensor(x), Tensor(y)] for x, y in BATCHES)


class Tensor:
    """As one of PyTorch's that needs a gradient: NumPy reads it only where that was cut off."""

    def __init__(self, values, attached=True):
        self.values, self.attached = values, attached

    shape = property(lambda self: self.values.shape)

    def detach(self):
        return Tensor(self.values, False)

    def cpu(self):
        return self

    def __array__(self, dtype=None, copy=None):
        assert not self.attached
        return self.values


def expected(epochs=2):
    model = network()
    return model.fit(X, Y, batch_size=6, epochs=epochs, shuffle=False, verbose=0).history, model.get_weights()


def assert_trained_alike(model, history, epochs=2):
    recorded, weights = expected(epochs)
    assert history == recorded
    for a, b in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("make", [Loader, Numbered, lambda: iter(BATCHES * 2)], ids=["loader", "numbered", "iterator"])
def test_batches_train_as_arrays_do(make):
    model, steps = network(), {} if make in (Loader, Numbered) else {"steps_per_epoch": 4}
    history = model.fit(make(), epochs=2, shuffle=False, verbose=0, **steps)
    assert_trained_alike(model, history.history)
    assert history.params["steps"] == (None if make is Loader else 4)


def test_a_device_trains_on_batches(use):
    use(FakeOps())
    model = network()
    assert_trained_alike(model, model.fit(Loader(), epochs=2, verbose=0).history)


def test_numbered_batches_are_shuffled_and_told_of_the_end():
    batches = Numbered()
    network().fit(batches, epochs=2, verbose=0)
    first, second = batches.asked[:4], batches.asked[4:]
    assert sorted(first) == sorted(second) == [0, 1, 2, 3] and [first, second] != [[0, 1, 2, 3]] * 2
    assert batches.ends == 2


def test_a_generator_goes_on_from_epoch_to_epoch_and_its_end_ends_training():
    model = network()
    with pytest.warns(UserWarning, match="ran out of data") as warned:
        history = model.fit(iter(BATCHES), epochs=4, steps_per_epoch=2, verbose=0)
    assert warned[0].filename == __file__
    assert history.epoch == [0, 1] and model.optimizer.iterations == 4
    with pytest.warns(UserWarning, match="ran out of data"):
        history = model.fit(iter(BATCHES), epochs=2, steps_per_epoch=3, verbose=0)
    assert history.epoch == [0, 1] and model.optimizer.iterations == 8  # three batches and one
    with pytest.warns(UserWarning, match="ran out of data"):
        assert model.fit(iter(BATCHES), epochs=2, verbose=0).epoch == [0]


def test_an_iterable_starts_anew_when_it_ran_out():
    model = network()
    with pytest.warns(UserWarning, match="ran out of data"):
        history = model.fit(Loader(), epochs=3, steps_per_epoch=3, verbose=0)
    assert history.epoch == [0, 1, 2] and model.optimizer.iterations == 3 + 1 + 3


@pytest.mark.parametrize("shuffle", [False, True])
def test_steps_per_epoch_of_arrays_go_on_where_an_epoch_ended(use, shuffle):
    runs = []
    for ops in (None, FakeOps()):
        if ops:
            use(ops)
        model, sizes = network(), []
        callback = LambdaCallback(on_train_batch_end=lambda batch, logs, sizes=sizes: sizes.append(logs["size"]))
        with pytest.warns(UserWarning, match="ran out of data"):
            history = model.fit(
                X, Y, batch_size=6, epochs=3, steps_per_epoch=3, shuffle=shuffle, verbose=0, callbacks=[callback]
            ).history
        assert sizes == [6, 6, 6, 2, 6, 6, 6]
        runs.append((history, [w.tolist() for w in model.get_weights()]))
    assert runs[0] == runs[1]
    if not shuffle:
        model = network()
        model.fit(X, Y, batch_size=6, shuffle=False, verbose=0)
        model.fit(X[:18], Y[:18], batch_size=6, shuffle=False, verbose=0)
        assert runs[0][1] == [w.tolist() for w in model.get_weights()]


def test_weights_of_samples_and_classes_come_with_batches():
    weights, class_weight = RNG.random(20), {0: 0.5, 1: 2.0}
    fit = lambda *data, **given: network().fit(*data, shuffle=False, verbose=0, **given).history  # noqa: E731
    batches = ((X[i : i + 6], Y[i : i + 6], weights[i : i + 6]) for i in range(0, 20, 6))
    assert fit(batches) == fit(X, Y, batch_size=6, sample_weight=weights)
    assert fit(Loader(), class_weight=class_weight) == fit(X, Y, batch_size=6, class_weight=class_weight)


def test_evaluate_predict_and_validate_on_batches():
    model = network()
    history = model.fit(X, Y, batch_size=6, validation_data=Loader(), validation_steps=2, epochs=2, verbose=0).history
    part = model.evaluate(X[:12], Y[:12], batch_size=6, verbose=0)
    assert [history["val_loss"][-1], history["val_accuracy"][-1]] == part
    assert (
        model.evaluate(iter(BATCHES), steps=2, verbose=0)
        == part
        == model.evaluate(X, Y, batch_size=6, steps=2, verbose=0)
    )
    arrays = {"validation_data": (X, Y), "validation_batch_size": 6}
    history = model.fit(X, Y, **arrays, validation_steps=2, epochs=2, verbose=0).history
    assert history["val_loss"][-1] == model.evaluate(X[:12], Y[:12], batch_size=6, verbose=0)[0]
    assert model.evaluate(Loader(), verbose=0) == model.evaluate(X, Y, batch_size=6, verbose=0)
    whole = model.predict(X, batch_size=6, verbose=0)
    np.testing.assert_array_equal(model.predict(Loader(), verbose=0), whole)
    np.testing.assert_array_equal(model.predict((x for x, _ in BATCHES), steps=2, verbose=0), whole[:12])
    np.testing.assert_array_equal(model.predict(X, batch_size=6, steps=2, verbose=0), whole[:12])


def test_batches_of_several_arrays():
    a, b = Input((4,), name="a"), Input((4,), name="b")
    model = Model([a, b], [layers.Dense(3, activation="softmax", name="o")(layers.Add()([a, b])), layers.ReLU()(a)])
    model.compile("sgd", {"o": CE})
    batches = [({"a": Tensor(x), "b": x}, {"o": Tensor(y)}) for x, y in BATCHES]
    assert list(model.fit(iter(batches), verbose=0).history) == ["loss"]
    first, second = model.predict(iter(batches), verbose=0)
    assert first.shape == (20, 3)
    np.testing.assert_array_equal(second, np.maximum(X, 0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": Loader(), "y": Y}, "y: expected none, as x gives batches. Received: ndarray"),
        ({"x": Loader(), "sample_weight": Y}, "sample_weight: expected none"),
        ({"x": Loader(), "validation_split": 0.5}, "validation_split: expected none"),
        ({"x": iter([])}, "x: expected at least one batch"),
        ({"x": iter([(X, Y, Y, Y)])}, r"batch 1: expected x, \(x, y\) or .*Received: 4 parts"),
        ({"x": iter([*BATCHES, (X, Y[:3])])}, "batch 5: expected as many labels as samples. Received: 20 in x, 3 in y"),
        ({"x": iter([X])}, "batch 1: y: expected labels. Received: None"),
        ({"x": X, "y": Y, "steps_per_epoch": 0}, "steps_per_epoch"),
        ({"x": X, "y": Y, "validation_data": 3}, "validation_data: expected a pair"),
    ],
)
def test_what_gives_no_batches_that_fit_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        network().fit(**arguments, verbose=0)
