"""What benchmarks/train.py makes of the times: ratios, shares, and the check that comes before them."""

from types import SimpleNamespace

import pytest
import shapes


class Peer(SimpleNamespace):
    """A worker that answers every question with the same."""

    def ask(self, command, **arguments):
        return self.answer

    def __hash__(self):
        return id(self)


def peers(*names, threads=2):
    return [Peer(system=name, threads=threads, answer=None) for name in names]


@pytest.mark.parametrize("network", ("cnn", "conv", "mlp"))
def test_a_training_step_takes_each_product_three_times_but_the_first_layers_twice(load, network):
    products = [layer.geometry().multiplications for layer in shapes.network_layers(network, 1)]
    predict, train = load("train").flop_per_image(network)
    assert predict == 2 * sum(products)
    assert train == 3 * predict - 2 * products[0]


def rows(load, times, peak=1.0):
    peaks = SimpleNamespace(peaks={threads: ([peak], []) for threads in (1, 2)})
    return load("train").rows_of("mlp", 32, times, peaks)


def test_speed_is_that_of_the_fastest_peer_over_ours_by_medians(load):
    ours, slow, fast = peers("fastconv", "jax", "torch")
    found = rows(load, {(ours, "step"): (4, [1, 2, 9]), (slow, "step"): (4, [7]), (fast, "step"): (4, [5])})
    assert [row["speed"] for row in found] == [2.5, 0.714, 1]


def test_speed_compares_the_same_thing_on_as_many_threads(load):
    (ours, peer), (_, single) = peers("fastconv", "jax"), peers("fastconv", "jax", threads=1)
    times = {(ours, "fit"): [2], (peer, "fit"): [6], (single, "fit"): [4], (peer, "step"): [3]}
    assert rows(load, {job: (4, seconds) for job, seconds in times.items()})[0]["speed"] == 3


def test_a_system_alone_has_no_speed(load):
    (ours,) = peers("fastconv")
    assert rows(load, {(ours, "step"): (4, [2])})[0]["speed"] is None


def test_the_share_of_the_peak_counts_the_operations_of_a_batch(load):
    (ours,) = peers("fastconv")
    _, train = load("train").flop_per_image("mlp")
    (row,) = rows(load, {(ours, "step"): (4, [2])}, peak=32 * train * 1e-9)
    assert row["share_of_fma_peak"] == 0.5


def test_other_losses_end_the_benchmark(load):
    first, second = peers("fastconv", "jax")
    first.answer, second.answer = {"losses": [2.0, 1.0]}, {"losses": [2.0, 1.01]}
    with pytest.raises(SystemExit, match="do not train the same network"):
        load("train").check_losses([first, second], 2)
