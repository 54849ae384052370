"""What objects say they were made with."""

import inspect

import pytest

from fastconv import initializers, layers, losses, metrics, optimizers, regularizers
from fastconv.settings import Configurable, arguments

# What classes need to be made at all.
GIVEN = {
    "Accuracy": {"name": "accuracy"},
    "Activation": {"activation": "relu"},
    "BatchNormalization": {"momentum": 0.9},
    "Conv2D": {"filters": 3, "kernel_size": 2, "strides": 2, "padding": "same"},
    "Conv2DTranspose": {"filters": 3, "kernel_size": 2, "strides": 2, "padding": "same", "output_padding": (0, 1)},
    "Cropping2D": {"cropping": ((1, 2), (3, 4))},
    "Dense": {"units": 3, "activation": "relu"},
    "DepthwiseConv2D": {"kernel_size": 2, "depth_multiplier": 2},
    "Dropout": {"rate": 0.5},
    "LeakyReLU": {"negative_slope": 0.1},
    "ELU": {"alpha": 0.5},
    "Normalization": {"axis": (1, 2), "mean": 0.5, "variance": 2.0},
    "RandomCrop": {"height": 3, "width": 2, "seed": 1},
    "RandomTranslation": {"height_factor": 0.1, "width_factor": (0.1, 0.2), "fill_mode": "wrap"},
    "Rescaling": {"scale": 0.5, "offset": 1.0},
    "Reshape": {"target_shape": (2, -1)},
    "SeparableConv2D": {"filters": 3, "kernel_size": 2},
    "CosineDecay": {"initial_learning_rate": 0.1, "decay_steps": 10},
    "CosineDecayRestarts": {"initial_learning_rate": 0.1, "first_decay_steps": 10},
    "ExponentialDecay": {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5},
    "InverseTimeDecay": {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5},
    "OneCycle": {"max_learning_rate": 0.1, "total_steps": 10},
    "PiecewiseConstantDecay": {"boundaries": [2, 4], "values": [0.1, 0.2, 0.3]},
    "PolynomialDecay": {"initial_learning_rate": 0.1, "decay_steps": 10},
}
# Bases, and the layer that is saved by its shape.
NOT_MADE = (
    "Initializer",
    "InputLayer",
    "Layer",
    "LearningRateSchedule",
    "Loss",
    "Merge",
    "Metric",
    "Optimizer",
    "Regularizer",
)


def classes():
    modules = (initializers, layers, losses, metrics, optimizers, optimizers.schedules, regularizers)
    found = {
        value
        for module in modules
        for name, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, Configurable) and name[0] != "_" and value.__name__[0] != "_"
    }
    return sorted(found - {Configurable}, key=lambda c: (c.__name__, c.__module__))


@pytest.mark.parametrize("cls", [c for c in classes() if c.__name__ not in NOT_MADE], ids=lambda c: c.__name__)
def test_settings_make_the_same_again(cls):
    thing = cls(**GIVEN.get(cls.__name__, {}))
    config = thing.get_config()
    assert set(config) == set(arguments(cls))
    for name, value in GIVEN.get(cls.__name__, {}).items():
        expected = (value, value) if name in ("kernel_size", "strides") else value
        assert config[name] == expected or tuple(config[name]) == tuple(expected)
    again = cls.from_config(config)
    assert type(again) is cls and again.get_config() == config
