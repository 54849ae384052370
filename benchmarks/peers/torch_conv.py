"""The passes of a layer in PyTorch (oneDNN, MKL; on a GPU cuDNN, cuBLAS): a peer of ops.py, sweep.py and gpu.py.

| command | arguments | answer |
| --- | --- | --- |
| setup | threads, isa (of fastconv; None: whatever oneDNN finds best), device, tf32 (if allowed) | versions |
| layer | geometry (fields of fastconv's Conv2DGeometry), layouts | |
| norm | shape (of batch normalization's input, channels last) | |
| measure | op, seconds | seconds of the fastest way, way: its name |

The first `measure` of an op tries every way (memory layouts, functions); later ones repeat the fastest. On a GPU a call
is timed as one of many in a CUDA graph.
"""

from __future__ import annotations

import os

import timing
import worker

# What stands for an instruction set of fastconv; oneDNN has none below SSE4.1.
ONEDNN_ISAS = {"scalar": "SSE41", "avx2": "AVX2", "avx512": "AVX512_CORE"}


class TorchConv:
    def setup(self, threads, isa, device="cpu", tf32=False):
        if isa in ONEDNN_ISAS:
            os.environ["ONEDNN_MAX_CPU_ISA"] = ONEDNN_ISAS[isa]
        import torch

        torch.set_num_threads(threads)
        torch.manual_seed(0)
        if device == "cuda":
            if not torch.cuda.is_available():
                raise worker.Unavailable("PyTorch finds no GPU")
            torch.backends.cudnn.benchmark = True
            torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = tf32
            torch.set_default_device(device)  # on the CPU it would only cost time in each call
        self.torch, self.device = torch, device
        return {"versions": {"torch": torch.__version__}}

    def layer(self, geometry, layouts):
        ways = self.dense(**geometry) if is_dense(geometry) else self.convolution(geometry, layouts)
        self.ways = {op: list(of_op.items()) for op, of_op in ways.items()}
        return {}

    def norm(self, shape):
        self.ways = {op: list(of_op.items()) for op, of_op in self.normalization(shape).items()}
        return {}

    def measure(self, op, seconds):
        median_seconds = timing.median_seconds if self.device == "cpu" else self.graph_seconds
        with self.torch.no_grad():
            timed = [(median_seconds(call, seconds), name, call) for name, call in self.ways[op]]
        best, name, call = min(timed, key=lambda way: way[0])
        self.ways[op] = [(name, call)]
        return {"seconds": best, "way": name}

    def graph_seconds(self, call, seconds):
        cuda = self.torch.cuda

        def captured(repeats):
            side = cuda.Stream()
            with cuda.stream(side):
                call()  # libraries allocate and choose their algorithms
            side.synchronize()
            graph = cuda.CUDAGraph()
            with cuda.graph(graph):
                for _ in range(repeats):
                    call()
            return graph

        def launch(graph):
            graph.replay()
            cuda.synchronize()

        return timing.graph_seconds(captured, launch, seconds)

    def normalization(self, shape):
        """Batch normalization of training; without the LeakyReLU that fastconv's calls may have beside it."""
        torch = self.torch
        axes = [0, len(shape) - 1, *range(1, len(shape) - 1)]
        x, dy = (torch.rand(shape).permute(axes) for _ in range(2))
        weight, bias, mean, variance = (torch.ones(shape[-1]) for _ in range(4))
        forward = torch.ops.aten.native_batch_norm
        _, saved_mean, saved_rstd = forward(x, weight, bias, mean, variance, True, 0.01, 1e-3)
        saved = (saved_mean, saved_rstd, True, 1e-3, [True, True, True])

        def cudnn_backward():
            return torch.ops.aten.cudnn_batch_norm_backward(x, dy, weight, mean, variance, *saved[:2], 1e-3, reserve)

        ways = {
            "batchnorm_forward": {"native": lambda: forward(x, weight, bias, mean, variance, True, 0.01, 1e-3)},
            "batchnorm_backward": {
                "native": lambda: torch.ops.aten.native_batch_norm_backward(dy, x, weight, mean, variance, *saved)
            },
        }
        if self.device == "cuda" and len(shape) == 4:
            cudnn = torch.ops.aten.cudnn_batch_norm
            *_, reserve = cudnn(x, weight, bias, mean, variance, True, 0.01, 1e-3)
            ways["batchnorm_forward"]["cudnn"] = lambda: cudnn(x, weight, bias, mean, variance, True, 0.01, 1e-3)
            ways["batchnorm_backward"]["cudnn"] = cudnn_backward
        return ways

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
