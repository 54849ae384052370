"""What went wrong where numbers of training became NaN or infinite.

`fit` checks the loss of every step (on a GPU whenever it reads the losses), and as epochs end and every 500 steps all
weights, moving statistics and optimizer slots, of which it keeps a copy. At the first that is not finite it goes back
to the copy, repeats the steps since then one by one, takes the one that fails apart, puts the model back to before that
step, and raises `NonFiniteError`:

>>> x = x_train / 255
>>> model = fastconv.models.networks.cnn(batch_norm="first")
>>> model.compile(fastconv.optimizers.SGD(100.0), "categorical_crossentropy")
>>> try:
...     model.fit(x, y_train)
... except fastconv.NonFiniteError as error:
...     print(error)  # the layer, the samples, the likely cause
...     print(error.report.table())  # the largest numbers of every layer, in this step and the one before

Weights are finite again, but where they have grown for some steps training does not recover: the report says how large
they are. Begin anew, or from a file.

With `callbacks.TerminateOnNaN` among the callbacks, `fit` does as Keras' does and nothing of this. Nor does
`train_on_batch`, whose caller sees every loss.

| file | what it does |
| --- | --- |
| replay.py | finds the step |
| trace.py | runs it call by call and looks at what each call wrote |
| causes.py | rules that name the likely cause, and the evidence |
| report.py | what a user gets |

The rest of the package says what a model does: advice.py, before_training.py and during_training.py warn, probe.py
looks at a batch for them; profile.py, explain_plan.py, check_gradients.py and fingerprint.py are asked.
"""

from fastconv.diagnosis.report import Cause, LayerRange, NonFiniteError, NonFiniteReport

__all__ = ["Cause", "LayerRange", "NonFiniteError", "NonFiniteReport"]
