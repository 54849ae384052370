"""Fused plans against unfused ones, and the steps they consist of."""

import numpy as np
import pytest

from fastconv import layers, models, optimizers, utils
from fastconv.models import networks
from fastconv.models.objective import Objective
from fastconv.ops import get_ops
from fastconv.plan import fuse
from fastconv.plan.executor import Executor


def network(act):
    x = image = layers.Input((8, 8, 3))
    for filters, strides in ((4, 1), (5, 2), (6, 1)):
        x = layers.Conv2D(filters, 3, strides=strides, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = act()(x)
    x = layers.Flatten()(x)
    x = layers.LeakyReLU()(layers.BatchNormalization()(layers.Dense(7)(x)))
    return models.Model(image, layers.Dense(5, activation="softmax")(x))


def train(fused, act=layers.LeakyReLU, backend="numpy", dtype=np.float64, batch=16, build=None):
    """The plan, and every weight by its path, after three steps."""
    utils.set_random_seed(3)
    utils.clear_session()
    loss, sgd = Objective("categorical_crossentropy"), optimizers.SGD(0.1)
    executor = Executor(build() if build else network(act), get_ops(backend), loss, sgd, fuse=fused, dtype=dtype)
    plan = executor.plan("train", batch)
    executor.arena.fill_with_nan()
    rng = np.random.default_rng(4)
    x, labels = rng.normal(size=plan.inputs[0].shape), np.eye(5)[rng.integers(5, size=batch)]
    for _ in range(3):
        plan.inputs[0][...], plan.targets[0][...] = x, labels
        executor.train_step(plan)
    return plan, {weight.path: view.copy() for weight, view in executor.store.views.items()}


def ops_of(plan):
    return [step.op for step in plan.steps]


def names_until(name):
    return fuse.ALL[: fuse.ALL.index(name) + 1]


@pytest.mark.parametrize("act", [layers.LeakyReLU, layers.ReLU])
@pytest.mark.parametrize("name", fuse.ALL)
def test_each_fusion_gives_the_unfused_weights_on_the_reference(name, act):
    _, plain = train((), act)
    _, fused = train(names_until(name), act)
    for path, weight in plain.items():
        np.testing.assert_allclose(fused[path], weight, rtol=1e-9, atol=1e-13, err_msg=path)


@pytest.mark.parametrize("batch", [3, 16, 33])
@pytest.mark.parametrize("fused", [(), fuse.ALL], ids=["unfused", "fused"])
def test_compiled_kernels_follow_the_reference(fused, batch):
    _, expected = train((), batch=batch)
    _, actual = train(fused, backend="cpu", dtype=np.float32, batch=batch)
    for path, weight in expected.items():
        np.testing.assert_allclose(actual[path], weight, rtol=1e-3, atol=1e-4, err_msg=path)


def resnet_block():
    """A block that halves the image, as ResNet-20 has it, then the mean of whole images."""
    x = image = layers.Input((8, 8, 3))
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(x)))
    y = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(8, 3, strides=2, padding="same")(x)))
    y = layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same")(y))
    shortcut = layers.BatchNormalization()(layers.Conv2D(8, 1, strides=2, padding="same")(x))
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(layers.Add()([y, shortcut])))
    return models.Model(image, layers.Dense(5, activation="softmax")(x))


def pooled_cnn():
    """Convolutions and batch normalizations whose outputs pooling reads."""
    x = image = layers.Input((9, 8, 3))
    x = layers.MaxPooling2D(3, strides=2, padding="same")(layers.Conv2D(4, 3, padding="same")(x))
    x = layers.LeakyReLU()(layers.BatchNormalization()(layers.Conv2D(6, 3, padding="same")(x)))
    x = layers.AveragePooling2D(2)(x)
    x = layers.GlobalMaxPooling2D()(layers.BatchNormalization()(layers.Conv2D(7, 2)(x)))
    return models.Model(image, layers.Dense(5, activation="softmax")(x))


def autoencoder():
    """Transposed convolutions beside batch normalizations: their kernels are a convolution's gradients."""
    x = image = layers.Input((8, 8, 3))
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(4, 3, strides=2, padding="same")(x)))
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2DTranspose(5, 3, strides=2, padding="same")(x)))
    x = layers.Conv2D(4, 3, padding="same", groups=2)(layers.Conv2D(4, 3, dilation_rate=2, padding="same")(x))
    x = layers.Conv2D(3, 3, padding="same")(layers.UpSampling2D()(layers.BatchNormalization()(x)))
    return models.Model(image, layers.Dense(5, activation="softmax")(layers.GlobalAveragePooling2D()(x)))


