"""fastconv itself, through its public API: a worker of `benchmarks/train.py` (see worker.py)."""

from __future__ import annotations

import numpy as np
import worker


class FastConv(worker.System):
    mode = "fit; step: train_on_batch"

    def begin(self, threads):
        import fastconv

        fastconv.config.set_num_threads(threads)
        self.fastconv = fastconv
        return {"fastconv": fastconv.__version__, "isa": fastconv.config.isa(), "numpy": np.__version__}

    def build(self, dropout):
        from fastconv.models import networks

        factory = networks.NETWORKS[self.network].factory
        model = factory(dropout=dropout) if self.network.startswith("cnn") else factory()
        model.set_weights(self.weights)
        adam = self.fastconv.optimizers.Adam(self.learning_rate)
        model.compile(optimizer=adam, loss="categorical_crossentropy", metrics=["accuracy"])
        return model

    def losses(self, steps):
        model = self.build(dropout=0.0)
        return {"losses": [model.train_on_batch(x, y)[0] for x, y in self.batches(steps)]}

    def fit(self, model):
        model.fit(self.x, self.y, batch_size=self.batch_size, epochs=1, verbose=0, shuffle=True)

    def steps(self, model, prepared):
        for x, y in prepared:
            model.train_on_batch(x, y)


if __name__ == "__main__":
    worker.serve(FastConv())
