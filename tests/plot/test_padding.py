import numpy as np
import pytest

from fastconv import ops
from fastconv.plot import plot_padding

pytest.importorskip("matplotlib")


def titles(axes):
    return [ax.get_title(loc="left") for ax in axes]


def windows(ax):
    """The first cell of each window that is drawn, and how many it has."""
    return sorted((round(line.get_xdata()[0] - 0.1), round(np.ptp(line.get_xdata()) + 0.2)) for line in ax.get_lines())


def test_the_odd_zero_goes_after(pyplot):
    axes = plot_padding(8, 3, 2)
    assert titles(axes) == [
        'Keras, padding="same": zeros (0, 1), 4 windows of 3, stride 2',
        "PyTorch, padding=1: zeros (1, 1), 4 windows of 3, stride 2",
    ]
    assert windows(axes[0]) == [(0, 3), (2, 3), (4, 3), (6, 3)]
    assert windows(axes[1]) == [(-1, 3), (1, 3), (3, 3), (5, 3)]


@pytest.mark.parametrize("size, kernel, stride", [(8, 3, 2), (7, 4, 1), (9, 2, 3), (5, 1, 2), (6, 5, 3), (2, 7, 1)])
def test_the_windows_are_those_of_the_convolution(pyplot, size, kernel, stride):
    """A kernel that picks its first tap shows where each window begins; zeros before the image are read as 0."""
    x = np.arange(1, size + 1, dtype=np.float32).reshape(1, 1, size, 1)
    first = np.zeros((1, kernel, 1, 1), np.float32)
    first[0, 0] = 1
    read = ops.conv2d(x, first, strides=(1, stride), padding="same").ravel()
    drawn = [max(start + 1, 0) for start, _ in windows(plot_padding(size, kernel, stride)[0])]
    np.testing.assert_array_equal(read, drawn)


def test_valid_is_one_row(pyplot):
    axes = plot_padding(9, 3, 2, "valid")
    assert titles(axes) == ['padding="valid": no zeros, 4 windows of 3, stride 2']
    assert windows(axes[0]) == [(0, 3), (2, 3), (4, 3), (6, 3)]


@pytest.mark.parametrize("size", [8, 224])
def test_pixels_stand_below_each_other(pyplot, size):
    keras, torch = plot_padding(size, 3, 2)
    assert keras.get_xlim() == torch.get_xlim()
    places = [{text.get_text(): text.get_position()[0] for text in ax.texts} for ax in (keras, torch)]
    assert all(places[0][name] == places[1][name] for name in ("x0", f"x{size - 1}"))


def test_of_a_long_row_both_ends_are_drawn(pyplot):
    ax = plot_padding(224, 7, 2)[0]
    names = [text.get_text() for text in ax.texts]
    assert names[:3] == ["0", "0", "x0"] and names[-4:] == ["0", "0", "0", "…"]
    assert len(names) == 2 + 9 + 9 + 3 + 1 and "x223" in names


@pytest.mark.parametrize("size", [10**9, 2**70])
def test_any_size_takes_no_time(pyplot, size):
    assert len(plot_padding(size, 3, 2)) == 2


def test_a_long_kernel_has_windows(pyplot):
    assert len(plot_padding(224, 31, 4)[0].get_lines()) >= 2


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((0, 3), "size: expected a positive integer"),
        ((8, 0), "kernel: expected a positive integer"),
        ((8, 3, 1.5), "stride: expected a positive integer"),
        ((8, 3, 1, "full"), 'padding: expected "valid" or "same"'),
        ((8, 9, 1, "valid"), "kernel: expected at most size=8"),
        ((10**6, 10**5), "kernel, stride: expected windows of fewer pixels"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        plot_padding(*arguments)
