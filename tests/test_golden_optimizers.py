"""Steps of the optimizers and rates of the schedules, against those recorded from Keras (parity/optimizer_cases.py)."""

from types import SimpleNamespace

import numpy as np
import pytest
from parity import golden

from fastconv import ops, optimizers
from fastconv.plan.graph import Graph

RECORDED = golden.load("keras_optimizers")
TOLERANCE = 1e-6
PLACES = {"kernel": slice(0, 6), "bias": slice(16, 18)}  # in the flat arrays, with room between
SIZE = 32


def named(case):
    return "-".join((case["optimizer"], *(f"{key}={value}" for key, value in case["arguments"].items())))


def flat(values):
    array = np.zeros(SIZE, np.float32)
    for name, place in PLACES.items():
        array[place] = np.ravel(values[name])
    return array


def made(case):
    arguments = dict(case["arguments"])
    excluded = arguments.pop("exclude", None)
    optimizer = getattr(optimizers, case["optimizer"])(**arguments)
    if excluded:
        optimizer.exclude_from_weight_decay(var_names=excluded)
    return optimizer


def steps_of(optimizer):
    """The steps that it emits, and their arrays by the name of the buffer."""
    graph = Graph("train", [])
    w, dw = graph.state("w", (SIZE,)), graph.state("dw", (SIZE,))
    places = [(SimpleNamespace(name=name), place.start, place.stop) for name, place in PLACES.items()]
    optimizer.emit(graph, w, dw, places)
    return graph.steps


def run(backend, step, arrays):
    """One step, as a plan does it."""

    def array_of(buffer):
        if buffer.kind == "constant":
            return buffer.owner
        dtype = np.float32 if buffer.dtype == "float" else buffer.dtype
        return arrays.setdefault(buffer.name, np.zeros(buffer.shape, dtype))

    buffers = {**step.reads, **step.writes}
    call = {name: array_of(buffer) for name, buffer in buffers.items()} | step.attrs
    if step.op == "clip_by_norm":
        shapes = {name: buffer.shape for name, buffer in buffers.items()}
        call["workspace"] = np.empty(backend.workspace_bytes(step.op, shapes, step.attrs) // 4, np.float32)
    getattr(backend, step.op)(**call)


@pytest.mark.parametrize("backend", ["cpu", "numpy"])
@pytest.mark.parametrize("case", RECORDED["optimizers"], ids=named)
def test_the_steps_of_keras(case, backend):
    optimizer = made(case)
    steps, arrays = steps_of(optimizer), {"w": flat(RECORDED["start"])}
    for count, (gradients, expected) in enumerate(zip(RECORDED["gradients"], case["trajectory"], strict=True)):
        arrays["dw"] = flat(gradients)
        arrays["learning_rate"] = np.array([optimizer.rate_at(count)], np.float32)
        arrays["step"] = np.array([count + 1])
        for step in steps:
            run(ops.get_ops(backend), step, arrays)
        averages = dict(zip(PLACES, expected.get("ema", ()), strict=False))
        for kind, values in (("w", expected), ("ema", averages)):
            for name, place in PLACES.items():
                if name in values:
                    received = arrays[kind][place]
                    np.testing.assert_allclose(received, np.ravel(values[name]), rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("case", RECORDED["optimizers"], ids=named)
def test_the_size_of_the_state(case):
    optimizer = made(case)
    places = [(None, place.start, place.stop) for place in PLACES.values()]
    optimizer.attach(SimpleNamespace(step=np.zeros(1, np.int64), store=SimpleNamespace(places=places)))
    assert optimizer.variable_count() == case["variable_count"]


@pytest.mark.parametrize("case", RECORDED["schedules"], ids=lambda case: f"{case['schedule']}-{case['arguments']}")
def test_the_rates_of_keras(case):
    schedule = getattr(optimizers.schedules, case["schedule"])(**case["arguments"])
    assert schedule.name == case["name"]
    received = [schedule(step) for step in range(len(case["rates"]))]
    np.testing.assert_allclose(received, case["rates"], rtol=TOLERANCE, atol=TOLERANCE)
