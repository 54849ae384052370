"""The reference's parameter updates, and what happens to the gradients before them."""

from __future__ import annotations

import numpy as np


def slices(ranges):
    """The ranges of a flat array, given as pairs of begin and end."""
    return (slice(int(begin), int(end)) for begin, end in ranges)


class NumpyOptimizers:
    """The methods of `fastconv.ops.numpy_ops.NumpyOps` that work on the flat parameters."""

    def adam_update(self, w, dw, m, v, learning_rate, step, beta_1, beta_2, epsilon, v_hat=None):
        t = float(step[0])
        alpha = float(learning_rate[0]) * np.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        m += (dw - m) * (1 - beta_1)
        v += (dw * dw - v) * (1 - beta_2)
        if v_hat is not None:
            v = np.maximum(v_hat, v, out=v_hat)
        w -= alpha * m / (np.sqrt(v) + epsilon)

    def sgd_update(self, w, dw, velocity, learning_rate, momentum, nesterov):
        change = -float(learning_rate[0]) * dw
        if velocity is not None:
            velocity[...] = momentum * velocity + change
            change = momentum * velocity + change if nesterov else velocity
        w += change

    def rmsprop_update(self, w, dw, velocity, average, momentum_buffer, learning_rate, rho, momentum, epsilon):
        velocity[...] = rho * velocity + (1 - rho) * dw * dw
        denominator = velocity
        if average is not None:
            average[...] = rho * average + (1 - rho) * dw
            denominator = velocity - average * average
        change = float(learning_rate[0]) * dw / np.sqrt(denominator + epsilon)
        if momentum_buffer is not None:
            change += momentum * momentum_buffer
            momentum_buffer[...] = change
        w -= change

    def decay_weights(self, w, ranges, learning_rate, rate):
        for at in slices(ranges):
            w[at] -= w[at] * float(learning_rate[0]) * rate

    def ema_update(self, average, w, step, momentum, overwrite_every):
        kept = 0.0 if step[0] == 1 else momentum
        average[...] = kept * average + (1 - kept) * w
        if overwrite_every and step[0] % overwrite_every == 0:
            w[...] = average

    def clip_by_norm(self, dw, ranges, norm, workspace):
        for at in slices(ranges):
            n = np.sqrt(np.sum(dw[at] * dw[at], dtype=np.float64))
            dw[at] *= norm / n if norm < n < np.inf else 1.0
            if not np.isfinite(n):
                dw[at] = np.where(dw[at] == 0, 0, np.nan)

    def clip_by_value(self, dw, limit):
        np.clip(dw, -limit, limit, out=dw)

    def penalty(self, w, dw, ranges, rates, totals, samples, workspace):
        totals[0] = 0
        for at, (l1, l2, kept) in zip(slices(ranges), rates, strict=True):
            totals[0] += samples * (l1 * np.abs(w[at]) + l2 * w[at] * w[at]).sum(dtype=np.float64)
            if dw is not None:
                dw[at] = (dw[at] if kept else 0) + l1 * np.sign(w[at]) + 2 * l2 * w[at]
