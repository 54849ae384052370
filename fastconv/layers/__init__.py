"""The layers, by Keras' names."""

from __future__ import annotations

from fastconv.layers.activation import ELU, Activation, LeakyReLU, PReLU, ReLU, Softmax
from fastconv.layers.augmentation import RandomCrop, RandomFlip, RandomTranslation
from fastconv.layers.base import Layer
from fastconv.layers.batch_normalization import BatchNormalization
from fastconv.layers.conv2d import Conv2D
from fastconv.layers.conv2d_transpose import Conv2DTranspose
from fastconv.layers.core import Flatten, Input, InputLayer, Reshape
from fastconv.layers.dense import Dense
from fastconv.layers.depthwise_conv2d import DepthwiseConv2D, SeparableConv2D
from fastconv.layers.dropout import Dropout
from fastconv.layers.merge import Add, Average, Concatenate, Maximum, Minimum, Multiply, Subtract
from fastconv.layers.pooling2d import (
    AveragePooling2D,
    AvgPool2D,
    GlobalAveragePooling2D,
    GlobalAvgPool2D,
    GlobalMaxPool2D,
    GlobalMaxPooling2D,
    MaxPool2D,
    MaxPooling2D,
)
from fastconv.layers.preprocessing import Normalization, Rescaling
from fastconv.layers.reshaping2d import Cropping2D, UpSampling2D, ZeroPadding2D

__all__ = [
    "ELU",
    "Activation",
    "Add",
    "Average",
    "AveragePooling2D",
    "AvgPool2D",
    "BatchNormalization",
    "Concatenate",
    "Conv2D",
    "Conv2DTranspose",
    "Cropping2D",
    "Dense",
    "DepthwiseConv2D",
    "Dropout",
    "Flatten",
    "GlobalAveragePooling2D",
    "GlobalAvgPool2D",
    "GlobalMaxPool2D",
    "GlobalMaxPooling2D",
    "Input",
    "InputLayer",
    "Layer",
    "LeakyReLU",
    "MaxPool2D",
    "MaxPooling2D",
    "Maximum",
    "Minimum",
    "Multiply",
    "Normalization",
    "PReLU",
    "RandomCrop",
    "RandomFlip",
    "RandomTranslation",
    "ReLU",
    "Rescaling",
    "Reshape",
    "SeparableConv2D",
    "Softmax",
    "Subtract",
    "UpSampling2D",
    "ZeroPadding2D",
]
