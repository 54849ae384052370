"""The operations a plan can bind, as every backend offers them: same names, same arguments, same defaults.

An op overwrites its outputs (`y`, `dx`, `dw`, `mean`, ...), allocates nothing and returns nothing. Shapes are NHWC for
images, RSCK for filters (Keras' HWIO); `None` stands for an argument that is not there. `workspace` is scratch memory
of the size that `workspace_bytes` names. docs/kernels.md is the contract in full.
"""

from __future__ import annotations

from typing import Any, Protocol

from fastconv.geometry import Conv2DGeometry

Array = Any  # numpy.ndarray, or cupy.ndarray on a GPU

TAKES_WORKSPACE = frozenset(
    (
        "conv2d_fprop",
        "conv2d_dgrad",
        "conv2d_wgrad",
        "conv2d_backward",
        "batchnorm_forward",
        "batchnorm_backward",
        "clip_by_norm",
        "sum_forward",
        "penalty",
        "loss",
        "depthwise_conv2d_wgrad",
        "grouped_conv2d_fprop",
        "grouped_conv2d_dgrad",
        "grouped_conv2d_wgrad",
    )
)

CALLS_PYTHON = frozenset(("user_forward", "user_backward"))  # which may do other things each time: never captured


class Ops(Protocol):
    name: str
    memory: Any  # `fastconv.ops.memory.HostMemory` or one like it: where all arrays live

    def settings(self) -> tuple:
        """The settings that a bound plan depends on: with others it is to be made anew."""

    def workspace_bytes(self, op: str, shapes: dict[str, tuple[int, ...]], attrs: dict[str, Any]) -> int:
        """Bytes of `workspace` that `op` wants for arguments of these shapes and attributes (0 if it takes none)."""

    # ---- conv2d
    # y[n,p,q,k] = b[k] + sum_{r,s,c} x[n, p*stride_h + r - pad_top, q*stride_w + s - pad_left, c] w[r,s,c,k]
    # Batch normalization beside a convolution, each part left out where its arrays are None:
    #  - x_mean ... x_slope: the input is batchnorm_apply(x, ...), made on load
    #  - mean ... epsilon (fprop): what batchnorm_forward writes of y besides its output
    def conv2d_fprop(
        self,
        geometry: Conv2DGeometry,
        x: Array,
        w: Array,
        b: Array,
        y: Array,
        workspace: Array,
        x_mean: Array = None,
        x_rstd: Array = None,
        x_gamma: Array = None,
        x_beta: Array = None,
        x_slope: float = 1.0,
        mean: Array = None,
        rstd: Array = None,
        moving_mean: Array = None,
        moving_variance: Array = None,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
    ) -> None: ...
    def conv2d_dgrad(self, geometry: Conv2DGeometry, dy: Array, w: Array, dx: Array, workspace: Array) -> None: ...
    def conv2d_wgrad(
        self,
        geometry: Conv2DGeometry,
        x: Array,
        dy: Array,
        dw: Array,
        db: Array,
        workspace: Array,
        x_mean: Array = None,
        x_rstd: Array = None,
        x_gamma: Array = None,
        x_beta: Array = None,
        x_slope: float = 1.0,
    ) -> None: ...

    # wgrad and (unless dx and w are None) dgrad in one, and what batch normalizations beside the convolution need:
    #  - y ... y_coefficients: dy is the gradient of the normalized y, and what batchnorm_backward would make of it, the
    #    gradient of y, is made on load
    #  - x_dgamma, x_dbeta, x_coefficients: what batchnorm_backward(dy=dx, x=x) would write besides its dx
    #  - x_geometry, x_input, x_w, x_dw: x is the convolution of x_input with x_w (and a bias), x_mean its mean; x_dw is
    #    the gradient of x_w, made from dx, which must be None: it is stored nowhere
    def conv2d_backward(
        self,
        geometry: Conv2DGeometry,
        x: Array,
        dy: Array,
        w: Array,
        dx: Array,
        dw: Array,
        db: Array,
        workspace: Array,
        x_mean: Array = None,
        x_rstd: Array = None,
        x_gamma: Array = None,
        x_beta: Array = None,
        x_slope: float = 1.0,
        x_dgamma: Array = None,
        x_dbeta: Array = None,
        x_coefficients: Array = None,
        y: Array = None,
        y_mean: Array = None,
        y_rstd: Array = None,
        y_gamma: Array = None,
        y_beta: Array = None,
        y_slope: float = 1.0,
        y_coefficients: Array = None,
        x_geometry: Conv2DGeometry = None,
        x_input: Array = None,
        x_w: Array = None,
        x_dw: Array = None,
    ) -> None: ...

    # Whether conv2d_backward is faster than the passes it joins: two, or with x_geometry three.
    def conv2d_backward_fits(self, geometry: Conv2DGeometry, x_geometry: Conv2DGeometry = None) -> bool: ...

    # How often it reads its inputs, buffers of `dtype`, to make both gradients: once, or once for each.
    def conv2d_backward_reads(self, geometry: Conv2DGeometry, dtype: str = "float") -> int: ...

    # ---- batchnorm over all axes but the last: z = gamma * (x - mean) * rstd + beta, y = z > 0 ? z : slope * z.
    # slope 1 is batch normalization alone, other slopes fuse LeakyReLU or ReLU. gamma, beta, dgamma, dbeta may be None.
    # forward: batch mean, biased batch variance v, rstd = 1 / sqrt(v + epsilon),
    #          moving = moving * momentum + batch * (1 - momentum)
    # apply: y alone, from mean and rstd
    # backward: coefficients (2, C) = (s, o) such that dx = gamma * rstd * dz + (x - mean) * s + o; dx may be None
    def batchnorm_forward(
        self,
        x: Array,
        gamma: Array,
        beta: Array,
        y: Array,
        mean: Array,
        rstd: Array,
        moving_mean: Array,
        moving_variance: Array,
        momentum: float,
        epsilon: float,
        slope: float,
        workspace: Array,
    ) -> None: ...
    def batchnorm_apply(
        self, x: Array, gamma: Array, beta: Array, mean: Array, rstd: Array, y: Array, slope: float
    ) -> None: ...
    def batchnorm_inference(
        self,
        x: Array,
        gamma: Array,
        beta: Array,
        moving_mean: Array,
        moving_variance: Array,
        y: Array,
        epsilon: float,
        slope: float,
    ) -> None: ...
    def batchnorm_backward(
        self,
        dy: Array,
        x: Array,
        gamma: Array,
        beta: Array,
        mean: Array,
        rstd: Array,
        dx: Array,
        dgamma: Array,
        dbeta: Array,
        coefficients: Array,
        slope: float,
        workspace: Array,
    ) -> None: ...

    # ---- leaky_relu: y = x > 0 ? x : slope * x; slope 0 is ReLU. The gradient at 0 is the slope.
    def leaky_relu_forward(self, x: Array, y: Array, slope: float) -> None: ...
    def leaky_relu_backward(self, dy: Array, x: Array, dx: Array, slope: float) -> None: ...

    # ---- activations: y = f(x), dx = dy * f'(x). function: its name in csrc/activation/activation.h; parameters: of
    # "linear" (scale, offset), of "relu" (negative_slope, max_value, threshold), of "elu" (alpha,), else none
    def activation_forward(self, x: Array, y: Array, function: str, parameters: tuple[float, ...]) -> None: ...
    def activation_backward(
        self, dy: Array, x: Array, dx: Array, function: str, parameters: tuple[float, ...]
    ) -> None: ...

    # ---- pool2d: the largest, mean or sum of the pixels of each window that lie inside the image (geometry: k = c)
    # max: the first of equal ones counts, a NaN above all numbers; index: its number in the window, r * S + s, or None
    # avg: the sum, over the number of its pixels if `mean`. Sums backward are nearest-neighbour upsampling.
    def maxpool2d_forward(self, geometry: Conv2DGeometry, x: Array, y: Array, index: Array) -> None: ...
    def maxpool2d_backward(self, geometry: Conv2DGeometry, dy: Array, index: Array, dx: Array) -> None: ...
    def avgpool2d_forward(self, geometry: Conv2DGeometry, x: Array, y: Array, mean: bool) -> None: ...
    def avgpool2d_backward(self, geometry: Conv2DGeometry, dy: Array, dx: Array, mean: bool) -> None: ...

    # ---- depthwise_conv2d: m = k / c filters for each channel, w (R, S, C, M);
    # y[n,p,q,c*m+j] = b[c*m+j] + sum_{r,s} x[n, p*stride_h + r - pad_top, q*stride_w + s - pad_left, c] w[r,s,c,j]
    def depthwise_conv2d_fprop(self, geometry: Conv2DGeometry, x: Array, w: Array, b: Array, y: Array) -> None: ...
    def depthwise_conv2d_dgrad(self, geometry: Conv2DGeometry, dy: Array, w: Array, dx: Array) -> None: ...
    def depthwise_conv2d_wgrad(
        self, geometry: Conv2DGeometry, x: Array, dy: Array, dw: Array, workspace: Array
    ) -> None: ...

    # ---- copies. space_to_batch: the pixels of x that are `dilation` apart become images of their own, one for each
    # phase (i, j): y[(i * dilation[1] + j) * N + n, h, w] = x[n, h * dilation[0] + i - padding[0],
    # w * dilation[1] + j - padding[1]], 0 beyond the image. batch_to_space is the way back, and the gradient.
    # swap_axes: x is (rows, columns, ...), y (columns, rows, ...)
    def space_to_batch(self, x: Array, y: Array, dilation: tuple[int, int], padding: tuple[int, int]) -> None: ...
    def batch_to_space(self, x: Array, y: Array, dilation: tuple[int, int], padding: tuple[int, int]) -> None: ...
    def swap_axes(self, x: Array, y: Array, rows: int, columns: int) -> None: ...

    # ---- as many convolutions as x, w and y have first entries, all of `geometry`; b and db have theirs in a row
    def grouped_conv2d_fprop(
        self, geometry: Conv2DGeometry, x: Array, w: Array, b: Array, y: Array, workspace: Array
    ) -> None: ...
    def grouped_conv2d_dgrad(
        self, geometry: Conv2DGeometry, dy: Array, w: Array, dx: Array, workspace: Array
    ) -> None: ...
    def grouped_conv2d_wgrad(
        self, geometry: Conv2DGeometry, x: Array, dy: Array, dw: Array, db: Array, workspace: Array
    ) -> None: ...

    # ---- call.forward and call.backward (`fastconv.layers.user_layer.UserCall`) on arrays of this memory
    def user_forward(self, call: Any, **arrays: Array) -> None: ...
    def user_backward(self, call: Any, **arrays: Array) -> None: ...

    # ---- softmax over the last axis
    def softmax_forward(self, x: Array, y: Array) -> None: ...
    def softmax_backward(self, dy: Array, y: Array, dx: Array) -> None: ...

    # ---- losses of an output x (N, ...) and what they have in common:
    #  - totals (float64, 2) = sum over samples of sample_weight (N,) * the loss, the mean over their rows or
    #    elements; then for losses of classes how many samples have their largest number at their label (the first of
    #    equals), for others the sum of the weights
    #  - dx = gradient of weight * the sum / N, None where it is not wanted
    #  - label_smoothing s: labels * (1 - s) + s / classes; losses of elements have two
    # Labels of classes: float distributions like x, or int32 numbers without its last axis.
    # softmax + cross-entropy from logits, never clipped
    def softmax_xent(
        self,
        x: Array,
        labels: Array,
        totals: Array,
        dx: Array,
        sample_weight: Array = None,
        label_smoothing: float = 0.0,
        weight: float = 1.0,
    ) -> None: ...

    # cross-entropy of probabilities, which are divided by their sum and clipped as in Keras
    def categorical_crossentropy(
        self,
        x: Array,
        labels: Array,
        totals: Array,
        dx: Array,
        sample_weight: Array = None,
        label_smoothing: float = 0.0,
        weight: float = 1.0,
    ) -> None: ...

    # a function of each element and its target, by name: csrc/loss/loss.h
    def loss(
        self,
        x: Array,
        target: Array,
        totals: Array,
        dx: Array,
        workspace: Array,
        function: str,
        parameter: float = 0.0,
        sample_weight: Array = None,
        label_smoothing: float = 0.0,
        weight: float = 1.0,
    ) -> None: ...

    # ---- metrics: totals =
    # (sum of weights where the label is found, sum of weights): where k = 0 the first of the largest is at the label,
    # else fewer than k numbers are larger than the one there
    def categorical_accuracy(
        self, x: Array, labels: Array, totals: Array, k: int = 0, sample_weight: Array = None
    ) -> None: ...

    # the weights of the elements whose target is not 0, by how many of the T ascending thresholds are below them, 0 to
    # T; then of the others
    def confusion(
        self, x: Array, target: Array, thresholds: Array, totals: Array, sample_weight: Array = None
    ) -> None: ...

    # ---- dropout: y = x / (1 - rate) where kept, else 0. Element i is kept if random(seed, stream, step, i) >= rate: a
    # counter-based generator, so backward repeats the mask and no tensor holds it. seed, step: int64, one element.
    def dropout_forward(self, x: Array, seed: Array, step: Array, y: Array, rate: float, stream: int) -> None: ...
    def dropout_backward(self, dy: Array, seed: Array, step: Array, dx: Array, rate: float, stream: int) -> None: ...

    # ---- a question, not a step: where the first NaN or Inf of x is (index into its elements), or -1
    def first_non_finite(self, x: Array) -> int: ...

    # ---- elementwise; y may be a
    def add_forward(self, a: Array, b: Array, y: Array) -> None: ...

    # ---- functions of two tensors: y = f(a, b), da = dy * df/da, db = dy * df/db. function: "add", "subtract",
    # "multiply", "maximum", "minimum", "prelu" (a > 0 ? a : b * a) or "scale_by_root" (a * sqrt(b)). extents
    # (p, q, r, s): a is (p, q, r, s), b is (q, s), used again for every p and r; da and db have the size of a, either
    # may be None.
    def binary_forward(
        self, a: Array, b: Array, y: Array, function: str, extents: tuple[int, int, int, int]
    ) -> None: ...
    def binary_backward(
        self,
        dy: Array,
        a: Array,
        b: Array,
        da: Array,
        db: Array,
        function: str,
        extents: tuple[int, int, int, int],
    ) -> None: ...

    # ---- a window of each image at a place, and mirrored, as random numbers of (seed, stream, step, image) say: see
    # csrc/random_window/random_window.h. flip: "none", "horizontal", "vertical" or "horizontal_and_vertical". rows,
    # columns: lowest and highest place of its first pixel. whole: rounded down. fill_mode: "constant", "nearest",
    # "reflect" or "wrap".
    def random_window(
        self,
        x: Array,
        seed: Array,
        step: Array,
        y: Array,
        flip: str,
        rows: tuple[float, float],
        columns: tuple[float, float],
        whole: bool,
        fill_mode: str,
        fill_value: float,
        stream: int,
    ) -> None: ...

    # ---- sums over p and r of x, which is (p, q, r, s)
    def sum_forward(self, x: Array, y: Array, extents: tuple[int, int, int, int], workspace: Array) -> None: ...

    # ---- y[row, y_at + i] = x[row, x_at + i] for i < columns; the rest of y stays
    def copy_columns(self, x: Array, y: Array, rows: int, columns: int, x_at: int, y_at: int) -> None: ...

    # ---- optimizers on flat buffers, in place on w and the slots; learning_rate: float32, step: int64 (1 on the first
    # update), arrays of one element. Formulas as in Keras: keras.optimizers.Adam ("epsilon hat"), SGD, RMSprop. v_hat
    # (amsgrad), velocity of sgd, average (centered) and momentum_buffer may be None.
    def adam_update(
        self,
        w: Array,
        dw: Array,
        m: Array,
        v: Array,
        learning_rate: Array,
        step: Array,
        beta_1: float,
        beta_2: float,
        epsilon: float,
        v_hat: Array = None,
    ) -> None: ...
    def sgd_update(
        self, w: Array, dw: Array, velocity: Array, learning_rate: Array, momentum: float, nesterov: bool
    ) -> None: ...
    def rmsprop_update(
        self,
        w: Array,
        dw: Array,
        velocity: Array,
        average: Array,
        momentum_buffer: Array,
        learning_rate: Array,
        rho: float,
        momentum: float,
        epsilon: float,
    ) -> None: ...

    # ---- beside the update, in place on flat buffers. ranges: int64 (n, 2), begin and end of each, ascending, apart.
    # decay_weights: w -= w * learning_rate * rate, on the ranges
    # ema_update: average = momentum * average + (1 - momentum) * w, on the first step w; on each step that is a
    #             multiple of overwrite_every, unless that is 0, w = average then
    # clip_by_norm: each range whose norm n is above `norm`, times norm / n; where n is not finite, NaN but for zeros
    # clip_by_value: min(max(dw, -limit), limit)
    def decay_weights(self, w: Array, ranges: Array, learning_rate: Array, rate: float) -> None: ...
    def ema_update(self, average: Array, w: Array, step: Array, momentum: float, overwrite_every: int) -> None: ...
    def clip_by_norm(self, dw: Array, ranges: Array, norm: float, workspace: Array) -> None: ...
    def clip_by_value(self, dw: Array, limit: float) -> None: ...

    # ---- regularizers: totals (float64, 1) = samples * sum of l1 * |w| + l2 * w^2 over ranges of the flat parameters,
    # (l1, l2, kept) a row of rates (n, 3) for each; dw, unless None, there += l1 * sign(w) + 2 * l2 * w, or is set to
    # that where kept is 0
    def penalty(
        self, w: Array, dw: Array, ranges: Array, rates: Array, totals: Array, samples: int, workspace: Array
    ) -> None: ...
