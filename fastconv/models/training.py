"""compile, fit, evaluate, predict: what a model does with data. The work itself is `plan.run()`."""

from __future__ import annotations

import logging
import warnings
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastconv import device, losses, optimizers, rng
from fastconv.models import data, loops, structure
from fastconv.models.interrupt import Interrupt
from fastconv.models.objective import Objective
from fastconv.plan import precision
from fastconv.plan.executor import Executor

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastconv.callbacks import Callback, History

    Arrays = npt.ArrayLike | Sequence[npt.ArrayLike] | dict[str, npt.ArrayLike]

_log = logging.getLogger("fastconv")


class Trainer:
    """The part of a model that trains; `Model` adds what it is made of."""

    def __init__(self):
        self.optimizer = None
        self.loss = None
        self.dtype_policy = "float32"
        self.objective: Objective | None = None
        self.compile_arguments: dict[str, Any] | None = None  # as they were given
        self.stop_training = False
        self.history = None
        self._executor: Executor | None = None
        self._saved_state: dict[str, np.ndarray] | None = None  # of training, until an executor takes it over
        self._frozen: frozenset | None = None  # weights; None until it is compiled and built
        self._noticed: frozenset | None = None  # what there was a warning of

    def __getstate__(self):
        return {**self.__dict__, "_executor": None}  # a copy makes its own, on its own weights

    # ---- compile ----
    def compile(
        self,
        optimizer: str | optimizers.Optimizer = "rmsprop",
        loss: str | losses.Loss | Sequence[Any] | dict[str, Any] | None = None,
        loss_weights: float | Sequence[float] | dict[str, float] | None = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
        dtype_policy: str | None = None,
    ) -> None:
        """Sets how the model learns.

        Args:
            optimizer: an optimizer object or "adam", "adamw", "rmsprop", "sgd". An object that was compiled before
                starts afresh here.
            loss: a loss object or its name, as in "categorical_crossentropy" (one-hot labels),
                "sparse_categorical_crossentropy" (numbers of classes), "binary_crossentropy" or "mse". For
                several outputs a list, or a dict by their names; None for an output without a loss.
            loss_weights: factors of the outputs' losses in their sum, which is minimized; a list or a dict likewise.
            metrics: list of metrics or of names, as in "accuracy" (the one that fits the shapes of output and labels),
                "mae" or "AUC"; for several outputs a list or dict of such.
            weighted_metrics: likewise; sample and class weights count for these.
            run_eagerly: for Keras' sake, as the next three; a plan is always run as it is.
            steps_per_execution: see `run_eagerly`.
            jit_compile: see `run_eagerly`.
            auto_scale_loss: see `run_eagerly`.
            dtype_policy: "float32" (None), or on a GPU "mixed_bfloat16": activations and their gradients are stored and
                multiplied in bfloat16, which has 8 significant bits and takes half the memory; weights, their
                gradients, sums, statistics and the loss stay float32.

        Raises:
            ValueError: on an unknown name, listing the known ones.
            RuntimeError: on "mixed_bfloat16" where models run on the CPU.

        >>> model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
        """
        optimizer = optimizers.get(optimizer)
        objective = Objective(loss, loss_weights, metrics, weighted_metrics, self.output_names)
        policy = precision.check_policy(dtype_policy)
        if policy != "float32":
            precision.require_kernels(policy, device.ops())
        self.optimizer, self.loss, self.objective, self.dtype_policy = optimizer, loss, objective, policy  # all or none
        self.compile_arguments = {
            "optimizer": optimizer,
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
        }
        self._executor = self._saved_state = self._frozen = None
        if self.built:
            self._frozen = self.frozen
        without_effect = {
            "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution != 1,
            "jit_compile": jit_compile is True,
            "auto_scale_loss": not auto_scale_loss,
        }
        for argument in (name for name, asked in without_effect.items() if asked):
            warnings.warn(f"compile: {argument} has no effect, as nothing is traced or compiled here.", stacklevel=2)
        if optimizer.compiled:
            warnings.warn(
                f"optimizer {optimizer.name!r} was compiled before; it starts afresh in {self.name!r}, and both models "
                "share its learning rate. Give each model an optimizer of its own to keep them apart.",
                stacklevel=2,
            )
        optimizer.compiled = True

    def _ready(self) -> Executor:
        """The executor of this model, made on first use after `compile`, the first build or a change of device."""
        ops, before = device.ops(), self._executor
        if before is None or before.ops is not ops:
            model = weakref.proxy(self)  # no cycle: a dropped model gives its memory back at once
            state = self._saved_state if before is None else before.state()
            settings = {"state": state, "frozen": self.frozen, "policy": self.dtype_policy}
            self._executor, self._saved_state = Executor(model, ops, self.objective, self.optimizer, **settings), None
            if self.optimizer is not None:
                self.optimizer.attach(self._executor)
        return self._executor

    @property
    def frozen(self) -> frozenset:
        """The weights that do not learn: of the layers that were not trainable when it was compiled, or built later."""
        if self._frozen is None:
            self._frozen = frozenset(self.frozen_weights)
        return self._frozen

    def _notice_changes(self, method: str) -> None:
        """Warns once of layers whose `trainable` changed since `compile`."""
        now = frozenset(self.frozen_weights)
        if self._frozen is not None and now not in (self._frozen, self._noticed):
            layers = sorted({weight.layer_name for weight in now ^ self._frozen})
            warnings.warn(
                f"{method}: `trainable` of {layers} changed since compile, which counts from the next compile on.",
                stacklevel=3,
            )
            self._noticed = now

    def training_state(self) -> dict[str, np.ndarray]:
        """What training has beside the weights: step number, dropout seed, the optimizer's slots as flat arrays of all
        trainable weights (`fastconv.plan.parameters`)."""
        return self._ready().state()

    def restore_training_state(self, state: dict[str, np.ndarray]) -> None:
        """Goes on from `training_state` of a model of the same layers and optimizer, compiled before."""
        self._executor, self._saved_state = None, {name: np.array(values) for name, values in state.items()}

    def optimizer_slots(self) -> dict[str, list[np.ndarray]]:
        """The optimizer's slots by name, each an array for every trainable weight; none before the first step."""
        executor = self._ready()
        state = executor.state()
        return {slot: executor.store.split(state[slot]) for slot in self.optimizer.state_names if slot in state}

    def restore_optimizer(self, iterations: int, slots: dict[str, list[np.ndarray]]) -> None:
        """Goes on after so many steps with slots as `optimizer_slots` returned them."""
        executor = self._ready()
        flat = {slot: executor.store.joined(arrays) for slot, arrays in slots.items()}
        self.restore_training_state({**executor.state(), "step": np.array([iterations], np.int64), **flat})
        self._ready()

    def _require_compiled(self, method: str) -> None:
        if self.objective is None or not any(self.objective.losses):
            raise RuntimeError(f"{method}: expected a compiled model. Call model.compile(optimizer, loss) first")

    def _checked(self, x, y, sample_weight=None, class_weight=None, name: str = "") -> data.Samples:
        """What was given as arrays that fit the model, which they build if it is not, and its losses."""
        self._ensure_built(x)
        samples = data.samples_of(self, x, y, sample_weight, name)
        return samples if class_weight is None else data.class_weighted(samples, class_weight)

    def _ensure_built(self, x) -> None:
        if not self.built:
            self.build(np.shape(structure.arranged(x, ["x"], "x")[0]))

    # ---- fit ----
    def fit(
        self,
        x: Arrays,
        y: Arrays,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Callback | Sequence[Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: tuple[Arrays, Arrays] | tuple[Arrays, Arrays, Arrays] | None = None,
        shuffle: bool = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Arrays | None = None,
        initial_epoch: int = 0,
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
    ) -> History:
        """Trains on arrays. A second call goes on where the first ended: weights, optimizer state, step count.

        Args:
            x: samples, shape (N, ...) of any real dtype; batches are converted to float32. For several inputs a list,
                or a dict by their names.
            y: labels as the loss reads them. For several outputs a list, or a dict by their names.
            batch_size: samples per step, 32 if None. A smaller last batch is trained, too.
            epochs: number of the last epoch.
            verbose: 0 silent, 1 or "auto" a progress bar (one line per epoch if the output is no terminal), 2 one line
                per epoch in Keras' form.
            callbacks: list of `fastconv.callbacks.Callback`.
            validation_split: share of the samples, taken from the end before shuffling, to validate on.
            validation_data: (x, y) or (x, y, sample_weight) to validate on.
            shuffle: whether to draw a new order every epoch.
            class_weight: factors of the losses of samples by their class; 1 for classes that are not in it.
            sample_weight: factors of the samples' losses, shape (N,). For several outputs a list or dict of such, or
                one for all. The loss is still divided by the number of samples; metrics do not see the factors, unless
                they are `weighted_metrics`.
            initial_epoch: number of the first epoch.
            validation_batch_size: as batch_size if None.
            validation_freq: validate every this many epochs.

        Returns:
            `History`: `.history` maps names to one value per epoch. Ctrl-C ends training after the running step:
            `.interrupted` is True then, the unfinished epoch is not in the history, and the model is usable.

        Raises:
            RuntimeError: before `compile`.
            ValueError: on data that do not fit the model or the loss, or a NaN or Inf in a batch (before its step, or
                before the first where a GPU holds all samples).
            MemoryError: if a batch needs more memory than there is; the model is as before.
        """
        self._require_compiled("fit")
        self._notice_changes("fit")
        batch_size = data.check_batch_size(batch_size)
        epochs, initial_epoch = _count(epochs, "epochs"), _count(initial_epoch, "initial_epoch")
        validation_freq = max(1, _count(validation_freq, "validation_freq"))
        samples = self._checked(x, y, sample_weight)
        validation = None
        if validation_data is not None:
            validation = self._checked(*data.parts_of(validation_data), name="validation ")
        elif validation_split:
            samples, validation = data.split(samples, validation_split)
        if class_weight is not None:
            samples = data.class_weighted(samples, class_weight)
        validation_batch_size = batch_size if validation_batch_size is None else validation_batch_size
        validation_batch_size = data.check_batch_size(validation_batch_size)

        executor, count = self._ready(), len(samples)
        callbacks = self._callbacks(callbacks, verbose, epochs, count, batch_size)
        if validation:  # before samples take its room
            executor.plan("evaluate", min(validation_batch_size, len(validation)), validation.weighted)
        feeder = loops.feeder(executor, "train", samples, batch_size)
        validating = validation and self._evaluation(validation, validation_batch_size, callbacks)
        self.stop_training = False
        logs: dict[str, float] = {}
        callbacks.on_train_begin()
        with Interrupt() as interrupt:

            def stop() -> bool:
                return interrupt.requested or self.stop_training

            for epoch in range(initial_epoch, epochs):
                callbacks.on_epoch_begin(epoch)
                order = rng.generator().permutation(count) if shuffle else None
                results = loops.run(feeder, "train", count, batch_size, callbacks, order, stop)
                if interrupt.requested:
                    break
                logs = results
                if validation and (epoch + 1) % validation_freq == 0:
                    result = validating()
                    logs.update({f"val_{name}": value for name, value in result.items()})
                callbacks.on_epoch_end(epoch, logs)
                if stop():
                    break
        if not interrupt.requested:
            executor.take_average()
        callbacks.history.interrupted = interrupt.requested
        callbacks.on_train_end(logs)
        if interrupt.requested:
            _log.warning("fit: interrupted after step %d; the model is as that step left it", executor.iterations)
        return callbacks.history

    # ---- evaluate ----
    def evaluate(
        self,
        x: Arrays,
        y: Arrays,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Arrays | None = None,
        callbacks: Callback | Sequence[Callback] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Mean loss and metrics over samples, with the moving statistics and without dropout.

        Args:
            x: samples, as in `fit`.
            y: labels, as in `fit`.
            batch_size: samples per step, 32 if None. It does not change the result beyond rounding.
            verbose: as in `fit`.
            sample_weight: as in `fit`.
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
        samples = self._checked(x, y, sample_weight)
        callbacks = self._callbacks(callbacks, verbose, 1, len(samples), batch_size)
        return _as_list(self._evaluation(samples, batch_size, callbacks)(), return_dict)

    def _evaluation(self, samples: data.Samples, batch_size, callbacks) -> Callable[[], dict[str, float]]:
        """What evaluates on these samples as often as it is called."""
        feeder = loops.feeder(self._ready(), "evaluate", samples, batch_size)

        def evaluate():
            callbacks.on_test_begin()
            result = loops.run(feeder, "test", len(samples), batch_size, callbacks)
            callbacks.on_test_end(result)
            return result

        return evaluate

    # ---- predict ----
    def predict(
        self,
        x: Arrays,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        callbacks: Callback | Sequence[Callback] | None = None,
    ) -> Any:
        """The model's output for every sample, float32. Needs no `compile`.

        Args:
            x: samples, as in `fit`. NaN and Inf pass through to the outputs they reach.
            batch_size: samples per step, 32 if None.
            verbose: as in `fit`.
            callbacks: list of callbacks.

        Returns:
            Array of shape (N, ...); of several outputs a list or dict of them, as the model's.

        Raises:
            ValueError: on samples that do not fit the model.
        """
        batch_size = data.check_batch_size(batch_size)
        self._ensure_built(x)
        samples = data.Samples(data.inputs_of(self, x))
        count = len(samples)
        callbacks = self._callbacks(callbacks, verbose, 1, count, batch_size)
        outputs = [np.empty((count, *tensor.shape[1:]), np.float32) for tensor in self.outputs]
        callbacks.on_predict_begin()
        loops.run(loops.Predicted(self._ready(), samples, outputs), "predict", count, batch_size, callbacks)
        callbacks.on_predict_end()
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

    def _callbacks(self, callbacks, verbose, epochs, samples, batch_size):
        from fastconv.callbacks import CallbackList

        params = {"verbose": verbose, "epochs": epochs, "steps": -(-samples // batch_size), "samples": samples}
        return CallbackList(callbacks, model=self, params=params, verbose=verbose)


def _as_list(results: dict[str, float], return_dict: bool) -> Any:
    """The values in their order; the loss alone where there is nothing else."""
    if return_dict:
        return results
    return [*results.values()] if len(results) > 1 else results["loss"]


def _count(value, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
        raise ValueError(f"{name}: expected an integer that is not negative. Received: {name}={value!r}")
    return int(value)
