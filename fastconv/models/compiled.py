"""compile, and what it makes: the objective, the executor and the state of training."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastconv import device, losses, optimizers
from fastconv.diagnosis.before_training import advise_on_layers
from fastconv.models.objective import Objective
from fastconv.plan import precision
from fastconv.plan.executor import Executor


class Compiled:
    """The part of a model that knows how it learns; `Trainer` adds what it learns from."""

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
        self.advised: set[str] = set()  # kinds of AdviceWarning that came
        self.looked_at: dict[str, int] = {}  # what there may be advice of: after how many steps
        self.largest_inputs: list[float] = []  # of what `fit` trained on last, by absolute value
        # Between fit and BackupAndRestore: whether a backup counts as a whole, the feeder with the epoch's order, and
        # where to go on.
        self._resumes, self._epoch_runs, self._place = False, None, None

    def __getstate__(self):
        return {**self.__dict__, "_executor": None, "_epoch_runs": None}  # a copy makes its own, on its own weights

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
        self.looked_at = {}
        if self.built:
            advise_on_layers(self)

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
        if self._executor is not None:
            self._executor.restore(state)
        else:
            self._saved_state = {name: np.array(values) for name, values in state.items()}

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
