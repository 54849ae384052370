"""Parameter updates of the CUDA backend, and what happens to the gradients before them."""

from __future__ import annotations

import numpy as np

from fastconv.ops.cuda_arrays import CudaArrays, given


class CudaOptimizers(CudaArrays):
    """The methods of `fastconv.ops.cuda_ops.CudaOps` that work on the flat parameters."""

    def _ranges(self, ranges) -> tuple[int, int]:
        """The address of pairs of begin and end, and how many there are. What they hold is not looked at."""
        if given("ranges", ranges).ndim != 2 or ranges.shape[1] != 2:
            raise ValueError(f"ranges: expected pairs, shape (n, 2). Received: shape {ranges.shape}")
        return self._at("ranges", ranges, ranges.size, np.int64), len(ranges)

    def adam_update(self, w, dw, m, v, learning_rate, step, beta_1, beta_2, epsilon, v_hat=None):
        at, size = self._at, given("w", w).size
        self._kernels.adam_update(
            at("w", w, size),
            at("dw", dw, size),
            at("m", m, size),
            at("v", v, size),
            self._maybe("v_hat", v_hat, size),
            size,
            at("learning_rate", learning_rate, 1),
            at("step", step, 1, np.int64),
            beta_1,
            beta_2,
            epsilon,
            self.memory.stream(),
        )

    def sgd_update(self, w, dw, velocity, learning_rate, momentum, nesterov):
        at, size = self._at, given("w", w).size
        self._kernels.sgd_update(
            at("w", w, size),
            at("dw", dw, size),
            self._maybe("velocity", velocity, size),
            size,
            at("learning_rate", learning_rate, 1),
            momentum,
            nesterov,
            self.memory.stream(),
        )

    def rmsprop_update(self, w, dw, velocity, average, momentum_buffer, learning_rate, rho, momentum, epsilon):
        at, size = self._at, given("w", w).size
        self._kernels.rmsprop_update(
            at("w", w, size),
            at("dw", dw, size),
            at("velocity", velocity, size),
            self._maybe("average", average, size),
            self._maybe("momentum_buffer", momentum_buffer, size),
            size,
            at("learning_rate", learning_rate, 1),
            rho,
            momentum,
            epsilon,
            self.memory.stream(),
        )

    def decay_weights(self, w, ranges, learning_rate, rate):
        at, size, pairs = self._at, given("w", w).size, self._ranges(ranges)
        rates = at("learning_rate", learning_rate, 1), rate
        self._kernels.decay_weights(at("w", w, size), size, *pairs, *rates, self.memory.stream())

    def ema_update(self, average, w, step, momentum, overwrite_every):
        at, size = self._at, given("w", w).size
        arrays = at("average", average, size), at("w", w, size), size, at("step", step, 1, np.int64)
        self._kernels.ema_update(*arrays, momentum, overwrite_every, self.memory.stream())

    def clip_by_norm(self, dw, ranges, norm, workspace):
        size, pairs = given("dw", dw).size, self._ranges(ranges)
        scratch = self._scratch("clip_by_norm", workspace, self._kernels.clip_by_norm_workspace_bytes(len(ranges)))
        self._kernels.clip_by_norm(self._at("dw", dw, size), size, *pairs, norm, scratch, self.memory.stream())

    def clip_by_value(self, dw, limit):
        size = given("dw", dw).size
        self._kernels.clip_by_value(self._at("dw", dw, size), size, limit, self.memory.stream())

    def penalty(self, w, dw, ranges, rates, totals, samples, workspace):
        at, size, (bounds, count) = self._at, given("w", w).size, self._ranges(ranges)
        scratch = self._scratch("penalty", workspace, self._kernels.penalty_workspace_bytes(count))
        self._kernels.penalty(
            at("w", w, size),
            self._maybe("dw", dw, size),
            size,
            bounds,
            at("rates", rates, 3 * count),
            count,
            samples,
            at("totals", totals, 1, np.float64),
            scratch,
            self.memory.stream(),
        )