def mobile_block():
    """Depthwise convolutions between batch normalizations."""
    x = image = layers.Input((8, 8, 3))
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(6, 3, padding="same")(x)))
    x = layers.ReLU()(layers.BatchNormalization()(layers.DepthwiseConv2D(3, strides=2, padding="same")(x)))
    x = layers.BatchNormalization()(layers.SeparableConv2D(5, 3)(x))
    return models.Model(image, layers.Dense(5, activation="softmax")(layers.GlobalAveragePooling2D()(x)))


@pytest.mark.parametrize("build", [resnet_block, pooled_cnn, autoencoder, mobile_block], ids=lambda f: f.__name__)
def test_fusions_leave_what_an_add_or_a_pool_reads(build):
    _, plain = train((), build=build)
    _, fused = train(fuse.ALL, build=build)
    _, compiled = train(fuse.ALL, build=build, backend="cpu", dtype=np.float32)
    for path, weight in plain.items():
        np.testing.assert_allclose(fused[path], weight, rtol=1e-9, atol=1e-13, err_msg=path)
        np.testing.assert_allclose(compiled[path], weight, rtol=1e-3, atol=1e-4, err_msg=path)


def test_dead_bias_drops_what_is_left_of_the_bias_of_a_depthwise_convolution():
    ops = ops_of(train(fuse.ALL, build=mobile_block)[0])
    assert "sum_forward" not in ops and "sum_forward" in ops_of(train((), build=mobile_block)[0])


def test_bn_act_removes_the_activation_step():
    ops = ops_of(train(("bn_act",))[0])
    assert "leaky_relu_forward" not in ops and "leaky_relu_backward" not in ops


def test_conv_statistics_leaves_only_the_dense_layers_batch_normalization():
    ops = ops_of(train(names_until("conv_statistics"))[0])
    assert ops.count("batchnorm_apply") == 3 and ops.count("batchnorm_forward") == 1


def test_bn_on_load_leaves_the_normalized_tensor_that_the_dense_layer_reads():
    assert ops_of(train(names_until("bn_on_load"))[0]).count("batchnorm_apply") == 1


def test_conv_backward_joins_the_gradients_of_convolutions_not_of_dense_layers():
    ops = ops_of(train(names_until("conv_backward"))[0])
    assert ops.count("conv2d_backward") == 3 and ops.count("conv2d_wgrad") == ops.count("conv2d_dgrad") == 2


def test_bn_gradient_on_load_leaves_only_sums():
    steps = [s for s in train(names_until("bn_gradient_on_load"))[0].steps if s.op == "batchnorm_backward"]
    assert ["dx" in step.writes for step in steps] == [True, False, False, False]


def test_bn_sums_in_dgrad_leaves_those_beside_the_dense_layers():
    assert ops_of(train(names_until("bn_sums_in_dgrad"))[0]).count("batchnorm_backward") == 2


def test_dead_bias_drops_the_gradients_that_are_zero():
    with_db = [s for s in train(fuse.ALL)[0].steps if "db" in s.writes]
    assert [s.writes["db"].name for s in with_db] == ["d dense_1/bias"]


def test_first_wgrad_in_dgrad_stores_no_gradient_of_the_first_activation():
    steps = train(fuse.ALL)[0].steps
    written = [buffer.shape for step in steps if step.op == "conv2d_backward" for buffer in step.writes.values()]
    assert (16, 8, 8, 4) not in written
    assert [step.writes["x_dw"].name for step in steps if "x_dw" in step.writes] == ["d conv2d/kernel"]


def test_first_wgrad_in_dgrad_by_compiled_kernels():
    weights = []
    for fused in (fuse.ALL, names_until("dead_bias")):
        utils.set_random_seed(3)
        utils.clear_session()
        loss, sgd = Objective("categorical_crossentropy"), optimizers.SGD(0.1)
        executor = Executor(networks.cnn(), get_ops("cpu"), loss, sgd, fuse=fused)
        plan = executor.plan("train", 32)
        rng = np.random.default_rng(4)
        x, labels = plan.slots
        x[...], labels[...] = rng.random(x.shape), np.eye(10)[rng.integers(10, size=32)]
        executor.train_step(plan)
        assert ("x_dw" in [name for step in plan.steps for name in step.writes]) == ("first_wgrad_in_dgrad" in fused)
        weights.append({weight.path: view.copy() for weight, view in executor.store.views.items()}["conv2d/kernel"])
    np.testing.assert_allclose(*weights, rtol=1e-5, atol=1e-6)


