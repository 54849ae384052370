"""Layers that a user wrote, on every backend: Python that knows by its arrays where it computes."""

from __future__ import annotations


class UserLayer:
    """The methods of a backend that call a user's code."""

    def user_forward(self, call, **arrays):
        call.forward(**arrays)

    def user_backward(self, call, **arrays):
        call.backward(**arrays)
