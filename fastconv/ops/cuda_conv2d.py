"""Convolutions of the CUDA backend."""

from __future__ import annotations

import math

from fastconv import config
from fastconv.ops.cuda_arrays import CudaArrays, activations_like, name_of


class CudaConv2D(CudaArrays):
    """The methods of `fastconv.ops.cuda_ops.CudaOps` that are convolutions."""

    def _norm(self, prefix: str, channels: int, mean, rstd, gamma, beta, slope) -> tuple:
        """The batch normalization of a convolution's input ("x") or output ("y"), as the kernels take it."""
        if mean is not None and rstd is None:
            raise ValueError(f"{prefix}_rstd: expected an array beside {prefix}_mean. Received: None")
        arrays = {"mean": mean, "rstd": rstd, "gamma": gamma, "beta": beta}
        return (*(self._maybe(f"{prefix}_{name}", array, channels) for name, array in arrays.items()), slope)

    def conv2d_fprop(
        self,
        geometry,
        x,
        w,
        b,
        y,
        workspace,
        x_mean=None,
        x_rstd=None,
        x_gamma=None,
        x_beta=None,
        x_slope=1.0,
        mean=None,
        rstd=None,
        moving_mean=None,
        moving_variance=None,
        momentum=0.99,
        epsilon=1e-3,
    ):
        g, at, dtype = geometry, self._at, activations_like(x)
        statistics = {"mean": mean, "rstd": rstd, "moving_mean": moving_mean, "moving_variance": moving_variance}
        if mean is not None and any(array is None for array in statistics.values()):
            raise ValueError("mean: expected with rstd, moving_mean and moving_variance. Received: one is None")
        wanted = self._kernels.conv2d_fprop_workspace_bytes(g, mean is not None)
        self._kernels.conv2d_fprop(
            g,
            at("x", x, math.prod(g.x_shape), dtype),
            at("w", w, math.prod(g.w_shape)),
            self._maybe("b", b, g.k),
            at("y", y, math.prod(g.y_shape), dtype),
            self._scratch("conv2d_fprop", workspace, wanted),
            *self._norm("x", g.c, x_mean, x_rstd, x_gamma, x_beta, x_slope),
            *(self._maybe(name, array, g.k) for name, array in statistics.items()),
            momentum,
            epsilon,
            config.float32_matmul_precision(),
            name_of(dtype),
            self.memory.stream(),
        )

    def conv2d_dgrad(self, geometry, dy, w, dx, workspace):
        g, at, dtype = geometry, self._at, activations_like(dy)
        self._kernels.conv2d_dgrad(
            g,
            at("dy", dy, math.prod(g.y_shape), dtype),
            at("w", w, math.prod(g.w_shape)),
            at("dx", dx, math.prod(g.x_shape), dtype),
            self._scratch("conv2d_dgrad", workspace, self._kernels.conv2d_dgrad_workspace_bytes(g)),
            config.float32_matmul_precision(),
            name_of(dtype),
            self.memory.stream(),
        )

    def conv2d_wgrad(
        self,
        geometry,
        x,
        dy,
        dw,
        db,
        workspace,
        x_mean=None,
        x_rstd=None,
        x_gamma=None,
        x_beta=None,
        x_slope=1.0,
    ):
        g, at, dtype = geometry, self._at, activations_like(x)
        self._kernels.conv2d_wgrad(
            g,
            at("x", x, math.prod(g.x_shape), dtype),
            at("dy", dy, math.prod(g.y_shape), dtype),
            at("dw", dw, math.prod(g.w_shape)),
            self._maybe("db", db, g.k),
            self._scratch("conv2d_wgrad", workspace, self._kernels.conv2d_wgrad_workspace_bytes(g)),
            *self._norm("x", g.c, x_mean, x_rstd, x_gamma, x_beta, x_slope),
            config.float32_matmul_precision(),
            name_of(dtype),
            self.memory.stream(),
        )

    def conv2d_backward(
        self,
        geometry,
        x,
        dy,
        w,
        dx,
        dw,
        db,
        workspace,
        x_mean=None,
        x_rstd=None,
        x_gamma=None,
        x_beta=None,
        x_slope=1.0,
        x_dgamma=None,
        x_dbeta=None,
        x_coefficients=None,
        y=None,
        y_mean=None,
        y_rstd=None,
        y_gamma=None,
        y_beta=None,
        y_slope=1.0,
        y_coefficients=None,
        x_geometry=None,
        x_input=None,
        x_w=None,
        x_dw=None,
    ):
        g, at, maybe, dtype = geometry, self._at, self._maybe, activations_like(x)
        if dx is not None and w is None:
            raise ValueError("w: expected an array beside dx. Received: None")
        if y_mean is not None and (y is None or y_coefficients is None):
            raise ValueError("y_mean: expected with y and y_coefficients. Received: one is None")
        if x_coefficients is not None and (x_mean is None or (dx is None and x_dw is None)):
            raise ValueError("x_coefficients: expected with x_mean, and with dx or x_dw. Received: one is None")
        source = self._source(g, x_geometry, x_input, x_w, x_dw)
        if source[0] is not None:
            if w is None or x_coefficients is None:
                raise ValueError("x_dw: expected with w and x_coefficients. Received: one is None")
            if dx is not None:
                raise ValueError("dx: expected None beside x_dw. Received: an array")
        wanted = self._kernels.conv2d_backward_workspace_bytes(g, dx is not None, x_coefficients is not None, source[0])
        self._kernels.conv2d_backward(
            g,
            at("x", x, math.prod(g.x_shape), dtype),
            at("dy", dy, math.prod(g.y_shape), dtype),
            maybe("w", w, math.prod(g.w_shape)),
            maybe("dx", dx, math.prod(g.x_shape), dtype),
            at("dw", dw, math.prod(g.w_shape)),
            maybe("db", db, g.k),
            self._scratch("conv2d_backward", workspace, wanted),
            *self._norm("x", g.c, x_mean, x_rstd, x_gamma, x_beta, x_slope),
            maybe("x_dgamma", x_dgamma, g.c),
            maybe("x_dbeta", x_dbeta, g.c),
            maybe("x_coefficients", x_coefficients, 2 * g.c),
            maybe("y", y, math.prod(g.y_shape), dtype),
            *self._norm("y", g.k, y_mean, y_rstd, y_gamma, y_beta, y_slope),
            maybe("y_coefficients", y_coefficients, 2 * g.k),
            *source,
            config.float32_matmul_precision(),
            name_of(dtype),
            self.memory.stream(),
        )

    def _source(self, geometry, x_geometry, x_input, x_w, x_dw) -> tuple:
        """The convolution that made x, as the kernels take it: its geometry, its input, the gradient of its weights."""
        if x_dw is None:
            return None, 0, 0
        if any(argument is None for argument in (x_geometry, x_input, x_w)):
            raise ValueError("x_dw: expected with x_geometry, x_input and x_w. Received: one is None")
        if x_geometry.y_shape != geometry.x_shape:
            expected, received = ("x".join(map(str, shape)) for shape in (geometry.x_shape, x_geometry.y_shape))
            raise ValueError(f"x_geometry: expected outputs of the shape of x, {expected}. Received: {received}")
        if not self.conv2d_backward_fits(geometry, x_geometry):
            raise ValueError("x_dw: expected None, which conv2d_backward_fits asks for. Received: an array")
        of_input = self._at("x_input", x_input, math.prod(x_geometry.x_shape))
        return x_geometry, of_input, self._at("x_dw", x_dw, math.prod(x_geometry.w_shape))

    def conv2d_backward_fits(self, geometry, x_geometry=None):
        if x_geometry is not None:
            return self._kernels.conv2d_backward_is_joint(geometry, x_geometry)
        # It saves writing the gradient of y and reading it twice. A dense layer's outputs are small, and have no batch
        # normalization of so many rows that its passes would count.
        return not (geometry.n == geometry.h == geometry.p == geometry.r == geometry.s == 1)

    def conv2d_backward_reads(self, geometry, dtype="float"):
        return 1 if dtype == "float" and self._kernels.conv2d_backward_is_joint(geometry, None) else 2
