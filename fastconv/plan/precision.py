"""Activations in bfloat16: which buffers of a plan are stored so, and the casts at the borders of those that are not.

The pass comes last, on the steps as they will run. What `STORED` names is read and written as bfloat16 by the kernels
of its op; all else stays float32: images, logits and the loss, numbers per channel, weights, their gradients, the state
of training. Layers, gradients and fusions know nothing of it.
"""

from __future__ import annotations

from typing import Any

from fastconv.plan.graph import Buffer, Graph, Step

POLICIES = ("float32", "mixed_bfloat16")
_TENSORS = ("activation", "input")

# The arguments of each op that has kernels for bfloat16 which may be so.
STORED: dict[str, tuple[str, ...]] = {
    "conv2d_fprop": ("x", "y"),
    "conv2d_dgrad": ("dy", "dx"),
    "conv2d_wgrad": ("x", "dy"),
    "conv2d_backward": ("x", "dy", "dx", "y"),
    "batchnorm_forward": ("x", "y"),
    "batchnorm_apply": ("x", "y"),
    "batchnorm_inference": ("x", "y"),
    "batchnorm_backward": ("dy", "x", "dx"),
    "leaky_relu_forward": ("x", "y"),
    "leaky_relu_backward": ("dy", "x", "dx"),
    "dropout_forward": ("x", "y"),
    "dropout_backward": ("dy", "dx"),
    "add_forward": ("a", "b", "y"),
}


# Fusions into kernels that have no bfloat16.
_UNFUSED = {"mixed_bfloat16": ("first_wgrad_in_dgrad",)}


def fusions_of(policy: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the fusions `names` that a policy has kernels for."""
    return tuple(name for name in names if name not in _UNFUSED.get(policy, ()))


def check_policy(name: str | None) -> str:
    """The name of a dtype policy; "float32" for None.

    Raises:
        ValueError: on any other, listing the known ones.
    """
    if name is None:
        return "float32"
    if name in POLICIES:
        return name
    instead = ' float16 would need its losses scaled: use "mixed_bfloat16".' if name == "mixed_float16" else ""
    raise ValueError(f'dtype_policy: expected "float32" or "mixed_bfloat16". Received: {name!r}.{instead}')


def require_kernels(policy: str, ops: Any) -> None:
    """Raises RuntimeError if a backend has no kernels for a policy."""
    if policy == "mixed_bfloat16" and ops.name != "cuda":
        raise RuntimeError(
            'dtype_policy: expected a GPU for "mixed_bfloat16". Received: a model on the '
            f'{"CPU" if ops.name == "cpu" else ops.name}. Call fastconv.set_device("cuda") first, or compile with '
            'dtype_policy="float32"'
        )


def store_as_bfloat16(graph: Graph) -> None:
    """Makes activations bfloat16 where all steps that write them can, and casts them where a step needs the other.

    What a cast makes is made once, before the first step that needs it; a view is of the type of what it shows.
    """
    casts: dict[Buffer, Buffer] = {}
    steps: list[Step] = []

    def cast(x: Buffer, layer: str | None = None) -> Buffer:
        if x not in casts:
            casts[x] = _other(x)
            steps.append(Step("cast", {"x": x}, {"y": casts[x]}, {}, layer))
        return casts[x]

    for root in _written_as_bfloat16(graph):
        root.dtype = "bfloat16"
    for step in graph.steps:
        for buffer in (b for b in step.buffers() if b.base is not None):
            buffer.dtype = buffer.root.dtype
        if step.op == "view":
            steps.append(step)
            continue
        for name in _of_the_other_type(step.op, step.reads):
            step.reads[name] = cast(step.reads[name], step.layer)
        steps.append(step)
        for name in _of_the_other_type(step.op, step.writes):
            buffer = step.writes[name]
            step.writes[name] = _other(buffer)
            steps.append(Step("cast", {"x": step.writes[name]}, {"y": buffer}, {}, step.layer))
    graph.outputs = [cast(b) if b.dtype == "bfloat16" else b for b in graph.outputs]
    graph.steps = steps


def _written_as_bfloat16(graph: Graph) -> list[Buffer]:
    """The buffers that steps with kernels for it alone write."""
    wide, narrow = set(), {}
    for step in graph.steps:
        for name, buffer in step.writes.items():
            if step.op == "view" or not _is_tensor(buffer):
                continue
            if name in STORED.get(step.op, ()):
                narrow[buffer.root] = None
            else:
                wide.add(buffer.root)
    return [root for root in narrow if root not in wide]


def _of_the_other_type(op: str, arguments: dict[str, Buffer]) -> list[str]:
    """The names of the arguments that are not what the op takes."""
    stored = STORED.get(op, ())
    return [k for k, b in arguments.items() if _is_tensor(b) and (b.dtype == "bfloat16") != (k in stored)]


def _other(x: Buffer) -> Buffer:
    """A buffer for the same numbers in the other type."""
    dtype = "float" if x.dtype == "bfloat16" else "bfloat16"
    return Buffer(f"{x.name} in {dtype}", x.shape, dtype=dtype)


def _is_tensor(buffer: Buffer) -> bool:
    """Whether it is an activation or the gradient of one, of any number."""
    return buffer.root.kind in _TENSORS and buffer.owner is None and buffer.root.dtype in ("float", "bfloat16")
