"""Backends have one signature: the methods, argument names and defaults of `fastconv.ops.protocol.Ops`."""

from __future__ import annotations

import inspect

import helpers
import pytest

from fastconv import _core
from fastconv.ops import get_ops
from fastconv.ops.cuda_ops import CudaOps
from fastconv.ops.protocol import CALLS_PYTHON, Ops

BACKENDS = ["cpu", "numpy"]
CLASSES = {backend: type(get_ops(backend)) for backend in BACKENDS} | {"cuda": CudaOps}
# Beyond the protocol: what a step that never asks the host needs, and what bfloat16 does.
BEYOND = {"cuda": {"gather_batch", "advance", "set_number", "cast"}}
NO_OPS = {"settings", "workspace_bytes", "conv2d_backward_reads", *CALLS_PYTHON}
MADE_OF_OTHERS = {op for op in vars(Ops) if op.startswith("grouped_conv2d")}


def methods(cls):
    return {name: method for name, method in inspect.getmembers(cls, inspect.isfunction) if name[0] != "_"}


def arguments(method):
    return [(p.name, p.kind, p.default) for p in inspect.signature(method).parameters.values()]


@pytest.mark.parametrize("backend", CLASSES)
def test_a_backend_has_the_methods_of_the_protocol_and_no_others(backend):
    assert set(methods(CLASSES[backend])) - BEYOND.get(backend, set()) == set(methods(Ops))


@pytest.mark.parametrize("op", methods(Ops))
@pytest.mark.parametrize("backend", CLASSES)
def test_arguments_have_the_names_and_defaults_of_the_protocol(backend, op):
    assert arguments(getattr(CLASSES[backend], op)) == arguments(getattr(Ops, op))


@pytest.mark.parametrize("op", sorted(methods(Ops).keys() - NO_OPS - MADE_OF_OTHERS))
def test_the_extension_module_has_the_arguments_of_the_protocol(op):
    declared = getattr(_core, op).__doc__.partition("(")[2].partition(")")[0]
    names = [argument.partition(":")[0].strip() for argument in declared.split(",")]
    assert names == [name for name, *_ in arguments(getattr(Ops, op))[1:]]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_backend_says_its_name(backend):
    assert get_ops(backend).name == backend


def test_backends_are_built_once():
    assert get_ops("cpu") is get_ops("cpu")


def test_an_unknown_backend_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match='expected "cpu", "cuda" or "numpy".*Received: \'tpu\''):
        get_ops("tpu")


def test_the_tests_know_the_outputs_of_every_op():
    assert set(helpers.OUTPUTS) == methods(Ops).keys() - NO_OPS
