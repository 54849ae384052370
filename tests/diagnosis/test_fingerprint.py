"""The hash of a model's bits: what changes it and what does not."""

import subprocess
import sys

import numpy as np
import pytest
from small_training import data, fit, network

import fastconv
from fastconv import Sequential, layers, utils


def small():
    utils.set_random_seed(5)
    return Sequential([layers.Input((4,)), layers.Dense(3), layers.BatchNormalization()])


def test_the_same_bits_have_the_same_hash_under_other_automatic_names():
    first, second = small(), small()
    assert [a.name for a in first.layers] != [b.name for b in second.layers]
    assert fastconv.fingerprint(first) == fastconv.fingerprint(second)


def test_it_is_sha256_and_the_same_in_another_process(tmp_path):
    code = """
import fastconv
from fastconv import Sequential, layers, utils
utils.set_random_seed(5)
print(fastconv.fingerprint(Sequential([layers.Input((4,)), layers.Dense(3), layers.BatchNormalization()])))
"""
    command = [sys.executable, "-c", code]
    there = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip()
    assert len(there) == 64 and there == fastconv.fingerprint(small())


@pytest.mark.parametrize("weight", range(6))
def test_one_bit_of_any_weight_changes_it(weight):
    model = small()
    before = fastconv.fingerprint(model)
    array = model.weights[weight].array
    array.view(np.int32).flat[-1] ^= 1
    assert fastconv.fingerprint(model) != before


def test_shapes_count():
    wide = Sequential([layers.Input((2,)), layers.Dense(3, use_bias=False, kernel_initializer="ones")])
    high = Sequential([layers.Input((3,)), layers.Dense(2, use_bias=False, kernel_initializer="ones")])
    assert fastconv.fingerprint(wide) != fastconv.fingerprint(high)


def test_it_does_not_matter_where_weights_lie_and_asking_changes_nothing():
    asked = network()
    before = fastconv.fingerprint(asked), fastconv.fingerprint(asked, include_optimizer=True)
    asked._ready()  # the weights move into the executor's memory
    assert (fastconv.fingerprint(asked), fastconv.fingerprint(asked, include_optimizer=True)) == before
    fit(asked, *data())
    other = network()
    fit(other, *data())
    assert fastconv.fingerprint(asked, True) == fastconv.fingerprint(other, True)


def test_training_and_the_optimizers_state_change_it():
    model, frozen = network(), network()
    start = fastconv.fingerprint(model), fastconv.fingerprint(model, include_optimizer=True)
    fit(model, *data())
    trained = fastconv.fingerprint(model), fastconv.fingerprint(model, include_optimizer=True)
    assert len({*start, *trained}) == 4
    frozen.set_weights(model.get_weights())
    assert fastconv.fingerprint(frozen) == trained[0]
    assert fastconv.fingerprint(frozen, include_optimizer=True) != trained[1]


def test_it_survives_a_file(tmp_path):
    model = network()
    fit(model, *data())
    model.save(tmp_path / "m.keras")
    loaded = fastconv.load_model(tmp_path / "m.keras")
    assert fastconv.fingerprint(loaded) == fastconv.fingerprint(model)
    assert fastconv.fingerprint(loaded, True) == fastconv.fingerprint(model, True)


def test_a_model_without_weights_or_optimizer_is_refused():
    with pytest.raises(ValueError, match="expected a model with weights. Received: .* is not built"):
        fastconv.fingerprint(Sequential([layers.Dense(3)]))
    with pytest.raises(ValueError, match="expected a compiled model to include its optimizer"):
        fastconv.fingerprint(small(), include_optimizer=True)
