"""Runs one layer through the plan, forward and backward, on given inputs and a given gradient of its output."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np

from fastconv import geometry, layers, optimizers
from fastconv.layers.weight import Weight
from fastconv.plan.executor import Executor


class _Model:
    """The layer on inputs that are products of the unit matrix with weights, whose gradients are then the inputs'."""

    inputs = ()

    def __init__(self, layer, values):
        self.layer = layer
        self.values = [Weight(f"x{i}", "inputs", np.array(x, np.float32), True) for i, x in enumerate(values)]
        self.unit = Weight("unit", "inputs", np.eye(len(values[0]), dtype=np.float32), False)
        self.weights = [*self.values, self.unit, *layer.weights]

    def emit(self, graph):
        return [self.layer.emit(graph, *(self._input(graph, w) for w in self.values))]

    def _input(self, graph, weight):
        rows = weight.shape[0]
        x = graph.buffer(weight.shape, weight.name)
        shape = geometry.dense(rows, rows, math.prod(weight.shape[1:]))
        graph.emit("conv2d_fprop", {"y": x}, geometry=shape, x=graph.weight(self.unit), w=graph.weight(weight), b=None)
        return x


class _Gradient:
    """In place of a loss: the backward pass starts from `dy`."""

    def emit(self, graph, outputs, weighted):
        (y,) = graph.outputs = outputs
        dy, _ = graph.target(y.shape, "float", weighted=False)
        graph.add_loss_gradient(y, dy)


def run_layer(layer, inputs, dy, ops, weights=()) -> SimpleNamespace:
    """Output of a layer in training, and gradients of its inputs and trainable weights.

    Args:
        layer: a layer of fastconv, not yet built.
        inputs: arrays, the batch as their first axis.
        dy: the gradient of its output.
        ops: the backend.
        weights: values for its weights; none leaves what they are.
    """
    tensors = [layers.Input(np.shape(x)[1:]) for x in inputs]
    layer(tensors if len(tensors) > 1 else tensors[0])
    if len(weights):
        layer.set_weights(weights)
    model = _Model(layer, inputs)
    executor = Executor(model, ops, _Gradient(), optimizers.SGD(0.0))
    plan = executor.plan("train", 1)
    executor.arena.fill_with_nan()
    plan.host_slots[-1][...] = dy
    plan.send()
    plan.run()
    download = ops.memory.download
    gradients = [download(executor.store.gradient_of(w)) for w in model.weights if w.trainable]
    return SimpleNamespace(y=np.array(download(plan.outputs[0])), gradients=gradients)
