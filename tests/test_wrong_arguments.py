"""Every public class refuses what means nothing in any of its arguments, at once and in the same words."""

import contextlib
import inspect

import numpy as np
import pytest

import fastconv
from fastconv import callbacks, initializers, layers, losses, metrics, models, optimizers, regularizers, saving

MODULES = (callbacks, initializers, layers, losses, metrics, optimizers, optimizers.schedules, regularizers)
REQUIRED = {  # arguments without a default
    "activation": "relu",
    "backup_dir": "backup",
    "boundaries": [1],
    "decay_rate": 0.5,
    "decay_steps": 10,
    "filename": "log.csv",
    "filepath": "model.keras",
    "filters": 4,
    "first_decay_steps": 10,
    "height": 4,
    "height_factor": 0.1,
    "initial_learning_rate": 0.1,
    "kernel_size": 3,
    "max_learning_rate": 0.1,
    "rate": 0.5,
    "scale": 2.0,
    "schedule": lambda epoch, rate: rate,
    "shape": (8,),
    "target_shape": (4,),
    "total_steps": 10,
    "units": 4,
    "x": np.zeros((4, 8), np.float32),
    "y": np.zeros(4),
    "values": [0.1, 0.2],
    "width": 4,
    "width_factor": 0.1,
}
BASES = ("Callback", "CallbackList", "LambdaCallback", "LearningRateSchedule", "Loss", "Metric", "Optimizer")
UNUSED = ("embeddings_metadata",)  # taken for Keras' sake and never looked at
AT_BUILD = ("axis", "mean", "variance", "x", "y")  # the model says what they mean


class Meaningless:
    """No number, string, sequence, path or callable."""

    def __repr__(self):
        return "<meaningless>"


def public_classes():
    for module in MODULES:
        found = {name: value for name, value in vars(module).items() if inspect.isclass(value) and name[0] != "_"}
        for name, cls in found.items():
            if cls.__module__.startswith(module.__name__) and name not in BASES:
                yield cls


def arguments():
    for cls in dict.fromkeys(public_classes()):
        parameters = [p for p in inspect.signature(cls).parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
        for parameter in parameters:
            if parameter.name not in (*UNUSED, *AT_BUILD):
                given = {p.name: REQUIRED[p.name] for p in parameters if p.default is p.empty}
                yield pytest.param(cls, given, parameter.name, id=f"{cls.__name__}-{parameter.name}")


@pytest.mark.parametrize(("cls", "given", "name"), list(arguments()))
def test_an_integer_beyond_float64_is_taken_or_refused(cls, given, name):
    with contextlib.suppress(ValueError):
        cls(**{**given, name: 10**400})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.Dense(4, use_bias="False"), "use_bias: expected True or False. Received: use_bias='False'"),
        (lambda: layers.Dense(4, input_shape=4), "input_shape: expected sizes, such as .*input_shape=4"),
        (lambda: layers.Dense(4, input_shape=(4, None)), "input_shape: expected a positive integer"),
        (lambda: layers.Dropout(10**400), r"rate: expected a number in \[0, 1\]"),
        (lambda: layers.ELU(float("nan")), "alpha: expected a finite number. Received: alpha=nan"),
        (lambda: layers.BatchNormalization(epsilon=True), "epsilon: expected a positive number"),
        (lambda: callbacks.EarlyStopping(patience=-1), "patience: expected a number >= 0. Received: patience=-1"),
        (lambda: callbacks.EarlyStopping(min_delta=float("inf")), "min_delta: expected a finite number"),
        (lambda: callbacks.ReduceLROnPlateau(factor=1), r"factor: expected a number in \[0, 1\). Received: factor=1"),
        (lambda: callbacks.CSVLogger(""), "filename: expected a path. Received: filename=''"),
        (lambda: callbacks.CSVLogger(b"log.csv"), "filename: expected a path"),
        (lambda: callbacks.CSVLogger("log.csv", separator=", "), "separator: expected one character"),
        (lambda: callbacks.LearningRateScheduler(0.1), "schedule: expected a function .*schedule=0.1"),
        (
            lambda: initializers.RandomUniform(0.5, 0.25),
            "maxval: expected a number >= minval=0.5. Received: maxval=0.25",
        ),
        (lambda: initializers.Constant([1, 2]), r"value: expected a number. Received: value=\[1, 2\]"),
        (lambda: initializers.VarianceScaling(distribution=[]), "distribution: expected one of"),
        (lambda: layers.Normalization(axis="channels"), "axis: expected None, an integer or several"),
        (lambda: layers.Normalization(axis=[-1, 1.5]), "axis: expected None, an integer or several"),
        (lambda: optimizers.schedules.ExponentialDecay(0.1, 10, -1), "decay_rate: expected a finite number >= 0"),
        (lambda: metrics.AUC(thresholds=[[0.5]]), "thresholds: expected None or numbers from 0 to 1"),
        (lambda: optimizers.SGD(optimizers.schedules.CosineDecay("0.1", 10)), "initial_learning_rate='0.1'"),
        (lambda: optimizers.SGD(lambda: None).learning_rate, "learning_rate: expected .*learning_rate=None"),
    ],
)
def test_what_is_nearly_right_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_what_means_something_is_taken(tmp_path):
    assert callbacks.EarlyStopping(patience=float("inf"), baseline=-float("inf"), verbose=True).verbose == 1
    assert callbacks.ModelCheckpoint(tmp_path / "m.keras", initial_value_threshold=float("inf")).best == float("inf")
    assert layers.Dense(4, use_bias=np.bool_(False)).use_bias is False
    assert layers.Dense(4, use_bias=1, input_shape=[np.int64(3)]).first_input_shape == (None, 3)