def test_first_wgrad_in_dgrad_leaves_an_output_that_others_read():
    x = image = layers.Input((8, 8, 3))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(x))
    x = layers.Add()([layers.Conv2D(4, 3, padding="same")(x), layers.Conv2D(4, 3, padding="same")(x)])
    model = models.Model(image, layers.Dense(5, activation="softmax")(layers.Flatten()(x)))
    executor = Executor(model, get_ops("numpy"), Objective("categorical_crossentropy"), optimizers.SGD(0.1))
    assert not any("x_dw" in step.writes for step in executor.plan("train", 16).steps)


def test_first_wgrad_in_dgrad_leaves_a_convolution_behind_a_normalization_of_the_images():
    x = image = layers.Input((8, 8, 3))
    for _ in range(2):
        x = layers.Conv2D(4, 3, padding="same")(layers.BatchNormalization()(x))
    model = models.Model(image, layers.Dense(5, activation="softmax")(layers.Flatten()(x)))
    executor = Executor(model, get_ops("numpy"), Objective("categorical_crossentropy"), optimizers.SGD(0.1))
    assert not any("x_dw" in step.writes for step in executor.plan("train", 16).steps)


def test_backward_stays_in_two_passes_where_images_are_few():
    ops = ops_of(train(fuse.ALL, backend="cpu", dtype=np.float32, batch=3)[0])
    assert "conv2d_backward" not in ops


def test_bn_act_leaves_a_normalized_tensor_that_others_read():
    x = image = layers.Input((6,))
    x = layers.BatchNormalization()(layers.Dense(6)(x))
    x = layers.Add()([x, layers.LeakyReLU()(x)])
    model = models.Model(image, layers.Dense(5, activation="softmax")(x))
    executor = Executor(model, get_ops("numpy"), Objective("categorical_crossentropy"), optimizers.SGD(0.1))
    assert "leaky_relu_forward" in ops_of(executor.plan("train", 4))


def test_bn_on_load_leaves_a_normalized_tensor_that_others_read():
    x = image = layers.Input((6, 6, 3))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(x))
    x = layers.Add()([x, layers.Conv2D(4, 3, padding="same")(x)])
    model = models.Model(image, layers.Dense(5, activation="softmax")(layers.Flatten()(x)))
    executor = Executor(model, get_ops("numpy"), Objective("categorical_crossentropy"), optimizers.SGD(0.1))
    assert "batchnorm_apply" in ops_of(executor.plan("train", 16))


def test_the_bias_of_a_layer_used_twice_keeps_its_gradient():
    shared = layers.Conv2D(3, 3, padding="same")
    x = image = layers.Input((6, 6, 3))
    x = shared(layers.BatchNormalization()(shared(x)))
    model = models.Model(image, layers.Dense(5, activation="softmax")(layers.Flatten()(x)))
    executor = Executor(model, get_ops("numpy"), Objective("categorical_crossentropy"), optimizers.SGD(0.1))
    steps = executor.plan("train", 16).steps
    assert ["db" in s.writes for s in steps if s.op == "conv2d_backward"] == [True, True]


def test_the_softmax_before_the_loss_is_dropped():
    ops = ops_of(train(())[0])
    assert "softmax_forward" not in ops and "softmax_xent" in ops


def taken(plan):
    """By fusion: which step took over what of which, as (layer, op) of both, and whether that was all of it."""
    return {
        applied.fusion: [
            (step.layer, step.op, giver.layer, op, whole)
            for step, of in applied.taken.items()
            for giver, op, whole in of
        ]
        for applied in plan.graph.fusions
    }


def test_a_graph_notes_what_fusions_did():
    plan, _ = train(names_until("bn_on_load"))
    found = taken(plan)
    assert [*found] == ["bn_act", "conv_statistics", "bn_on_load"]
    norm, whole, part = "batch_normalization", True, False
    assert ("batch_normalization_3", "batchnorm_forward", "leaky_re_lu_3", "leaky_relu_forward", whole) in found[
        "bn_act"
    ]
    assert ("conv2d", "conv2d_fprop", norm, "batchnorm_forward", part) in found["conv_statistics"]
    for op in ("conv2d_fprop", "conv2d_wgrad"):
        assert ("conv2d_1", op, norm, "batchnorm_apply", whole) in found["bn_on_load"]


def test_a_graph_notes_how_many_steps_fusions_touched():
    plan, _ = train(names_until("conv_statistics"))
    # four pairs of batch normalization and activation, in both directions; three of convolution and normalization
    touched = {applied.fusion: applied.touched for applied in plan.graph.fusions}
    assert touched == {"bn_act": 8, "conv_statistics": 3}


def test_a_graph_notes_no_fusion_that_found_nothing():
    plan, _ = train(("first_wgrad_in_dgrad",))
    assert plan.graph.fusions == []
