# %% [markdown]
# # CIFAR-10: what batch normalization does
#
# One convolutional network is trained twice: with a batch normalization after each layer, and with the first of them
# only. In between: what the layer computes while training and when testing, and what a loss of NaN means. In the end
# the network names some test images and is saved.

# %%
import os

import numpy as np

from fastconv import datasets, layers, models, ops, optimizers, utils

EPOCHS = int(os.environ.get("FASTCONV_EXAMPLE_EPOCHS", "10"))
IMAGES = int(os.environ.get("FASTCONV_EXAMPLE_IMAGES", "50000"))  # at most so many, of each of the two sets
USE_SAMPLE = os.environ.get("FASTCONV_EXAMPLE_DATA") == "sample"
NUM_CLASSES = 10

utils.set_random_seed(0)  # the same weights, order of images and dropout in every run

# %% [markdown]
# ## The data
#
# `load_data()` finds CIFAR-10 on this machine or downloads it (170 MB). `load_sample()` has a tenth of it, comes with
# fastconv and needs no network: set `USE_SAMPLE = True` above, or the environment variable
# `FASTCONV_EXAMPLE_DATA=sample`.

# %%
try:
    (x_train, y_train), (x_test, y_test) = datasets.load_sample() if USE_SAMPLE else datasets.cifar10.load_data()
except datasets.DataNotFoundError as error:
    print(error, "\n\nGoing on with the bundled sample: expect lower accuracy than with the full set.")
    (x_train, y_train), (x_test, y_test) = datasets.load_sample()

x_train = x_train[:IMAGES].astype("float32") / 255.0
x_test = x_test[:IMAGES].astype("float32") / 255.0
y_train = utils.to_categorical(y_train[:IMAGES], NUM_CLASSES)
y_test = utils.to_categorical(y_test[:IMAGES], NUM_CLASSES)
print(len(x_train), "training and", len(x_test), "test images")

# %% [markdown]
# ## What the layer computes while training
#
# For each channel it takes the mean and the variance over all images of the batch and all pixels, and then
#
# > y = gamma * (x - mean) / sqrt(variance + 0.001) + beta
#
# Whatever the scale of x was, y is centred on beta with a spread of gamma. Both are learned by gradient descent like
# other weights; they start at 1 and 0. Here are two channels of very different scale:

# %%
x = np.random.normal(loc=[5, -200], scale=[0.5, 30], size=(32, 8, 8, 2)).astype("float32")
y, mean, variance = ops.batch_norm(x, gamma=np.ones(2, "float32"), beta=np.zeros(2, "float32"))
print("before: mean", x.mean(axis=(0, 1, 2)), "spread", x.std(axis=(0, 1, 2)))
print("after:  mean", y.mean(axis=(0, 1, 2)).round(3), "spread", y.std(axis=(0, 1, 2)).round(3))

# %% [markdown]
# ## Why
#
# The images are scaled once, before the first layer. What the later layers see depends on the weights of all layers
# before them, and these change with every step. If the numbers grow from layer to layer, so do the gradients; large
# gradients make large steps, and large steps make larger numbers. Normalizing between the layers breaks this chain
# and allows larger learning rates. (The authors' own explanation was the shifting inputs, "covariate shift", Ioffe
# and Szegedy 2015, arXiv:1502.03167. Santurkar et al. 2018, arXiv:1805.11604, found that a smoother loss explains
# more.)
#
# ## The network

# %%


def convolution(x, filters, strides, normalize):
    x = layers.Conv2D(filters=filters, kernel_size=3, strides=strides, padding="same")(x)
    if normalize:
        x = layers.BatchNormalization()(x)
    return layers.LeakyReLU()(x)


def cnn(normalize_all):
    input_layer = layers.Input((32, 32, 3))

    x = convolution(input_layer, filters=32, strides=1, normalize=True)
    x = convolution(x, filters=32, strides=2, normalize=normalize_all)
    x = convolution(x, filters=64, strides=1, normalize=normalize_all)
    x = convolution(x, filters=64, strides=2, normalize=normalize_all)

    x = layers.Flatten()(x)

    x = layers.Dense(128)(x)
    if normalize_all:
        x = layers.BatchNormalization()(x)
    x = layers.LeakyReLU()(x)
    x = layers.Dropout(rate=0.5)(x)

    output_layer = layers.Dense(NUM_CLASSES, activation="softmax")(x)
    return models.Model(input_layer, output_layer)


