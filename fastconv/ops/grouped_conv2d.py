"""Convolutions in groups, on every backend: one convolution after the other."""

from __future__ import annotations


class GroupedConv2D:
    """The methods of a backend that call its convolutions for each group of channels."""

    def grouped_conv2d_fprop(self, geometry, x, w, b, y, workspace):
        for group in _groups(("b", b), x=x, w=w, y=y):
            self.conv2d_fprop(geometry, **group, workspace=workspace)

    def grouped_conv2d_dgrad(self, geometry, dy, w, dx, workspace):
        for group in _groups(dy=dy, w=w, dx=dx):
            self.conv2d_dgrad(geometry, **group, workspace=workspace)

    def grouped_conv2d_wgrad(self, geometry, x, dy, dw, db, workspace):
        for group in _groups(("db", db), x=x, dy=dy, dw=dw):
            self.conv2d_wgrad(geometry, **group, workspace=workspace)


def _groups(bias=("", None), **arrays):
    """The arrays of each group, by name; of a bias, a name and what all groups have in a row, its part or None.

    Raises:
        ValueError: if one of the others is None, or has not as many groups as the rest.
    """
    for name, array in arrays.items():
        if array is None:
            raise ValueError(f"{name}: expected an array. Received: None")
    count = len(next(iter(arrays.values())))
    name, array = bias
    if name:
        arrays[name] = [None] * count if array is None else array.reshape(count, -1)
    for group in zip(*arrays.values(), strict=True):
        yield dict(zip(arrays, group, strict=True))