def model():
    return models.Sequential([layers.Input((3,)), layers.Dense(2)])


def compiled():
    result = model()
    result.compile("sgd", "mse")
    return result


def data():
    return np.ones((4, 3), np.float32), np.zeros((4, 2), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: models.Sequential(layers.Dense(2)), TypeError, "expected a list of layers. Received: <Dense"),
        (lambda: model().summary(line_length="88"), ValueError, "line_length: expected a positive integer"),
        (lambda: model().summary(positions=0.5), ValueError, "positions: expected a list of numbers"),
        (lambda: model().summary(positions=[0.5, "0.8", 1.0]), ValueError, "positions: expected a finite number >= 0"),
        (lambda: model().summary(print_fn="text"), ValueError, "print_fn: expected a function of the text"),
        (
            lambda: model().summary(layer_range=1),
            ValueError,
            "layer_range must be two strings. Received: layer_range=1",
        ),
        (lambda: compiled().check_gradients(*data(), tolerance=0), ValueError, "tolerance: expected a positive number"),
        (lambda: compiled().check_gradients(*data(), seed="x"), ValueError, "seed: expected an integer >= 0"),
        (lambda: compiled().profile(*data(), seconds=None), ValueError, "seconds: expected a positive number"),
        (lambda: fastconv.plot.plot_confusion_matrix([0, 1], [1, 1], 2), ValueError, "classes: expected a list of 2"),
        (lambda: model().set_weights(None), ValueError, "expected a list of 2 arrays of weights. Received: None"),
        (lambda: saving.save_onnx("m.onnx", model()), ValueError, "model: expected a Model.* Received: 'm.onnx'"),
        (lambda: saving.save_onnx(None, "m.onnx"), ValueError, "model: expected a Model or a Sequential"),
        (lambda: saving.save_torch(3, "m.safetensors"), ValueError, "model: expected a Model.* Received: 3"),
        (lambda: saving.save_torch(model(), "m.safetensors", names="dense"), ValueError, "names: expected a dict"),
        (lambda: fastconv.plot.plot_history(model()), ValueError, "history: expected what fit returned"),
        (lambda: fastconv.plot.plot_history([0.5, 0.25]), ValueError, "history: expected what fit returned"),
    ],
)
def test_functions_refuse_what_is_no_model_or_list(call, error, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        call()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("share", ["0.2", 1, -0.5, True])
def test_fit_refuses_a_validation_split_that_is_no_share(share):
    one = model()
    one.compile("sgd", "mse")
    x = np.zeros((4, 3), np.float32)
    with pytest.raises(ValueError, match=r"validation_split: expected a number in \[0, 1\)"):
        one.fit(x, x[:, :2], validation_split=share, verbose=0)


@pytest.mark.parametrize(("cls", "given", "argument"), list(arguments()))
def test_a_constructor_refuses_what_means_nothing(cls, given, argument):
    if cls is callbacks.TensorBoard:
        pytest.importorskip("tensorboardX", reason="tensorboardX is not installed: TensorBoard is not made")
    with pytest.raises(ValueError, match=rf"{argument}: expected .*Received: .*<meaningless>"):
        cls(**{**given, argument: Meaningless()})
