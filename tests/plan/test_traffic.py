"""Memory passes counted from a plan, against counts by hand."""

import pytest
from helpers import emulated_cuda

from fastconv import layers, models, optimizers
from fastconv.models import networks
from fastconv.models.objective import Objective
from fastconv.ops import get_ops
from fastconv.plan import fuse
from fastconv.plan.executor import Executor
from fastconv.plan.traffic import Row, memory_passes, step_bytes, traffic

BATCH = 2
X, Y, LOGITS = (4 * BATCH * numbers for numbers in (4 * 4 * 3, 4 * 4 * 8, 5))  # bytes of float32


def plan_of(output, image, fused=()):
    model = models.Model(image, output)
    ops, loss, optimizer = get_ops("cpu"), Objective("categorical_crossentropy"), optimizers.SGD()
    return Executor(model, ops, loss, optimizer, fuse=fused).plan("train", BATCH)


def normalized(fused=()):
    x = image = layers.Input((4, 4, 3))
    x = layers.LeakyReLU()(layers.BatchNormalization()(layers.Conv2D(8, 3, padding="same")(x)))
    return plan_of(layers.Dense(5, activation="softmax")(layers.Flatten()(x)), image, fused)


def counts(plan):
    return [(row.op, row.read, row.written) for row in traffic(plan)]


def test_a_small_network_counted_by_hand():
    assert counts(normalized()) == [
        ("conv2d_fprop", X, Y),
        ("batchnorm_forward", 2 * Y, Y),
        ("leaky_relu_forward", Y, Y),
        ("conv2d_fprop", Y, LOGITS),
        ("softmax_xent", 2 * LOGITS, LOGITS),
        ("conv2d_wgrad", Y + LOGITS, 0),
        ("conv2d_dgrad", LOGITS, Y),
        ("leaky_relu_backward", 2 * Y, Y),
        ("batchnorm_backward", 4 * Y, Y),
        ("conv2d_wgrad", X + Y, 0),
        ("sgd_update", 0, 0),
    ]


def test_passes_are_bytes_per_output_of_convolutions_and_dense_layers():
    assert memory_passes(normalized()) == (18 * Y + 2 * X + 6 * LOGITS) / (Y + LOGITS)


def test_batch_normalization_reads_once_where_a_convolution_took_its_sums():
    forward = traffic(normalized(("bn_act", "conv_statistics")))[1]
    assert forward[0] == "batchnorm_apply" and forward[2:] == (Y, Y)


def test_rows_name_the_buffers_that_count():
    x = image = layers.Input((5,), name="image")
    plan = plan_of(layers.Dense(5, activation="softmax", name="dense")(x), image)
    assert traffic(plan)[0] == Row("conv2d_fprop", ("x", "dense.y"), LOGITS, LOGITS)


def test_a_buffer_read_in_two_arguments_counts_once():
    x = image = layers.Input((5,))
    x = layers.Dense(5)(x)
    rows = counts(plan_of(layers.Dense(5, activation="softmax")(layers.Add()([x, x])), image))
    assert rows[1] == ("add_forward", LOGITS, LOGITS)


def test_the_gradient_of_a_shared_weight_is_no_activation():
    image, dense = layers.Input((5,)), layers.Dense(5)
    rows = counts(plan_of(layers.Activation("softmax")(dense(dense(image))), image))
    assert [row for row in rows if row[0] == "add_forward"] == [("add_forward", 0, 0)] * 2


def test_no_fusion_adds_a_pass_and_all_together_leave_less_than_5():
    passes = []
    for count in range(len(fuse.ALL) + 1):
        loss, optimizer = Objective("categorical_crossentropy"), optimizers.Adam()
        model = networks.cnn()
        passes.append(
            memory_passes(Executor(model, get_ops("cpu"), loss, optimizer, fuse.ALL[:count]).plan("train", 32))
        )
    assert passes == sorted(passes, reverse=True) and passes[-1] < 5


def test_a_view_goes_by_the_buffer_it_shows():
    rows = traffic(normalized())
    assert rows[3].buffers[0] == rows[2].buffers[-1]


def test_batch_normalization_of_the_images_has_sums_alone_backward():
    x = image = layers.Input((5,))
    x = layers.BatchNormalization()(x)
    rows = counts(plan_of(layers.Dense(5, activation="softmax")(x), image))
    assert ("batchnorm_backward", 2 * LOGITS, 0) in rows


def test_a_backward_pass_of_two_kernels_reads_its_inputs_twice(monkeypatch):
    ops, loss, optimizer = get_ops("cpu"), Objective("categorical_crossentropy"), optimizers.SGD()
    fused = [name for name in fuse.ALL if name != "first_wgrad_in_dgrad"]
    plan = Executor(networks.cnn(), ops, loss, optimizer, fuse=fused).plan("train", 32)
    once = traffic(plan)
    monkeypatch.setattr(type(ops), "conv2d_backward_reads", lambda self, geometry, dtype: 2)
    for step, before, after in zip(plan.steps, once, traffic(plan), strict=True):
        twice = step.op == "conv2d_backward" and "dx" in step.writes
        assert after.read == before.read * (2 if twice else 1) and after.written == before.written


def test_the_step_of_cnn_on_a_gpu_has_the_passes_of_the_cpu():
    pytest.importorskip("fastconv._emulator", reason="needs the emulator of CUDA", exc_type=ImportError)
    loss, optimizer = Objective("categorical_crossentropy"), optimizers.Adam()
    gpu, cpu = (
        memory_passes(Executor(networks.cnn(), ops, loss, optimizer).plan("train", 32))
        for ops in (emulated_cuda(), get_ops("cpu"))
    )
    assert gpu == cpu <= 6


def test_the_bytes_of_a_step_are_those_of_all_its_arrays_but_workspaces():
    x = image = layers.Input((5,))
    plan = plan_of(layers.Dense(3, activation="softmax")(x), image)
    of = {step.op: step_bytes(plan, step) for step in plan.steps}
    kernel, bias, y = 4 * 5 * 3, 4 * 3, 4 * BATCH * 3
    assert of["conv2d_fprop"] == (LOGITS + kernel + bias, y)
    assert of["softmax_xent"] == (2 * y, y + 2 * 8)  # the sums are float64
    flat = 4 * 32  # kernel and bias, each rounded up to 64 bytes
    assert of["sgd_update"] == (2 * flat + 4, flat)  # w in place; dw and the learning rate


def test_the_statistics_of_a_batch_are_read_for_before_it_is_normalized():
    plan = normalized()
    step = next(step for step in plan.steps if step.op == "batchnorm_forward")
    read, written = step_bytes(plan, step)
    assert 2 * Y <= read < 2 * Y + 6 * 4 * 8 and Y <= written < Y + 6 * 4 * 8
