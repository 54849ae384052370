"""Activations in bfloat16: which buffers of a plan are stored so, and the casts at the borders of those that are not.

The pass comes last, on the steps as they will run. What `STORED` names is read and written as bfloat16 by the kernels
of its op; all else stays float32: images, logits and the loss, numbers per channel, weights, their gradients, the state
of training. Layers, gradients and fusions know nothing of it.
"""

from __future__ import annotations

from typing import Any

from fastconv.plan.graph import Buffer, Graph, Step

_POLICIES = ("float32", "mixed_bfloat16")
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


def check_policy(name: str | None) -> str:
    """The name of a dtype policy; "float32" for None.

    Raises:
        ValueError: on any other, listing the known ones.
    """
    if name is None:
        return "float32"
    if name in _POLICIES:
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
    """Makes the activations of `graph` bfloat16 where the step that writes them can, and casts where others read them.

    A buffer that a cast makes is made once; the view of a buffer is of its type.
    """
    casts: dict[Buffer, Buffer] = {}
    steps: list[Step] = []  # those of the graph, and casts before the first that needs them

    def cast(x: Buffer) -> Buffer:
        if x not in casts:
            to = "float" if x.root.dtype == "bfloat16" else "bfloat16"
            casts[x] = Buffer(f"{x.name} as {to}", x.shape, dtype=to)
            steps.append(Step("cast", {"x": x}, {"y": casts[x]}, {}))
        return casts[x]

    for step in graph.steps:
        stored = STORED.get(step.op, ())
        for name, buffer in step.writes.items():
            if name in stored and _is_tensor(buffer):
                buffer.root.dtype = "bfloat16"
        if step.op == "view":
            step.writes["y"].dtype = step.reads["x"].root.dtype
        else:
            for name, buffer in step.reads.items():
                wanted = "bfloat16" if name in stored else "float"
                if _is_tensor(buffer) and buffer.root.dtype != wanted:
                    step.reads[name] = cast(buffer)
        steps.append(step)
    if graph.y is not None and graph.y.root.dtype == "bfloat16":
        graph.y = cast(graph.y)
    graph.steps = steps


def _is_tensor(buffer: Buffer) -> bool:
    """Whether it is an activation or the gradient of one, of any number."""
    return buffer.root.kind in _TENSORS and buffer.owner is None and buffer.root.dtype in ("float", "bfloat16")
