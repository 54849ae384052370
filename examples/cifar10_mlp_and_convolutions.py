# %% [markdown]
# # CIFAR-10: dense layers, then convolutions
#
# Three networks learn to name small photographs: a multilayer perceptron, which does not know that pixels have
# neighbours; two bare convolutions, to see what they do to shapes and parameter counts; and a convolutional network
# with batch normalization, LeakyReLU and dropout.
#
# Networks and training are Keras code: with `keras` in place of `fastconv` in the imports they run there, too. What
# Keras does not have is the bundled sample of the data, its error, and the list of class names.

# %%
import os

import numpy as np

import fastconv.utils as kutils
from fastconv.datasets import DataNotFoundError, cifar10
from fastconv.layers import Activation, BatchNormalization, Conv2D, Dense, Dropout, Flatten, Input, LeakyReLU
from fastconv.losses import CategoricalCrossentropy
from fastconv.models import Model
from fastconv.optimizers import Adam

EPOCHS = int(os.environ.get("FASTCONV_EXAMPLE_EPOCHS", "10"))
IMAGES = int(os.environ.get("FASTCONV_EXAMPLE_IMAGES", "50000"))  # at most so many, of each of the two sets
USE_SAMPLE = os.environ.get("FASTCONV_EXAMPLE_DATA") == "sample"

kutils.set_random_seed(0)  # the same weights, order of images and dropout in every run

# %% [markdown]
# ## The data
#
# `load_data()` finds CIFAR-10 on this machine or downloads it (170 MB). `load_sample()` has a tenth of it, comes with
# fastconv and needs no network: set `USE_SAMPLE = True` above, or the environment variable
# `FASTCONV_EXAMPLE_DATA=sample`.

# %%
try:
    (x_train, y_train), (x_test, y_test) = cifar10.load_sample() if USE_SAMPLE else cifar10.load_data()
except DataNotFoundError as error:
    print(error, "\n\nGoing on with the bundled sample: expect lower accuracy than with the full set.")
    (x_train, y_train), (x_test, y_test) = cifar10.load_sample()

x_train, y_train, x_test, y_test = x_train[:IMAGES], y_train[:IMAGES], x_test[:IMAGES], y_test[:IMAGES]
print("training", x_train.shape, x_train.dtype, "labels", y_train.shape)
print("test    ", x_test.shape, x_test.dtype, "labels", y_test.shape)

# %% [markdown]
# Pixels are whole numbers 0 to 255. Divided by 255 they are of the size that the initial weights are made for. A
# label is a class number; the loss compares the network's ten probabilities with ten numbers, a 1 in the place of the
# right class and 0 elsewhere ("one-hot").

# %%
x_train = x_train.astype(np.float32) / 255
x_test = x_test.astype(np.float32) / 255

print("class", y_train[0, 0], "is", cifar10.LABELS[y_train[0, 0]])
y_train = kutils.to_categorical(y_train, 10)
y_test = kutils.to_categorical(y_test, 10)
print("as a row:", y_train[0])

# %% [markdown]
# ## A multilayer perceptron
#
# `Flatten` makes a row of 32 x 32 x 3 = 3072 numbers of each image. Every unit of a `Dense` layer has one weight for
# each number of the row and a bias, so the first layer alone has (3072 + 1) x 200 = 614,600 parameters.

# %%
input_layer = Input(shape=(32, 32, 3))
x = Flatten()(input_layer)
x = Dense(units=200, activation="relu")(x)
x = Dense(units=150, activation="relu")(x)
output_layer = Dense(units=10, activation="softmax")(x)

mlp = Model(input_layer, output_layer)
mlp.summary()

# %% [markdown]
# ## Training, with a growing batch
#
# One step looks at one batch and moves every weight a little. Small batches make many cheap steps, each in a noisy
# direction: good to get going. The gradient of a large batch is an average with less noise: good to settle down.
# Growing the batch does much the same as lowering the learning rate (Smith et al. 2018, arXiv:1711.00489).
#
# A second `fit` goes on where the first ended: the weights stay, and so do Adam's running averages.

