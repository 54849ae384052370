"""The passes of one convolution or dense layer in PyTorch, that is oneDNN or MKL: a peer of ops.py and sweep.py.

| command | arguments | answer |
| --- | --- | --- |
| setup | threads, isa (of fastconv; None: whatever oneDNN finds best) | versions |
| layer | geometry (fields of fastconv's Conv2DGeometry), layouts | |
| measure | op, seconds | seconds of the fastest way, way: its name |

The first `measure` of an op tries every way (memory layouts, functions); later ones repeat the fastest.
"""

from __future__ import annotations

import os

import timing
import worker

# What stands for an instruction set of fastconv; oneDNN has none below SSE4.1.
ONEDNN_ISAS = {"scalar": "SSE41", "avx2": "AVX2", "avx512": "AVX512_CORE"}


class TorchConv:
    def setup(self, threads, isa):
        if isa in ONEDNN_ISAS:
            os.environ["ONEDNN_MAX_CPU_ISA"] = ONEDNN_ISAS[isa]
        import torch

        torch.set_num_threads(threads)
        torch.manual_seed(0)
        self.torch = torch
        return {"versions": {"torch": torch.__version__}}

    def layer(self, geometry, layouts):
        ways = self.dense(**geometry) if is_dense(geometry) else self.convolution(geometry, layouts)
        self.ways = {op: list(of_op.items()) for op, of_op in ways.items()}
        return {}

    def measure(self, op, seconds):
        with self.torch.no_grad():
            timed = [(timing.median_seconds(call, seconds), name, call) for name, call in self.ways[op]]
        best, name, call = min(timed, key=lambda way: way[0])
        self.ways[op] = [(name, call)]
        return {"seconds": best, "way": name}

    def dense(self, q, c, k, **_):
        """torch.nn.Linear's passes: rows x units = rows x inputs times the transpose of units x inputs."""
        torch = self.torch
        x, w, b, dy = torch.rand(q, c), torch.rand(k, c), torch.rand(k), torch.rand(q, k)
        return {
            "conv2d_fprop": {"linear": lambda: torch.nn.functional.linear(x, w, b)},
            "conv2d_dgrad": {"matmul": lambda: dy @ w},
            "conv2d_wgrad": {"matmul": lambda: (dy.T @ x, dy.sum(0))},
            "conv2d_backward": {"matmul": lambda: (dy @ w, dy.T @ x, dy.sum(0))},
        }

    def convolution(self, geometry, layouts):
        ways: dict[str, dict] = {}
        for layout in layouts:
            for op, functions in self.in_layout(geometry, getattr(self.torch, layout)).items():
                ways.setdefault(op, {}).update({f"{layout} {name}": call for name, call in functions.items()})
        return ways

    def in_layout(self, g, layout):
        torch = self.torch
        x_shape, w_shape, y_shape = (tuple(g[axis] for axis in axes) for axes in ("nchw", "kcrs", "nkpq"))
        x, w, dy = (torch.rand(shape).contiguous(memory_format=layout) for shape in (x_shape, w_shape, y_shape))
        b = torch.rand(g["k"])
        stride = (g["stride_h"], g["stride_w"])
        # As many zeros before as after, as PyTorch's users pad; where Keras' "same" adds an odd number, fastconv has
        # one more after: the sizes and the products are the same.
        pad = ((g["r"] - 1) // 2, (g["s"] - 1) // 2)

        def backward(*mask):
            return torch.ops.aten.convolution_backward(dy, x, w, [g["k"]], stride, pad, (1, 1), False, (0, 0), 1, mask)

        return {
            "conv2d_fprop": {"conv2d": lambda: torch.nn.functional.conv2d(x, w, b, stride, pad)},
            "conv2d_dgrad": {
                "conv2d_input": lambda: torch.nn.grad.conv2d_input(x_shape, w, dy, stride, pad),
                "convolution_backward": lambda: backward(True, False, False),
            },
            "conv2d_wgrad": {
                "conv2d_weight": lambda: torch.nn.grad.conv2d_weight(x, w_shape, dy, stride, pad),
                "convolution_backward": lambda: backward(False, True, True),
            },
            "conv2d_backward": {"convolution_backward": lambda: backward(True, True, True)},
        }


def is_dense(g):
    return g["n"] == g["h"] == g["p"] == g["r"] == g["s"] == 1


if __name__ == "__main__":
    worker.serve(TorchConv())
