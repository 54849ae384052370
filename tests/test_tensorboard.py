"""The TensorBoard callback: what is in its files, by a stand-in for tensorboardX and by the files themselves."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from small_training import STEPS, data, fit, network

from fastconv.callbacks import TensorBoard
from fastconv.callbacks.tensorboard import _image


@pytest.fixture
def written(monkeypatch):
    """What was written, as (folder, kind, name, step)."""
    written = []

    class Writer:
        def __init__(self, folder):
            self.folder = folder.replace("\\", "/").split("/")[-1]

        def __getattr__(self, method):
            kind = method.removeprefix("add_")
            return lambda name=None, value=None, step=None, **more: written.append((self.folder, kind, name, step))

    monkeypatch.setitem(sys.modules, "tensorboardX", SimpleNamespace(SummaryWriter=Writer))
    return written


def scalars(written, folder):
    return [(name, step) for where, kind, name, step in written if where == folder and kind == "scalar"]


def test_epochs_and_evaluations_are_written(written, tmp_path):
    fit(network(), *data(), validation_data=data(seed=1), callbacks=[TensorBoard(tmp_path)])
    names = ["epoch_accuracy", "epoch_loss", "epoch_learning_rate"]
    assert scalars(written, "train") == [(name, epoch) for epoch in range(2) for name in names]
    assert scalars(written, "validation") == [
        (name, step)
        for epoch in range(2)
        for name, step in [
            ("evaluation_accuracy_vs_iterations", STEPS * (epoch + 1)),
            ("evaluation_loss_vs_iterations", STEPS * (epoch + 1)),
            ("epoch_accuracy", epoch),
            ("epoch_loss", epoch),
        ]
    ]


@pytest.mark.parametrize("update_freq, steps", [("batch", [*range(1, 2 * STEPS + 1)]), (3, [3, 6])])
def test_batches_are_written_as_often_as_asked(written, tmp_path, update_freq, steps):
    fit(network(), *data(), callbacks=[TensorBoard(tmp_path, update_freq=update_freq)])
    batches = [(name, step) for name, step in scalars(written, "train") if name.startswith("batch_")]
    assert batches == [(name, step) for step in steps for name in ("batch_loss", "batch_accuracy")]


def test_steps_per_second_are_written(written, tmp_path):
    fit(network(), *data(), callbacks=[TensorBoard(tmp_path, write_steps_per_second=True, update_freq=4)])
    names = [name for name, _ in scalars(written, "train") if "second" in name]
    assert names == ["batch_steps_per_second", "epoch_steps_per_second"] * 2


def test_weights_are_written_as_histograms_and_images(written, tmp_path):
    model = network()
    fit(model, *data(), epochs=3, callbacks=[TensorBoard(tmp_path, histogram_freq=2, write_images=True)])
    histograms = [(name, step) for _, kind, name, step in written if kind == "histogram"]
    assert histograms == [(f"{weight.path}/histogram", epoch) for epoch in (0, 2) for weight in model.weights]
    assert ("train", "images", f"{model.layers[-1].kernel.path}/image", 0) in written


@pytest.mark.parametrize(
    "shape, image",
    [
        ((5,), (1, 5, 1, 1)),
        ((7, 3), (1, 3, 7, 1)),
        ((3, 7), (1, 3, 7, 1)),
        ((3, 3, 1, 8), (8, 3, 3, 1)),
        ((3, 3, 2, 3), (3, 3, 2, 3)),
        ((3, 3, 8, 8), None),
    ],
)
def test_images_have_keras_shapes(shape, image):
    found = _image(np.zeros(shape))
    assert (None if found is None else found.shape) == image


def test_no_callback_reads_the_means_of_batches_that_are_not_written():
    callback = TensorBoard(update_freq=3)
    callback.train_batch = 2
    assert not callback.logs_due("train")
    callback.train_batch = 3
    assert callback.logs_due("train") and not TensorBoard().logs_due("train")


@pytest.mark.parametrize("asked", [{"profile_batch": 2}, {"embeddings_freq": 1}])
def test_what_there_is_not_is_refused(asked):
    with pytest.raises(ValueError, match=f"{next(iter(asked))}: expected 0"):
        TensorBoard(**asked)


def test_without_tensorboardx_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r'pip install "fastconv\[tensorboard\]"'):
        TensorBoard()


def test_the_files_are_tensorboards(tmp_path):
    from tensorboardX.proto.event_pb2 import Event

    fit(network(), *data(), callbacks=[TensorBoard(tmp_path)])
    (path,) = (tmp_path / "train").iterdir()
    content, events = path.read_bytes(), []
    while content:  # a record: length, its checksum, the event, its checksum
        length = int.from_bytes(content[:8], "little")
        events.append(Event.FromString(content[12 : 12 + length]))
        content = content[16 + length :]
    values = [(value.tag, event.step) for event in events for value in event.summary.value]
    assert ("epoch_loss", 0) in values and ("epoch_learning_rate", 1) in values