# %%
LATER_EPOCHS = (EPOCHS + 1) // 2
SCHEDULE = [(32, EPOCHS), (256, LATER_EPOCHS), (1024, LATER_EPOCHS)]  # (images in a batch, epochs)


def train(model):
    for batch_size, epochs in SCHEDULE:
        print("batches of", batch_size)
        model.fit(
            x_train, y_train, validation_data=(x_test, y_test), batch_size=batch_size, epochs=epochs, shuffle=True
        )


# %%
mlp.compile(optimizer=Adam(learning_rate=0.005), loss="categorical_crossentropy", metrics=["accuracy"])
train(mlp)

# %% [markdown]
# `fit` warns of dead units: the course's learning rate is so high for this network that nearly every ReLU of the first
# layer ends up at 0 for all images, where it has no gradient and stays. Two runs of the whole schedule (10, 5 and 5
# epochs) on all of CIFAR-10 ended at 0.33 and 0.42 test accuracy; with `Adam(learning_rate=0.0005)`, both at 0.52.

# %% [markdown]
# ## What a convolution computes
#
# A filter is a small block of weights: 3 x 3 pixels and *all* channels. Laid over a patch of the image, the two are
# multiplied element by element and everything is added up, over rows, columns and channels, to a single number (plus
# the filter's bias). The filter then moves on. So one filter makes one channel of output, however many channels came
# in, and it has (3 x 3 x channels + 1) parameters, however large the image is.
#
# A `Dense` layer has a weight of its own for every place and would have to learn to see a wheel again in each of
# them; a convolution uses the same filter in all places.

# %%
image = Input(shape=(32, 32, 3))
one_filter = Model(image, Conv2D(filters=1, kernel_size=(3, 3))(image))
kernel, bias = one_filter.get_weights()
print("kernel", kernel.shape, "(rows, columns, channels in, filters), bias", bias.shape)

row, column = 5, 7
patch = x_train[0, row : row + 3, column : column + 3, :]
by_hand = np.sum(patch * kernel[..., 0]) + bias[0]
by_layer = one_filter.predict(x_train[:1], verbose=0)[0, row, column, 0]
print(f"by hand {by_hand:.4f}, by the layer {by_layer:.4f}")

# %% [markdown]
# ## Strides and padding
#
# `strides` is how many pixels the filter moves on each time. `padding` says what happens at the border:
#
# * `"valid"`: the filter stays inside the image. It fits in (size - kernel) // stride + 1 places.
# * `"same"`: the image gets a border of zeros, as wide as it takes for size / stride places, rounded up. With stride
#   1 the size stays the *same*; with stride 2 it is halved. The kernel's size does not matter. (If the border cannot
#   be equally wide on both sides, the extra pixel goes to the bottom and the right.)

