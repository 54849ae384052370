"""fastconv itself, through its public API: a worker of `benchmarks/train.py` and `gpu.py` (see worker.py).

`bare` and `kernels` look behind the API: the steps of a plan without the copying and checking of batches. So does
`step` on a GPU, whose peers have their batches on the device, too: the steps of a `fit` without their callbacks.
"""

from __future__ import annotations

import time

import numpy as np
import worker


class FastConv(worker.System):
    modes = {
        "": "step: train_on_batch; call: predict_on_batch; bare: the training plan; kernels: the predict plan",
        # of gpu.py
        "highest": "epoch: fit; step: the captured steps of fit; products accurate to float32",
        "high": "as fastconv-highest, products in TF32",
        "bf16": 'as fastconv-highest, dtype_policy="mixed_bfloat16"',
    }

    def begin(self, threads):
        import fastconv

        try:
            fastconv.set_device(self.device)
        except RuntimeError as error:
            raise worker.Unavailable(str(error)) from error
        fastconv.config.set_num_threads(threads)
        self.policy = "mixed_bfloat16" if self.variant == "bf16" else None
        if self.variant in ("highest", "high"):
            fastconv.config.set_float32_matmul_precision(self.variant)
        self.fastconv = fastconv
        return {"fastconv": fastconv.__version__, "isa": fastconv.config.isa(), "numpy": np.__version__}

    def build(self, dropout):
        from fastconv.models import networks

        factory = networks.NETWORKS[self.network].factory
        model = factory(dropout=dropout) if self.network.startswith("cnn") else factory()
        model.set_weights(self.weights)
        adam = self.fastconv.optimizers.Adam(self.learning_rate)
        model.compile(optimizer=adam, loss="categorical_crossentropy", metrics=["accuracy"], dtype_policy=self.policy)
        return model

    def losses(self, steps):
        model = self.build(dropout=0.0)
        return {"losses": [model.train_on_batch(x, y)[0] for x, y in self.batches(steps)]}

    def prepare_fit(self):
        model = self.build(dropout=0.5)

        def run(steps):
            x, y = self.data(steps)
            model.fit(x, y, batch_size=self.batch_size, epochs=1, verbose=0, shuffle=True)

        return run

    def prepare_epoch(self):
        """`fit` of one epoch more: in the first one it copies the images to the device and captures its steps."""
        model, (x, y) = self.build(dropout=0.5), self.epoch_data()
        ends = []
        clock = self.fastconv.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: ends.append(time.perf_counter())
        )

        def run(epochs):
            ends.clear()
            model.fit(x, y, batch_size=self.batch_size, epochs=1 + epochs, verbose=0, callbacks=[clock])
            return np.diff(ends).tolist()

        return run

    def prepare_step(self):
        if self.device != "cpu":
            return self.prepare_resident_step()
        model, batches = self.build(dropout=0.5), self.batches()

        def run(steps):
            for x, y in worker.in_turn(batches, steps):
                model.train_on_batch(x, y)

        return run

    def prepare_resident_step(self):
        from fastconv.models import loops

        model, (x, y), batch_size = self.build(dropout=0.5), self.epoch_data(), self.batch_size
        feeder = loops.feeder(model._ready(), "train", model._checked(x, y), batch_size)
        steps_of_epoch = len(x) // batch_size

        def run(steps):
            for i in range(steps):
                begin = i % steps_of_epoch * batch_size
                if not begin:
                    feeder.begin()
                feeder.step(begin, begin + batch_size)
            feeder.results(batch_size)  # waits

        return run

    def prepare_bare(self):
        """What no loop around it can go below: the plan's calls, on one batch that is in its place already."""
        model, (x, y) = self.build(dropout=0.5), self.batches(1)[0]
        model.train_on_batch(x, y)
        executor = model._executor
        plan = executor.plan("train", self.batch_size)
        plan.inputs[0][...] = x

        def step():
            plan.targets[0][...] = y  # the step before may have written over them
            executor.train_step(plan)

        return worker.repeat(step)

    def prepare_predict(self):
        model, (x, _) = self.build(dropout=0.5), self.batches(1)[0]
        return worker.repeat(lambda: model.predict(x, verbose=0))

    def prepare_call(self):
        model, (x, _) = self.build(dropout=0.5), self.batches(1)[0]
        return worker.repeat(lambda: model.predict_on_batch(x))

    def prepare_kernels(self):
        model, (x, _) = self.build(dropout=0.5), self.batches(1)[0]
        model.predict_on_batch(x)
        return worker.repeat(model._executor.plan("predict", self.batch_size).run)


if __name__ == "__main__":
    worker.serve(FastConv())
