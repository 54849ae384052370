"""Losses and metrics of the CUDA backend."""

from __future__ import annotations

import numpy as np

from fastconv.ops.cuda_arrays import CudaArrays, given, rows_of


def _samples_of(x) -> int:
    return x.shape[0] if given("x", x).ndim > 1 else 1


class CudaLosses(CudaArrays):
    """The methods of `fastconv.ops.cuda_ops.CudaOps` that are losses and metrics."""

    def _labels(self, x, labels) -> tuple[int, bool]:
        """The address of the labels, and whether they are numbers of classes."""
        rows, _ = rows_of("x", x)
        numbers = given("labels", labels).ndim < x.ndim
        return self._at("labels", labels, rows, np.int32) if numbers else self._at("labels", labels, x.size), numbers

    def _settings(self, x, sample_weight, label_smoothing, weight) -> tuple:
        samples = _samples_of(x)
        return samples, self._maybe("sample_weight", sample_weight, samples), label_smoothing, weight

    def softmax_xent(self, x, labels, totals, dx, sample_weight=None, label_smoothing=0.0, weight=1.0):
        settings = self._settings(x, sample_weight, label_smoothing, weight)
        self._of_rows(self._kernels.softmax_xent, x, labels, totals, dx, settings)

    def categorical_crossentropy(self, x, labels, totals, dx, sample_weight=None, label_smoothing=0.0, weight=1.0):
        settings = self._settings(x, sample_weight, label_smoothing, weight)
        self._of_rows(self._kernels.categorical_crossentropy, x, labels, totals, dx, settings)

    def _of_rows(self, kernel, x, labels, totals, dx, settings):
        kernel(
            self._at("x", x, x.size),
            *self._labels(x, labels),
            self._at("totals", totals, 2, np.float64),
            self._maybe("dx", dx, x.size),
            settings,
            *rows_of("x", x),
            self.memory.stream(),
        )

    def loss(
        self,
        x,
        target,
        totals,
        dx,
        workspace,
        function,
        parameter=0.0,
        sample_weight=None,
        label_smoothing=0.0,
        weight=1.0,
    ):
        rows_of("x", x)
        self._kernels.loss(
            self._at("x", x, x.size),
            self._at("target", target, x.size),
            self._at("totals", totals, 2, np.float64),
            self._maybe("dx", dx, x.size),
            self._scratch("loss", workspace, self._kernels.loss_workspace_bytes(x.size)),
            function,
            parameter,
            self._settings(x, sample_weight, label_smoothing, weight),
            x.size,
            self.memory.stream(),
        )

    def categorical_accuracy(self, x, labels, totals, k=0, sample_weight=None):
        samples = _samples_of(x)
        self._kernels.categorical_accuracy(
            self._at("x", x, x.size),
            *self._labels(x, labels),
            self._maybe("sample_weight", sample_weight, samples),
            self._at("totals", totals, 2, np.float64),
            k,
            samples,
            *rows_of("x", x),
            self.memory.stream(),
        )

    def confusion(self, x, target, thresholds, totals, sample_weight=None):
        rows_of("x", x)
        samples, count = _samples_of(x), given("thresholds", thresholds).size
        self._kernels.confusion(
            self._at("x", x, x.size),
            self._at("target", target, x.size),
            self._at("thresholds", thresholds, count),
            self._maybe("sample_weight", sample_weight, samples),
            self._at("totals", totals, 2 * (count + 1), np.float64),
            samples,
            x.size,
            count,
            self.memory.stream(),
        )
