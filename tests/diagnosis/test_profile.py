"""model.profile: the rows are those of the plan, and the model stays as it is."""

import io
import json
import math

import numpy as np
import pytest
from fake_device import FakeOps
from helpers import emulated_cuda
from page import Page

from fastconv import _core, bench, config, device, geometry, layers, models, ops, optimizers, utils
from fastconv import rng as generators
from fastconv.diagnosis import steps
from fastconv.models import networks
from fastconv.ops import get_ops

SHORT = 0.001  # seconds: three rounds


@pytest.fixture
def cnn():
    utils.clear_session()
    utils.set_random_seed(0)
    return compiled(networks.cnn())


def compiled(model, optimizer=None, loss="categorical_crossentropy"):
    model.compile(optimizer or optimizers.Adam(0.01), loss, metrics=["accuracy"])
    return model


def small():
    x = image = layers.Input((8, 8, 3))
    x = layers.LeakyReLU()(layers.BatchNormalization()(layers.Conv2D(8, 3, strides=2, padding="same")(x)))
    x = layers.Dropout(0.3)(layers.Flatten()(x))
    return models.Model(image, layers.Dense(4, activation="softmax")(x))


def samples(model, count=16, seed=1):
    numbers = np.random.default_rng(seed)
    x = numbers.random((count, *model.input_shape[1:]), np.float32)
    return x, np.eye(model.output_shape[-1], dtype=np.float32)[numbers.integers(model.output_shape[-1], size=count)]


def fingerprint(model):
    """All that training changes, as bytes; of a model that has not run without making what it makes when it runs."""
    state = model._executor.state() if model._executor else None
    return (
        [weight.tobytes() for weight in model.get_weights()],
        state and {name: values.tobytes() for name, values in state.items()},
        json.dumps(generators.get_state(), default=lambda array: array.tolist()),
        (model.optimizer.iterations, model.optimizer.learning_rate) if model.optimizer else None,
    )


# --- the model stays as it is ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("trained", [False, True])
def test_a_profile_changes_nothing_of_a_model(trained):
    utils.set_random_seed(0)
    model = compiled(small(), optimizers.Adam(0.01, use_ema=True))
    x, y = samples(model)
    if trained:
        model.fit(x, y, batch_size=4, verbose=0)
    before = fingerprint(model)
    model.profile(x, y, seconds=SHORT)
    model.profile(x, seconds=SHORT)
    assert fingerprint(model) == before


@pytest.mark.parametrize("at", [0, 1], ids=["before", "between"])
def test_training_goes_on_with_the_same_bits(at):
    def run(profiled):
        utils.set_random_seed(0)
        model = compiled(small())
        x, y = samples(model)
        for epoch in range(2):
            if profiled and epoch == at:
                model.profile(x, y, batch_size=5, seconds=SHORT)
            model.fit(x, y, batch_size=4, verbose=0)
        return fingerprint(model)

    assert run(True) == run(False)


