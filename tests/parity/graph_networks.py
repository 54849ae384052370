"""Networks with branches and nested models, made of the layers of whoever asks: Keras records them, fastconv repeats.

`api` has `layers`, `Model` and `Sequential`.
"""

from __future__ import annotations


def two_by_two(api):
    """Two inputs through a shared layer and a nested model; two outputs, one of them before the other."""
    layers = api.layers
    inner = layers.Input((4,), name="inner_input")
    hidden = api.Model(inner, layers.Dense(4, activation="relu", name="inner_dense")(inner), name="inner")
    a, b = layers.Input((5,), name="a"), layers.Input((5,), name="b")
    shared = layers.Dense(4, activation="relu", name="shared")
    total = layers.Add(name="total")([shared(a), hidden(shared(b)), shared(b)])
    first = layers.Dense(3, activation="softmax", name="first")(total)
    second = layers.Dense(4, activation="softmax", name="second")(hidden(layers.Dense(4, name="middle")(first)))
    return api.Model([a, b], [first, second], name="two_by_two")


def nested_chain(api):
    """A Sequential within a Sequential, with batch normalization."""
    layers = api.layers
    body = api.Sequential([layers.Dense(6, name="body_dense"), layers.BatchNormalization(name="norm")], name="body")
    head = [layers.LeakyReLU(name="act"), layers.Dense(3, activation="softmax", name="out")]
    return api.Sequential([layers.Input((5,), name="x"), body, *head], name="chain")


NETWORKS = {f.__name__: f for f in (two_by_two, nested_chain)}
