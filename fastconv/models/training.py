"""fit, evaluate, predict: what a model does with data. The work itself is `plan.run()`."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastconv.diagnosis.before_training import advise_on_scale
from fastconv.diagnosis.during_training import Adviser, advise_on_statistics
from fastconv.geometry import positive_int
from fastconv.models import data, loops, structure
from fastconv.models.compiled import Compiled
from fastconv.models.epochs import Epochs, Evaluation
from fastconv.models.sources import InArrays, InBatches, gives_batches
from fastconv.models.watched import Watched

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastconv.callbacks import Callback, History

    Arrays = npt.ArrayLike | Sequence[npt.ArrayLike] | dict[str, npt.ArrayLike]

_log = logging.getLogger("fastconv")


class Trainer(Compiled):
    """The part of a model that trains; `Model` adds what it is made of."""

    def _require_compiled(self, method: str) -> None:
        if self.objective is None or not any(self.objective.losses):
            raise RuntimeError(f"{method}: expected a compiled model. Call model.compile(optimizer, loss) first")

    def _checked(self, x, y, sample_weight=None, class_weight=None, name: str = "") -> data.Samples:
        """What was given as arrays that fit the model, which they build if it is not, and its losses."""
        self._ensure_built(x)
        samples = data.samples_of(self, x, y, sample_weight, name)
        return samples if class_weight is None else data.class_weighted(samples, class_weight)

    def _checked_inputs(self, x) -> data.Samples:
        """Likewise, for predictions."""
        self._ensure_built(x)
        return data.Samples(data.inputs_of(self, x))

    def _ensure_built(self, x) -> None:
        if not self.built:
            self.build(np.shape(structure.arranged(x, ["x"], "x")[0]))

    # ---- fit ----
    def fit(
        self,
        x: Arrays | Iterable[Any],
        y: Arrays | None = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Callback | Sequence[Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Arrays | None = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
        resume: bool = False,
    ) -> History:
        """Trains on arrays or batches. A second call goes on where the first ended: weights, optimizer state, steps.

        Args:
            x: samples, shape (N, ...) of any real dtype; batches are converted to float32. For several inputs a list,
                or a dict by their names. Or something that yields batches (x, y) or (x, y, sample_weight): a generator,
                an iterable such as PyTorch's DataLoader, or an object with `__getitem__` and `__len__`. A generator
                that ends, ends training; anything else starts anew for every epoch.
            y: labels as the loss reads them. For several outputs a list, or a dict by their names.
            batch_size: samples per step, 32 if None. A smaller last batch is trained, too.
            epochs: number of the last epoch.
            verbose: 0 silent, 1 or "auto" a progress bar (one line per epoch if the output is no terminal), 2 one line
                per epoch in Keras' form.
            callbacks: list of `fastconv.callbacks.Callback`.
            validation_split: share of the samples, taken from the end before shuffling, to validate on.
            validation_data: (x, y) or (x, y, sample_weight) to validate on, or something that yields batches.
            shuffle: whether to draw a new order every epoch: of samples, or of batches with `__getitem__`. It does not
                matter to other batches.
            class_weight: factors of the losses of samples by their class; 1 for classes that are not in it.
            sample_weight: factors of the samples' losses, shape (N,). For several outputs a list or dict of such, or
                one for all. The loss is still divided by the number of samples; metrics do not see the factors, unless
                they are `weighted_metrics`.
            initial_epoch: number of the first epoch.
            steps_per_epoch: batches per epoch, all of them if None. The next epoch goes on where one ended.
            validation_steps: batches per validation, all of them if None.
            validation_batch_size: as batch_size if None.
            validation_freq: validate every this many epochs.
            resume: go on where a run with the same arguments was cut off, from the backup of its `BackupAndRestore`,
                which has to be among the callbacks, and end with the bits of a run never cut off. Where there is no
                backup it starts at the beginning.

        Returns:
            `History`: `.history` maps names to one value per epoch. Ctrl-C ends training after the running step:
            `.interrupted` is True then, the unfinished epoch is not in the history, and the model is usable.

        Raises:
            RuntimeError: before `compile`.
            ValueError: on data that do not fit the model or the loss, or a NaN or Inf in a batch (before its step, or
                before the first where a GPU holds all samples).
            NonFiniteError: at the first loss, weight or optimizer slot that is NaN or infinite. The model is as the
                step before left it, and `error.report` says where the value came up (`fastconv.diagnosis`). Not with
                `TerminateOnNaN` among the callbacks, which ends training as in Keras.
            MemoryError: if a batch needs more memory than there is; the model is as before.
        Warns:
            AdviceWarning: of what is most often a mistake, once for a model (`fastconv.AdviceWarning` has the list).
        """
        self._require_compiled("fit")
        self._notice_changes("fit")
        batch_size = data.check_batch_size(batch_size)
        epochs, initial_epoch = _count(epochs, "epochs"), _count(initial_epoch, "initial_epoch")
        validation_freq = max(1, _count(validation_freq, "validation_freq"))
        steps = None if steps_per_epoch is None else positive_int(steps_per_epoch, "steps_per_epoch")
        if gives_batches(x):
            _refuse({"y": y, "sample_weight": sample_weight, "validation_split": validation_split or None})
            source, samples = InBatches(self, x, "train", steps, class_weight, shuffle), None
        else:
            samples = self._checked(x, y, sample_weight)
        validation = None
        if gives_batches(validation_data):
            validation = validation_data
        elif validation_data is not None:
            validation = self._checked(*data.parts_of(validation_data), name="validation ")
        elif validation_split:
            samples, validation = data.split(samples, validation_split)
        validation_batch_size = batch_size if validation_batch_size is None else validation_batch_size
        validation_batch_size = data.check_batch_size(validation_batch_size)

        executor = self._ready()
        if isinstance(validation, data.Samples):  # before samples take its room
            executor.plan("evaluate", min(validation_batch_size, len(validation)), validation.weighted)
        if samples is None:
            feeder = loops.Given(executor, "train")
        else:
            samples = samples if class_weight is None else data.class_weighted(samples, class_weight)
            feeder = loops.feeder(executor, "train", samples, batch_size)
            source = InArrays(len(samples), batch_size, bool(shuffle), steps)
        first = samples or source.upcoming
        adviser = Adviser(self, first, samples and len(samples), batch_size if samples else len(first))
        if isinstance(validation, data.Samples):
            advise_on_scale(self, "fit", validation, "validation x")
        callbacks = self._callbacks(callbacks, verbose, epochs, source)
        if not callbacks.ends_on_nan:
            feeder = Watched(feeder, executor, samples)
        validating = None
        if validation is not None:
            validating = self._evaluation(validation, validation_batch_size, validation_steps)
        self.stop_training, self._resumes, self._place = False, callbacks.resumes(resume), None
        if resume and (samples is None or steps is not None):
            raise ValueError(
                "resume: expected arrays, of which an epoch takes all. Received: batches, or a number of them"
            )
        runs = Epochs(self, source, feeder, callbacks, adviser, validating, validation_freq)
        callbacks.on_train_begin()
        runs.run(self._place or loops.Place(initial_epoch), epochs)
        if not runs.interrupted:
            executor.take_average()
        callbacks.history.interrupted = runs.interrupted
        callbacks.on_train_end(runs.logs)
        if isinstance(validation, data.Samples) and "val_loss" in runs.logs:
            advise_on_statistics(self, "fit", validation, validation_batch_size)
        if runs.interrupted:
            _log.warning("fit: interrupted after step %d; the model is as that step left it", executor.iterations)
        return callbacks.history

    # ---- evaluate ----
    def evaluate(
        self,
        x: Arrays | Iterable[Any],
        y: Arrays | None = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Arrays | None = None,
        steps: int | None = None,
        callbacks: Callback | Sequence[Callback] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Mean loss and metrics over samples, with the moving statistics and without dropout.

        Args:
            x: samples or batches, as in `fit`.
            y: labels, as in `fit`.
            batch_size: samples per step, 32 if None. It does not change the result beyond rounding.
            verbose: as in `fit`.
            sample_weight: as in `fit`.
            steps: batches, all of them if None.
            callbacks: list of callbacks.
            return_dict: return {"loss": ..., "accuracy": ...}.

        Returns:
            [loss, accuracy], or the loss alone if no metric was compiled. Of several outputs: the loss, their own
            losses without their weights, and the metrics in the order of their names.

        Raises:
            RuntimeError: before `compile`.
            ValueError: on data that do not fit.
        """
        self._require_compiled("evaluate")
        self._notice_changes("evaluate")
        batch_size = data.check_batch_size(batch_size)
        if gives_batches(x):
            _refuse({"y": y, "sample_weight": sample_weight})
        else:
            x = self._checked(x, y, sample_weight)
            advise_on_scale(self, "evaluate", x)
        evaluation = self._evaluation(x, batch_size, steps)
        results = evaluation(self._callbacks(callbacks, verbose, 1, evaluation.source))
        if isinstance(x, data.Samples):
            advise_on_statistics(self, "evaluate", x, batch_size)
        return _as_list(results, return_dict)

    def _evaluation(self, samples: data.Samples | Iterable[Any], batch_size: int, steps: int | None) -> Evaluation:
        steps = None if steps is None else positive_int(steps, "steps")
        if not isinstance(samples, data.Samples):
            return Evaluation(InBatches(self, samples, "evaluate", steps), loops.Given(self._ready(), "evaluate"))
        feeder = loops.feeder(self._ready(), "evaluate", samples, batch_size)
        return Evaluation(InArrays(len(samples), batch_size, False, steps, anew=True), feeder)

    # ---- predict ----
    def predict(
        self,
        x: Arrays | Iterable[Any],
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Callback | Sequence[Callback] | None = None,
    ) -> Any:
        """The model's output for every sample, float32. Needs no `compile`.

        Args:
            x: samples or batches, as in `fit`; labels in batches are passed over. NaN and Inf pass through to the
                outputs they reach.
            batch_size: samples per step, 32 if None.
            verbose: as in `fit`.
            steps: batches, all of them if None.
            callbacks: list of callbacks.

        Returns:
            Array of shape (N, ...); of several outputs a list or dict of them, as the model's.

        Raises:
            ValueError: on samples that do not fit the model.
        """
        batch_size = data.check_batch_size(batch_size)
        steps = None if steps is None else positive_int(steps, "steps")
        if gives_batches(x):
            source = InBatches(self, x, "predict", steps)
            feeder = loops.Collected(self._ready(), [tensor.shape for tensor in self.outputs])
        else:
            samples = self._checked_inputs(x)
            count = len(samples) if steps is None else min(len(samples), steps * batch_size)
            source = InArrays(count, batch_size, False)
            outputs = [np.empty((count, *tensor.shape[1:]), np.float32) for tensor in self.outputs]
            feeder = loops.Predicted(self._ready(), samples, outputs)
        callbacks = self._callbacks(callbacks, verbose, 1, source)
        callbacks.on_predict_begin()
        loops.run(feeder, "predict", source.epoch()[1], callbacks)
        callbacks.on_predict_end()
        if isinstance(feeder, loops.Collected):
            outputs = [np.concatenate(parts) for parts in zip(*feeder.parts, strict=True)]
        return structure.packed(outputs, self.output_keys)

    # ---- one batch ----
    def train_on_batch(
        self,
        x: Arrays,
        y: Arrays,
        sample_weight: Arrays | None = None,
        class_weight: dict[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """One training step on one batch; returns what `evaluate` returns, as of before the update."""
        self._require_compiled("train_on_batch")
        return self._on_batch("train", self._checked(x, y, sample_weight, class_weight), return_dict)

    def test_on_batch(
        self, x: Arrays, y: Arrays, sample_weight: Arrays | None = None, return_dict: bool = False
    ) -> Any:
        """Loss and metrics of one batch."""
        self._require_compiled("test_on_batch")
        return self._on_batch("evaluate", self._checked(x, y, sample_weight), return_dict)

    def _on_batch(self, mode: str, samples: data.Samples, return_dict: bool) -> Any:
        feeder = loops.Direct(self._ready(), mode, samples)
        feeder.step(0, len(samples))
        return _as_list(feeder.results(len(samples)), return_dict)

    def predict_on_batch(self, x: Arrays) -> Any:
        """Output for one batch."""
        self._ensure_built(x)
        return self.predict(x, batch_size=len(data.inputs_of(self, x)[0]), verbose=0)

    def _callbacks(self, callbacks, verbose, epochs, source):
        from fastconv.callbacks import CallbackList

        params = {"verbose": verbose, "epochs": epochs, "steps": source.steps, "samples": source.samples}
        return CallbackList(callbacks, model=self, params=params, verbose=verbose)


def _refuse(arguments: dict[str, Any]) -> None:
    """Raises ValueError if one of them is not None."""
    for name, value in arguments.items():
        if value is not None:
            raise ValueError(f"{name}: expected none, as x gives batches. Received: {type(value).__name__}")


def _as_list(results: dict[str, float], return_dict: bool) -> Any:
    """The values in their order; the loss alone where there is nothing else."""
    if return_dict:
        return results
    return [*results.values()] if len(results) > 1 else results["loss"]


def _count(value, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
        raise ValueError(f"{name}: expected an integer that is not negative. Received: {name}={value!r}")
    return int(value)