def test_a_profile_that_fails_changes_nothing(monkeypatch):
    model = compiled(small())
    x, y = samples(model)
    model.fit(x, y, verbose=0)
    before = fingerprint(model)
    with pytest.raises(ValueError, match="expected as many labels as samples"):
        model.profile(x, y[1:], seconds=SHORT)
    monkeypatch.setattr(type(get_ops("cpu").memory), "seconds_of", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        model.profile(x, y, seconds=SHORT)
    assert fingerprint(model) == before


def test_a_callable_learning_rate_is_not_asked():
    asked = []
    model = compiled(small(), optimizers.SGD(lambda: asked.append(0) or 0.1))
    model.profile(*samples(model), seconds=SHORT)
    assert asked == []


# --- rows ------------------------------------------------------------------------------------------------------------


def test_the_rows_are_the_calls_of_a_training_step(cnn):
    found = cnn.profile(*samples(cnn, 32), seconds=SHORT)
    planned = cnn._ready().plan("train", 32).steps
    assert [(row.step, row.op, row.layer) for row in found.rows] == [
        (i, step.op, step.layer or {"adam_update": "(optimizer)"}.get(step.op, "(loss, metrics)"))
        for i, step in enumerate(planned)
    ]
    phases = [row.phase for row in found.rows]
    assert phases == ["forward"] * 10 + ["backward"] * 10 + ["update"]
    assert all(row.seconds > 0 and row.bytes > 0 and row.kernel == config.isa() for row in found.rows)
    assert found.rounds >= 3 and found.step_seconds > 0


def test_flop_are_those_that_frameworks_count(cnn):
    found = cnn.profile(*samples(cnn, 8), seconds=SHORT)
    assert sum(row.flop for row in found.rows) == 2 * 8 * bench._multiplications(cnn)


def test_layers_sum_up_their_steps(cnn):
    found = cnn.profile(*samples(cnn, 8), seconds=SHORT)
    assert [row.layer for row in found.layers] == list(dict.fromkeys(row.layer for row in found.rows))
    for name in ("seconds", "flop", "bytes"):
        of_layers, of_steps = (sum(getattr(row, name) for row in rows) for rows in (found.layers, found.rows))
        assert of_layers == pytest.approx(of_steps)
    dense = next(row for row in found.layers if row.layer == "dense")
    assert dense.op == "3 steps" and dense.gflop_per_s == pytest.approx(1e-9 * dense.flop / dense.seconds)
    assert dense.share_of_peak == pytest.approx(dense.gflop_per_s / found.peak_gflop_per_s)
    assert found.seconds_of("forward", "dense") + found.seconds_of("backward", "dense") == pytest.approx(dense.seconds)


def test_layers_without_steps_are_named(cnn):
    found = cnn.profile(*samples(cnn, 32), seconds=SHORT)
    assert {"leaky_re_lu", "batch_normalization"} <= set(found.fused_layers)
    assert not {"conv2d", "dense", "batch_normalization_4", "flatten"} & set(found.fused_layers)


def test_algorithms_are_those_that_convolutions_use(cnn):
    x, y = samples(cnn, 8)
    algorithms = {row.layer: row.algorithm for row in cnn.profile(x, y, seconds=SHORT).rows if row.phase == "forward"}
    assert algorithms["conv2d_2"] == "winograd"  # 3x3 and stride 1: the rule of csrc/conv2d/winograd.h
    assert algorithms["conv2d_1"] == algorithms["dense"] == "direct"
    assert algorithms["dropout"] == ""
    assert _core.conv2d_allows_winograd()
    config.set_conv_algorithm("direct")
    try:
        assert {row.algorithm for row in cnn.profile(x, y, seconds=SHORT).rows} == {"direct", ""}
        assert not _core.conv2d_allows_winograd()
    finally:
        config.set_conv_algorithm("auto")


@pytest.mark.parametrize("size", [2, 4, 5, 8, 16, 33])
@pytest.mark.parametrize(("c", "k"), [(3, 32), (8, 8), (16, 40), (64, 64), (200, 700)])
def test_the_algorithm_named_is_the_one_whose_bits_are_computed(size, c, k, rng):
    x = rng.normal(size=(1, size, size, c)).astype(np.float32)
    w = rng.normal(size=(3, 3, c, k)).astype(np.float32)
    auto = ops.conv2d(x, w, padding="same")
    config.set_conv_algorithm("direct")
    try:
        direct = ops.conv2d(x, w, padding="same")
    finally:
        config.set_conv_algorithm("auto")
    named = steps._uses_winograd(geometry.conv2d(x.shape, k, 3, padding="same"), get_ops("cpu"))
    assert named == (auto.tobytes() != direct.tobytes())


def flop_of(*stack, shape=(8, 8, 4)):
    """Of each op with products in a prediction of one image."""
    x = image = layers.Input(shape)
    for layer in stack:
        x = layer(x)
    model = models.Model(image, x)
    rows = model.profile(np.zeros((1, *shape)), seconds=SHORT).rows
    return {row.op: row.flop for row in rows if row.flop}


@pytest.mark.parametrize(
    ("stack", "expected"),
    [
        ([layers.Conv2D(6, 3, padding="same")], {"conv2d_fprop": 2 * 64 * 6 * 9 * 4}),
        ([layers.Conv2D(6, 3, dilation_rate=2)], {"conv2d_fprop": 2 * 4 * 4 * 6 * 9 * 4}),
        ([layers.Conv2D(6, 3, groups=2)], {"grouped_conv2d_fprop": 2 * 36 * 6 * 9 * 2}),
        ([layers.DepthwiseConv2D(3, depth_multiplier=2)], {"depthwise_conv2d_fprop": 2 * 36 * 8 * 9}),
        ([layers.Conv2DTranspose(6, 2, strides=2)], {"conv2d_dgrad": 2 * 64 * 4 * 6 * 4}),
        ([layers.MaxPooling2D()], {}),
    ],
    ids=["conv", "dilated", "groups", "depthwise", "transposed", "pooling"],
)
def test_flop_of_every_kind_of_convolution(stack, expected):
    assert flop_of(*stack) == expected


# --- what it takes ---------------------------------------------------------------------------------------------------


def test_a_model_that_is_not_compiled_predicts():
    model = small()
    x, y = samples(model)
    found = model.profile(x, seconds=SHORT)
    assert found.mode == "predict" and {row.phase for row in found.rows} == {"forward"}
    with pytest.raises(RuntimeError, match="profile: expected a compiled model"):
        model.profile(x, y)


def test_a_model_that_is_not_built_is_built():
    model = compiled(models.Sequential([layers.Flatten(), layers.Dense(4, activation="softmax")]))
    found = model.profile(np.zeros((3, 2, 2, 1)), np.eye(4)[:3], seconds=SHORT)
    assert found.batch_size == 3 and model.built


@pytest.mark.parametrize(("batch_size", "expected"), [(None, 32), (7, 7), (1, 1), (1000, 40)])
def test_a_batch_is_the_first_samples(batch_size, expected):
    model = compiled(small())
    assert model.profile(*samples(model, 40), batch_size=batch_size, seconds=SHORT).batch_size == expected


def test_several_inputs_and_outputs_and_weights_of_samples():
    a, b = layers.Input((4, 4, 1), name="a"), layers.Input((3,), name="b")
    merged = layers.Concatenate()([layers.Flatten()(a), b])
    outputs = [layers.Dense(2, name="p", activation="softmax")(merged), layers.Dense(1, name="q")(merged)]
    model = models.Model([a, b], outputs)
    model.compile("sgd", {"p": "categorical_crossentropy", "q": "mse"})
    x, y = {"a": np.zeros((5, 4, 4)), "b": np.zeros((5, 3))}, {"p": np.eye(2)[[0] * 5], "q": np.zeros((5, 1))}
    found = model.profile(x, y, sample_weight=np.ones(5), seconds=SHORT)
    assert {"p", "q", "(loss, metrics)", "(optimizer)"} <= {row.layer for row in found.layers}
    assert [row.op for row in found.rows if row.layer == "(loss, metrics)"] == ["softmax_xent", "loss"]


def test_a_model_without_weights():
    x = layers.Input((4, 4, 1))
    model = models.Model(x, layers.Flatten()(x))
    assert model.profile(np.zeros((2, 4, 4, 1)), seconds=SHORT).rows == []
    assert "total" in str(model.profile(np.zeros((2, 4, 4, 1)), seconds=SHORT))


def test_a_frozen_model_has_no_update():
    model = small()
    model.trainable = False
    found = compiled(model).profile(*samples(model), seconds=SHORT)
    assert {row.phase for row in found.rows} == {"forward"}


class Halve(layers.Layer):
    """A user's layer that notes how often it was called."""

    seen = 0

    def forward(self, x):
        self.seen += 1
        return x / 2

    def backward(self, dy, x, y):
        return dy / 2


def test_a_layer_of_the_users_own_is_timed_and_not_called_itself():
    x = layers.Input((4,))
    model = compiled(models.Model(x, layers.Dense(2, activation="softmax")(Halve(name="half")(layers.Dense(3)(x)))))
    found = model.profile(np.zeros((5, 4)), np.eye(2)[[0] * 5], seconds=SHORT)
    own = next(row for row in found.layers if row.layer == "half")
    assert (own.op, own.kernel) == ("2 steps", "python")
    assert model.get_layer("half").seen == 0


@pytest.mark.parametrize("seconds", [0, -1.0, math.inf, math.nan])
def test_a_time_that_is_none_is_refused(seconds):
    with pytest.raises(ValueError, match="seconds: expected a positive number"):
        small().profile(np.zeros((1, 8, 8, 3)), seconds=seconds)


def test_batches_are_refused():
    with pytest.raises(ValueError, match="profile: expected arrays.*Received: generator"):
        small().profile(x for x in ())


def test_a_device_measures_its_own_calls(monkeypatch):
    monkeypatch.setattr(device, "_ops", FakeOps())
    utils.set_random_seed(0)
    model = compiled(small())
    x, y = samples(model)
    model.fit(x, y, batch_size=4, verbose=0)
    before = fingerprint(model)
    found = model.profile(x, y, seconds=SHORT)
    assert found.device == "fake" and found.peak_gflop_per_s is None
    assert [row.op for row in found.rows] == [step.op for step in model._ready().plan("train", 16).steps]
    assert all(row.share_of_peak is None and row.kernel == "fake" for row in found.rows)
    assert fingerprint(model) == before


def test_kernels_of_cuda():
    pytest.importorskip("fastconv._emulator", reason="needs the emulator of CUDA", exc_type=ImportError)
    before = device._ops
    device._ops = emulated_cuda()
    try:
        model = compiled(small())
        found = model.profile(*samples(model, 2), seconds=SHORT)
    finally:
        device._ops = before
    convolution = found.rows[0]
    assert (convolution.algorithm, convolution.kernel) == ("implicit GEMM, highest", "cuda")
    assert found.peak_gflop_per_s is None and convolution.gflop_per_s > 0


# --- how it looks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [60, 80, 140])
def test_text_stays_within_its_width(cnn, width):
    text = cnn.profile(*samples(cnn, 4), seconds=SHORT).table(width)
    assert max(map(len, text.splitlines())) <= width
    assert "winograd" in text or width < 140


def test_text_without_a_terminal_names_all_layers(cnn, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr("sys.__stdout__", io.StringIO())  # what is asked for its size
    text = str(cnn.profile(*samples(cnn, 32), seconds=SHORT))
    assert "batch_normalization_3" in text and "conv2d_backward" in text and f"{config.isa()}, " in text


def test_a_notebook_gets_tables_that_are_escaped():
    x = layers.Input((3,))
    model = models.Model(x, layers.Dense(2, name="<b>[red]")(x))
    found = model.profile(np.zeros((2, 3)), seconds=SHORT)
    page = Page(found._repr_html_())
    assert [row[0] for row in page.rows[:3]] == ["layer", "<b>[red]", "total"]
    assert "<b>[red]" in str(found)


def test_numbers_for_machines(cnn):
    found = cnn.profile(*samples(cnn, 4), seconds=SHORT)
    numbers = json.loads(json.dumps(found.to_dict()))
    assert numbers["rows"][0]["op"] == "conv2d_fprop" and numbers["layers"][0]["layer"] == "conv2d"
    assert repr(found).startswith("<Profile: train, batch 4, 28 steps, ")
