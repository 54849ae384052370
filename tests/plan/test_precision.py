"""Which buffers of a plan are bfloat16, where casts stand, and who is refused."""

from types import SimpleNamespace

import numpy as np
import pytest
from users_layers import Scale

from fastconv import layers, models, optimizers
from fastconv.models import networks
from fastconv.models.objective import Objective
from fastconv.ops import get_ops
from fastconv.plan import fuse, precision
from fastconv.plan.executor import Executor
from fastconv.plan.graph import Buffer, Graph
from fastconv.plan.traffic import memory_passes, traffic


class CudaPlans(type(get_ops("cpu"))):
    """A backend whose plans are made and not run."""

    name = "cuda"

    def conv2d_backward_fits(self, geometry, x_geometry=None):
        return x_geometry is None


def plan_of(model, mode="train", policy="mixed_bfloat16", fused=fuse.ALL, batch=2):
    objective, optimizer = Objective("sparse_categorical_crossentropy"), optimizers.SGD()
    return Executor(model, CudaPlans(), objective, optimizer, fused, policy=policy)._unbound_plan(mode, batch)


def small():
    x = image = layers.Input((4, 4, 3), name="image")
    x = layers.LeakyReLU()(layers.BatchNormalization(name="norm")(layers.Conv2D(8, 3, name="conv")(x)))
    return models.Model(image, layers.Dense(5, activation="softmax", name="dense")(layers.Flatten()(x)))


def types(plan):
    """{argument: dtype} of each step."""
    return [
        (step.op, {name: b.root.dtype for side in (step.reads, step.writes) for name, b in side.items()})
        for step in plan.steps
    ]


@pytest.mark.parametrize("fused", [(), fuse.ALL], ids=["unfused", "fused"])
@pytest.mark.parametrize("mode", ["train", "evaluate", "predict"])
@pytest.mark.parametrize("network", ["mlp", "conv", "cnn"])
def test_every_step_has_the_activations_that_its_kernels_take(network, mode, fused):
    for op, of in types(plan_of(networks.NETWORKS[network].factory(), mode, fused=fused)):
        stored = precision.STORED.get(op, ())
        for name, dtype in of.items():
            if op != "cast":
                assert (dtype == "bfloat16") == (name in stored), (op, name)


def test_the_arrays_of_a_users_layer_are_float32():
    x = image = layers.Input((6, 6, 3))
    x = layers.Conv2D(8, 3)(Scale()(layers.Conv2D(8, 3)(x)))
    of = dict(types(plan_of(models.Model(image, layers.Dense(5, activation="softmax")(layers.Flatten()(x))))))
    assert set(of["user_forward"].values()) == set(of["user_backward"].values()) == {"float"}
    assert of["conv2d_fprop"]["x"] == of["conv2d_fprop"]["y"] == "bfloat16"


def test_casts_stand_at_the_images_the_logits_and_their_gradient():
    casts = [step for step in plan_of(small()).steps if step.op == "cast"]
    assert [(step.reads["x"].name, step.writes["y"].dtype) for step in casts] == [
        ("x", "bfloat16"),
        ("dense.y", "float"),
        ("d dense.y", "bfloat16"),
    ]


def test_what_predict_returns_is_float32():
    plan = plan_of(models.Model(image := layers.Input((3,)), layers.Dense(5)(image)), "predict")
    assert plan.steps[-1].op == "cast" and plan.dtype_of(plan.graph.outputs[0]) == np.float32


def test_a_buffer_is_cast_once():
    image = layers.Input((3,))
    x = layers.Dense(4)(image)
    plan = plan_of(models.Model(image, layers.Activation("softmax")(layers.Add()([x, layers.Dense(4)(image)]))))
    casts = [step.reads["x"] for step in plan.steps if step.op == "cast"]
    assert len(casts) == len(set(casts)) == 3


def test_a_view_is_of_the_type_of_what_it_shows():
    graph = Graph("predict", [(2, 6)])
    y = graph.buffer((2, 6), "y")
    graph.emit("leaky_relu_forward", {"y": y}, x=graph.inputs[0], slope=0.3)
    flat = graph.view(y, (12,), "flat")
    precision.store_as_bfloat16(graph)
    assert flat.dtype == "bfloat16"


def test_what_steps_of_both_kinds_write_parts_of_is_float32():
    graph = Graph("predict", [(2, 6)])
    whole, part = graph.buffer((24,), "whole"), lambda start: Buffer("part", (2, 6), base=whole, start=start)
    graph.emit("softmax_forward", {"y": part(0)}, x=graph.inputs[0])
    graph.emit("leaky_relu_forward", {"y": part(12)}, x=graph.inputs[0], slope=0.3)
    precision.store_as_bfloat16(graph)
    assert [step.op for step in graph.steps] == ["softmax_forward", "cast", "leaky_relu_forward", "cast"]
    assert whole.dtype == "float" and graph.steps[-1].writes["y"].start == 12


def test_the_gradients_of_a_shared_weight_stay_float32():
    image, dense = layers.Input((5,)), layers.Dense(5)
    plan = plan_of(models.Model(image, layers.Activation("softmax")(dense(dense(image)))))
    sums = [of for op, of in types(plan) if op == "add_forward"]
    assert sums and all(set(of.values()) == {"float"} for of in sums)


def test_traffic_counts_two_bytes():
    rows, halves = (traffic(plan_of(small(), policy=policy, fused=())) for policy in ("float32", "mixed_bfloat16"))
    kept = [row for row in halves if row.op not in ("cast", "softmax_xent")]
    before = [row for row in rows if row.op != "softmax_xent"]
    assert [(2 * row.read, 2 * row.written) for row in kept] == [(row.read, row.written) for row in before]


def test_passes_are_of_outputs_in_their_own_type():
    assert memory_passes(plan_of(networks.cnn())) < 1.2 * memory_passes(plan_of(networks.cnn(), policy="float32"))


def test_the_arena_is_smaller():
    plans = [plan_of(networks.cnn(), policy=policy, batch=64) for policy in ("mixed_bfloat16", "float32")]
    assert plans[0].layout.size_bytes < 0.7 * plans[1].layout.size_bytes


@pytest.mark.parametrize("name, policy", [(None, "float32"), ("float32", "float32"), ("mixed_bfloat16",) * 2])
def test_policies_by_name(name, policy):
    assert precision.check_policy(name) == policy


@pytest.mark.parametrize("name, hint", [("mixed_float16", 'use "mixed_bfloat16"'), ("bfloat16", "")])
def test_other_policies_are_refused(name, hint):
    with pytest.raises(ValueError, match=f'dtype_policy: expected "float32" or "mixed_bfloat16".*{name}.*{hint}'):
        precision.check_policy(name)


@pytest.mark.parametrize("name, received", [("cpu", "CPU"), ("numpy", "numpy")])
def test_a_backend_without_kernels_is_refused(name, received):
    with pytest.raises(RuntimeError, match=f'expected a GPU for "mixed_bfloat16".*{received}.*set_device'):
        precision.require_kernels("mixed_bfloat16", SimpleNamespace(name=name))
