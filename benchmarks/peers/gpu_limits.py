"""What a GPU can do at most, through CuPy and PyTorch: a peer of gpu.py. Each command stands for itself.

| command | arguments | answer |
| --- | --- | --- |
| setup | | versions, gpu: name, compute capability, multiprocessors, bytes of memory and of L2 |
| copy | rounds | gb_per_s of each round: a copy on the device, bytes read plus bytes written |
| product | dtype ("bf16", "tf32", "fp32"), rounds | tflop_per_s of each round: a product of two square matrices |
| launches | rounds | us of each round: of an empty kernel launched by the host |
| graph | nodes, rounds | us of each round: of a launched graph of so many empty kernels, one after the other |
"""

from __future__ import annotations

import time

import worker

COPY_BYTES, COPIES = 1 << 30, 10
SIZE, PRODUCTS = 8192, 5
LAUNCHES, GRAPH_LAUNCHES = 2000, 200


class GpuLimits:
    def setup(self):
        import cupy

        try:
            properties = cupy.cuda.runtime.getDeviceProperties(0)
        except RuntimeError as error:
            raise worker.Unavailable(f"CuPy finds no GPU: {error}") from error
        self.cupy = cupy
        gpu = {
            "name": properties["name"].decode(),
            "capability": f"{properties['major']}.{properties['minor']}",
            "multiprocessors": properties["multiProcessorCount"],
            "memory_bytes": properties["totalGlobalMem"],
            "l2_bytes": properties["l2CacheSize"],
        }
        driver = cupy.cuda.runtime.driverGetVersion()
        return {"versions": {"cupy": cupy.__version__, "cuda driver": str(driver)}, "gpu": gpu}

    def copy(self, rounds):
        cupy = self.cupy
        source = cupy.arange(COPY_BYTES // 4, dtype=cupy.float32)
        target = cupy.empty_like(source)
        seconds = per_call(lambda: cupy.copyto(target, source), cupy.cuda.Device().synchronize, COPIES, rounds)
        return {"gb_per_s": [2e-9 * source.nbytes / s for s in seconds]}

    def product(self, dtype, rounds):
        import torch

        torch.backends.cuda.matmul.allow_tf32 = dtype == "tf32"
        kind = torch.bfloat16 if dtype == "bf16" else torch.float32
        a, b = (torch.randn(SIZE, SIZE, device="cuda").to(kind) for _ in range(2))
        out = torch.empty_like(a)
        seconds = per_call(lambda: torch.matmul(a, b, out=out), torch.cuda.synchronize, PRODUCTS, rounds)
        return {"tflop_per_s": [2e-12 * SIZE**3 / s for s in seconds]}

    def launches(self, rounds):
        seconds = per_call(self.empty_kernel(), self.cupy.cuda.Device().synchronize, LAUNCHES, rounds)
        return {"us": [1e6 * s for s in seconds]}

    def graph(self, nodes, rounds):
        kernel, stream = self.empty_kernel(), self.cupy.cuda.Stream(non_blocking=True)
        kernel()  # is compiled outside of the capture
        self.cupy.cuda.Device().synchronize()
        with stream:
            stream.begin_capture()
            for _ in range(nodes):
                kernel()
            graph = stream.end_capture()
        seconds = per_call(lambda: graph.launch(stream), stream.synchronize, GRAPH_LAUNCHES, rounds)
        return {"us": [1e6 * s for s in seconds]}

    def empty_kernel(self):
        kernel = self.cupy.RawKernel('extern "C" __global__ void nothing() {}', "nothing")
        return lambda: kernel((1,), (32,), ())


def per_call(call, synchronize, calls: int, rounds: int) -> list[float]:
    """Seconds of one of `calls` calls in each round, after one round that does not count."""

    def timed():
        start = time.perf_counter()
        for _ in range(calls):
            call()
        synchronize()
        return (time.perf_counter() - start) / calls

    timed()
    return [timed() for _ in range(rounds)]


if __name__ == "__main__":
    worker.serve(GpuLimits())
