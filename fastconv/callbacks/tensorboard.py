"""Curves and weights for TensorBoard."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np

from fastconv import checks
from fastconv.callbacks.base import Callback, Logs


class TensorBoard(Callback):
    """Writes logs that `tensorboard --logdir` shows; needs the package tensorboardX.

    In `log_dir`/train and `log_dir`/validation: "epoch_<name>" by epoch and the learning rate, "batch_<name>" by batch,
    "evaluation_<name>_vs_iterations" by training step, and the weights' histograms.

    Args:
        log_dir: the folder, this callback's own.
        histogram_freq: epochs from one histogram of the weights to the next; 0 for none.
        write_graph: for Keras' sake; there is no graph of TensorFlow's to write.
        write_images: whether weights are written as images, too, with their histograms.
        write_steps_per_second: whether to write training steps per second.
        update_freq: "epoch", "batch", or a number of batches after which losses and metrics are written.
        profile_batch: 0; nothing is profiled.
        embeddings_freq: 0; there are no embeddings.
        embeddings_metadata: for Keras' sake.

    Raises:
        ImportError: without tensorboardX.
        ValueError: if something is asked for that there is not.
    Source: keras.callbacks.TensorBoard.

    >>> curves = TensorBoard("logs", histogram_freq=1)
    """

    state_names = ("train_batch", "test_batch")

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: str | int = "epoch",
        profile_batch: int = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
    ):
        super().__init__()
        for name, value in (("profile_batch", profile_batch), ("embeddings_freq", embeddings_freq)):
            if value:
                raise checks.refused(name, "0", value)
        self.log_dir, self.histogram_freq = checks.path(log_dir, "log_dir"), histogram_freq
        if type(histogram_freq) is not int or histogram_freq < 0:
            raise checks.refused("histogram_freq", "an integer >= 0", histogram_freq)
        self.write_graph = checks.flag(write_graph, "write_graph")
        self.write_images = checks.flag(write_images, "write_images")
        self.write_steps_per_second = checks.flag(write_steps_per_second, "write_steps_per_second")
        if update_freq not in ("epoch", "batch") and (type(update_freq) is not int or update_freq < 1):
            raise checks.refused("update_freq", '"epoch", "batch" or a number of batches', update_freq)
        self.update_freq = 1 if update_freq == "batch" else update_freq
        self.profile_batch, self.embeddings_freq = profile_batch, embeddings_freq
        self.embeddings_metadata = embeddings_metadata
        self.train_batch = self.test_batch = 0  # batches begun
        self._epoch_start = self._batch_start = 0.0
        self._first_step = 0
        self._writers: dict[str, Any] = {}
        summary_writer()

    def _writer(self, part: str) -> Any:
        if part not in self._writers:
            self._writers[part] = summary_writer()(os.path.join(self.log_dir, part))
        return self._writers[part]

    def _is_due(self, batch: int) -> bool:
        return self.update_freq != "epoch" and batch % self.update_freq == 0

    def logs_due(self, hook: str) -> bool:
        """See `CallbackList.logs_due`."""
        return hook == "train" and self._is_due(self.train_batch)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.train_batch = 0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._epoch_start, self._first_step = time.perf_counter(), self.model.optimizer.iterations

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self.train_batch += 1
        self._batch_start = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if not self._is_due(self.train_batch):
            return
        values = {f"batch_{name}": value for name, value in (logs or {}).items() if name != "size"}
        if self.write_steps_per_second:
            values["batch_steps_per_second"] = 1 / (time.perf_counter() - self._batch_start)
        self._write("train", values, self.train_batch)

    def on_test_end(self, logs: Logs | None = None) -> None:
        values = {f"evaluation_{name}_vs_iterations": value for name, value in (logs or {}).items()}
        self._write("validation", values, self.model.optimizer.iterations)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        logs = logs or {}
        train = {f"epoch_{name}": value for name, value in logs.items() if not name.startswith("val_")}
        train["epoch_learning_rate"] = float(self.model.optimizer.learning_rate)
        if self.write_steps_per_second:
            steps = self.model.optimizer.iterations - self._first_step
            train["epoch_steps_per_second"] = steps / (time.perf_counter() - self._epoch_start)
        self._write("train", train, epoch)
        validation = {f"epoch_{name[4:]}": value for name, value in logs.items() if name.startswith("val_")}
        self._write("validation", validation, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._write_weights(epoch)

    def on_train_end(self, logs: Logs | None = None) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def _write(self, part: str, values: dict[str, Any], step: int) -> None:
        if values:
            writer = self._writer(part)
            for name, value in values.items():
                writer.add_scalar(name, value, step)
            writer.flush()

    def _write_weights(self, epoch: int) -> None:
        writer = self._writer("train")
        for weight in self.model.weights:
            writer.add_histogram(f"{weight.path}/histogram", weight.numpy(), epoch)
            image = _image(weight.numpy())
            if self.write_images and image is not None:
                writer.add_images(f"{weight.path}/image", image, epoch, dataformats="NHWC")
        writer.flush()


def _image(values: np.ndarray) -> np.ndarray | None:
    """A weight as images (N, H, W, C), as Keras shows it; None where it cannot be shown."""
    image = np.squeeze(values)
    if image.ndim == 1:
        image = image.reshape(1, -1, 1, 1)
    elif image.ndim == 2:
        image = (image.T if image.shape[0] > image.shape[1] else image)[np.newaxis, ..., np.newaxis]
    elif image.ndim == 3:
        image = np.moveaxis(image, 2, 0)[..., np.newaxis]
    return image if image.ndim == 4 and image.shape[-1] in (1, 3, 4) else None


def summary_writer() -> Any:
    """The class that writes TensorBoard's files.

    Raises:
        ImportError: saying what to install.
    """
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        message = 'TensorBoard needs tensorboardX. Install it with: pip install "fastconv[tensorboard]"'
        raise ImportError(message) from error
    return SummaryWriter