# %%
model = cnn(normalize_all=True)
model.summary()

# %% [markdown]
# A batch normalization of 32 channels has 4 x 32 = 128 parameters. Gamma and beta are trainable. The other two, the
# moving averages of mean and variance, are not: gradient descent does not touch them, each training step moves them
# towards the batch's values by 1 %. With 2 x (32 + 32 + 64 + 64 + 128) = 640 they are the non-trainable ones in the
# summary.

# %%
opt = optimizers.Adam(learning_rate=0.0005)
model.compile(loss="categorical_crossentropy", optimizer=opt, metrics=["accuracy"])

model.fit(x_train, y_train, batch_size=32, epochs=EPOCHS, shuffle=True)
loss, accuracy = model.evaluate(x_test, y_test, batch_size=1000)
print(f"all normalizations: test loss {loss:.4f}, test accuracy {accuracy:.4f}")

# %% [markdown]
# ## And when testing?
#
# `evaluate` and `predict` normalize by the moving averages in place of the batch's own mean and variance. So the
# answer for an image does not depend on which others are in its batch, a batch of one works, and `batch_size=1000`
# changes the speed but not the result (beyond the last digits). Dropout is off.
#
# The averages start at mean 0 and variance 1 and need some hundred steps to forget that: 0.99 to the power of 100 is
# still 0.37. After very few steps `evaluate` can look much worse than training did.

# %%
alone = model.predict(x_test[:1], verbose=0)
among_others = model.predict(x_test[:100], verbose=0)[:1]
print("largest difference:", np.abs(alone - among_others).max())

# %% [markdown]
# ## Only the first normalization
#
# The optimizer is the object from above. Adam keeps two running averages for each weight of its model, which mean
# nothing to the weights of another one. fastconv warns and starts afresh, so the comparison is fair; Keras 3 stops with
# an error. In your own code give each model an optimizer of its own.

# %%
first_only = cnn(normalize_all=False)
first_only.compile(loss="categorical_crossentropy", optimizer=opt, metrics=["accuracy"])

first_only.fit(x_train, y_train, batch_size=32, epochs=EPOCHS, shuffle=True)
first_loss, first_accuracy = first_only.evaluate(x_test, y_test, batch_size=1000)

print("                     parameters  test loss  test accuracy")
print(f"all normalizations   {model.count_params():10,}  {loss:9.4f}  {accuracy:13.4f}")
print(f"the first one only   {first_only.count_params():10,}  {first_loss:9.4f}  {first_accuracy:13.4f}")

# %% [markdown]
# ## A loss of NaN
#
# With a learning rate that is far too high the chain of "Why" does run away. In float32 a number above 3.4e38 becomes
# infinite, and infinity minus infinity is NaN, "not a number". Any sum with NaN in it is NaN, so the next step would
# write NaN to all weights. `fit` stops before it and says where the first such number came up, and why. Build the model
# anew (or load saved weights) and lower the learning rate, or normalize. (NaN in the images is something else; `fit`
# refuses it with an error.)

# %%
lost = cnn(normalize_all=False)
lost.compile(loss="categorical_crossentropy", optimizer=optimizers.SGD(learning_rate=100.0), metrics=["accuracy"])
try:
    lost.fit(x_train[:1000], y_train[:1000], batch_size=32, epochs=1)
except ArithmeticError as error:  # fastconv.NonFiniteError
    print(error)
    print(error.report.table())

# %% [markdown]
# ## Some test images by name
#
# `predict` returns one row of ten probabilities for an image; the place of the largest is the network's answer.

# %%
names = datasets.cifar10.LABELS
probabilities = model.predict(x_test[:10], verbose=0)
print("is          network says  probability")
for truth, row in zip(y_test[:10].argmax(axis=1), probabilities, strict=True):
    answer = row.argmax()
    print(f"{names[truth]:11} {names[answer]:12} {row[answer]:12.0%}")

# %% [markdown]
# ## Saving the weights
#
# The file holds arrays and their names and no code (format safetensors). A model of the same layers takes them back.

# %%
model.save_weights("cifar10_cnn.safetensors")

copy = cnn(normalize_all=True)
copy.load_weights("cifar10_cnn.safetensors")
print("the copy predicts the same:", np.array_equal(copy.predict(x_test[:10], verbose=0), probabilities))