# %%
print("32 pixels, kernel, stride: same, valid")
for kernel_size, strides in [(3, 1), (3, 2), (4, 2), (5, 3)]:
    same = -(-32 // strides)  # division, rounded up
    valid = (32 - kernel_size) // strides + 1
    for padding, size in [("same", same), ("valid", valid)]:
        layer = Conv2D(1, kernel_size, strides=strides, padding=padding)
        assert layer.compute_output_shape((None, 32, 32, 3)) == (None, size, size, 1)
    print(f"{kernel_size:17}, {strides:6}: {same:4}, {valid:5}")

# %% [markdown]
# ## Two strided convolutions
#
# | step | shape of one image | parameters |
# | --- | --- | --- |
# | image | 32 x 32 x 3 | |
# | 10 filters of 4 x 4, stride 2 | 16 x 16 x 10 | (4 x 4 x 3 + 1) x 10 = 490 |
# | 20 filters of 3 x 3, stride 2 | 8 x 8 x 20 | (3 x 3 x 10 + 1) x 20 = 1,820 |
# | flatten | 8 x 8 x 20 = 1280 | |
# | dense | 10 | (1280 + 1) x 10 = 12,810 |

# %%
input_layer = Input(shape=(32, 32, 3))
conv_1 = Conv2D(filters=10, kernel_size=(4, 4), strides=2, padding="same")(input_layer)
conv_2 = Conv2D(filters=20, kernel_size=(3, 3), strides=2, padding="same")(conv_1)
flat = Flatten()(conv_2)
output_layer = Dense(units=10, activation="softmax")(flat)

conv = Model(input_layer, output_layer)
conv.summary()

parameters = [(4 * 4 * 3 + 1) * 10, (3 * 3 * 10 + 1) * 20, (8 * 8 * 20 + 1) * 10]
assert [layer.count_params() for layer in conv.layers if layer.weights] == parameters
print(f"{conv.count_params():,} parameters; the perceptron has {mlp.count_params():,}")

# %% [markdown]
# Few parameters do not mean little work: each filter is applied in each place, so these two layers multiply 16 x 16 x
# 480 + 8 x 8 x 1800 = 238,080 times for an image, with 2,280 weights.
#
# There is no activation between the layers, and a linear function of a linear function is a linear function: before
# its softmax this network can tell no more than a single dense layer could. Watch where its training accuracy stops.

# %%
conv.compile(optimizer=Adam(learning_rate=0.0005), loss=CategoricalCrossentropy(), metrics=["accuracy"])
conv.fit(x_train, y_train, validation_data=(x_test, y_test), batch_size=32, epochs=EPOCHS, shuffle=True)

# %% [markdown]
# The same arithmetic for a grey image of 64 x 64: (3 x 3 x 1 + 1) x 2 = 20 and (3 x 3 x 2 + 1) x 20 = 380 parameters.
# Flattened, 32 x 32 x 20 = 20,480 numbers remain, and the dense layer behind them has nearly all parameters of the
# network. Strides save most where they make the last image before `Flatten` small.

# %%
input_layer = Input(shape=(64, 64, 1))
x = Conv2D(filters=2, kernel_size=(3, 3), strides=1, padding="same")(input_layer)
x = Conv2D(filters=20, kernel_size=(3, 3), strides=2, padding="same")(x)
x = Flatten()(x)
output_layer = Dense(units=10, activation="softmax")(x)
Model(input_layer, output_layer).summary()

# %% [markdown]
# ## Batch normalization, LeakyReLU, dropout
#
# Each convolution is followed by
#
# * `BatchNormalization`, which brings every channel to mean 0 and variance 1 over the batch, then scales and shifts
#   it by two learned numbers ([cifar10_batch_normalization](cifar10_batch_normalization.ipynb) has more on it);
# * `LeakyReLU`: x where x is positive, 0.3 x elsewhere. A plain ReLU has gradient 0 for all negative x; a unit that
#   is negative for every image would never change again. The slope of 0.3 leaves it a way back.
#
# As the normalization comes between the two, the activation is a layer of its own here. `Dropout(0.5)` sets each
# number to 0 with probability 0.5 while training, and doubles the others so that their expected value stays. No unit
# can rely on a particular other one, which works against learning the training images by heart. When testing it does
# nothing.

# %%
input_layer = x = Input(shape=(32, 32, 3))
for filters, strides in [(32, 1), (32, 2), (64, 1), (64, 2)]:
    x = Conv2D(filters=filters, kernel_size=(3, 3), strides=strides, padding="same")(x)
    x = BatchNormalization()(x)
    x = LeakyReLU()(x)

x = Flatten()(x)

x = Dense(128)(x)
x = BatchNormalization()(x)
x = LeakyReLU()(x)
x = Dropout(rate=0.5)(x)

x = Dense(10)(x)
output_layer = Activation("softmax")(x)

cnn = Model(input_layer, output_layer)
cnn.summary()

# %%
cnn.compile(optimizer=Adam(learning_rate=0.0005), loss="categorical_crossentropy", metrics=["accuracy"])
train(cnn)

# %% [markdown]
# ## Side by side
#
# Chance is 0.1. Training and test accuracy far apart mean that a network knows its training images better than what
# is on them.

# %%
print("                 parameters  training  test")
for name, model in [("perceptron", mlp), ("two convolutions", conv), ("CNN", cnn)]:
    _, train_accuracy = model.evaluate(x_train, y_train, batch_size=1000, verbose=0)
    _, test_accuracy = model.evaluate(x_test, y_test, batch_size=1000, verbose=0)
    print(f"{name:17}{model.count_params():10,}  {train_accuracy:8.3f}  {test_accuracy:.3f}")
