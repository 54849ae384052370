# %% [markdown]
# # CIFAR-10: an autoencoder
#
# A network that returns its own input has learned nothing, unless the image has to pass through a bottleneck on its
# way: here 64 numbers in place of 32 x 32 x 3 = 3072. The half before it, the *encoder*, has to find out what matters
# in an image, and the half behind it, the *decoder*, what images look like. No labels are needed for that.
#
# In the end the same network removes noise, and its encoder serves another one that names the images.

# %%
import os
import time

import numpy as np

from fastconv import datasets, layers, models, optimizers, utils

EPOCHS = int(os.environ.get("FASTCONV_EXAMPLE_EPOCHS", "10"))
IMAGES = int(os.environ.get("FASTCONV_EXAMPLE_IMAGES", "50000"))  # at most so many, of each of the two sets
USE_SAMPLE = os.environ.get("FASTCONV_EXAMPLE_DATA") == "sample"
CODE_SIZE = 64
BATCH_SIZE = 64

utils.set_random_seed(0)  # the same weights, order of images and noise in every run

# %% [markdown]
# ## The data
#
# `load_data()` finds CIFAR-10 on this machine or downloads it (170 MB). `load_sample()` has a tenth of it, comes with
# fastconv and needs no network: set `USE_SAMPLE = True` above, or the environment variable
# `FASTCONV_EXAMPLE_DATA=sample`. The labels wait until the last section.

# %%
try:
    (x_train, y_train), (x_test, y_test) = datasets.load_sample() if USE_SAMPLE else datasets.cifar10.load_data()
except datasets.DataNotFoundError as error:
    print(error, "\n\nGoing on with the bundled sample: expect blurrier images than with the full set.")
    (x_train, y_train), (x_test, y_test) = datasets.load_sample()

x_train, y_train = x_train[:IMAGES].astype("float32") / 255.0, y_train[:IMAGES]
x_test, y_test = x_test[:IMAGES].astype("float32") / 255.0, y_test[:IMAGES]
print(len(x_train), "training and", len(x_test), "test images")

# %% [markdown]
# ## What would be good?
#
# The *mean squared error* (MSE) of a reconstruction says little by itself. So here are two ways to get an image through
# as narrow a bottleneck, without a network:
#
# * *smaller*: the means of squares of 8 x 8 pixels are 4 x 4 x 3 = 48 numbers. Both directions are layers: a model
#   need not have weights.
# * *PCA* (principal component analysis): of all pairs of dense layers without an activation, 3072 to 64 to 3072, the
#   one with the smallest MSE. It needs no gradient descent: random directions are multiplied by the covariance of the
#   images, again and again ("subspace iteration"), and those in which images differ most remain.


# %%
image = layers.Input((32, 32, 3))
smaller_code = layers.AveragePooling2D(8)(image)
smaller = models.Model(image, layers.UpSampling2D(8)(smaller_code))

rows = x_train[:10000].reshape(-1, 32 * 32 * 3)
mean = rows.mean(axis=0)
rows = rows - mean
components = np.random.normal(size=(rows.shape[1], CODE_SIZE)).astype("float32")
for _ in range(20):
    components, _ = np.linalg.qr(rows.T @ (rows @ components))

pca_code = layers.Dense(CODE_SIZE)(layers.Flatten()(image))
pca = models.Model(image, layers.Reshape((32, 32, 3))(layers.Dense(32 * 32 * 3)(pca_code)))
pca.set_weights([components, -mean @ components, components.T, mean])


def table(models_by_name, inputs):
    print(f"{'':12}  MSE")
    for name, model in models_by_name.items():
        outputs = model.predict(inputs, batch_size=1000, verbose=0)
        print(f"{name:12}  {np.mean((outputs - x_test) ** 2):.5f}")


table({"smaller": smaller, "PCA": pca}, x_test)

# %% [markdown]
# ## The network
#
# The encoder is built like the networks of the other examples: convolutions, here all of stride 2, each with a batch
# normalization and a LeakyReLU. The dense layer behind them has no activation, as a code may be any number.
#
# The decoder goes the same way back. `Conv2DTranspose` is what the gradient of a convolution computes, used as a layer:
# it lays its filter, times the pixel, over the output, once for every pixel, and moves on by the stride each time. So
# stride 2 doubles the size. A kernel of 4, twice the stride, covers every pixel of the output equally often; with 3
# some would get one patch, others two or four, which shows as a checkerboard (Odena et al. 2016,
# https://distill.pub/2016/deconv-checkerboard).
#
# Both halves are models, and a model can be called like a layer.

# %%
image = x = layers.Input((32, 32, 3))
for filters in (32, 64, 128):
    x = layers.Conv2D(filters, kernel_size=3, strides=2, padding="same")(x)
    x = layers.BatchNormalization()(x)
    x = layers.LeakyReLU()(x)
x = layers.Flatten()(x)
encoder = models.Model(image, layers.Dense(CODE_SIZE)(x), name="encoder")

code = layers.Input((CODE_SIZE,))
x = layers.Dense(4 * 4 * 128)(code)
x = layers.Reshape((4, 4, 128))(x)
for filters in (64, 32):
    x = layers.BatchNormalization()(x)
    x = layers.LeakyReLU()(x)
    x = layers.Conv2DTranspose(filters, kernel_size=4, strides=2, padding="same")(x)
x = layers.BatchNormalization()(x)
x = layers.LeakyReLU()(x)
x = layers.Conv2DTranspose(3, kernel_size=4, strides=2, padding="same")(x)
decoder = models.Model(code, x, name="decoder")

image = layers.Input((32, 32, 3))
autoencoder = models.Model(image, decoder(encoder(image)))
autoencoder.summary()

# %% [markdown]
# ## Training
#
# The images are the labels. The learning rate falls to 0 along a cosine: in the end small steps settle what large ones
# leave undecided.


# %%
def train(inputs, targets, epochs):
    steps = epochs * -(-len(inputs) // BATCH_SIZE)
    rate = optimizers.schedules.CosineDecay(initial_learning_rate=0.002, decay_steps=steps)
    autoencoder.compile(optimizers.Adam(rate), "mse")
    start = time.perf_counter()
    autoencoder.fit(inputs, targets, batch_size=BATCH_SIZE, epochs=epochs)
    print(f"{epochs} epochs in {time.perf_counter() - start:.0f} s")


train(x_train, x_train, EPOCHS)

# %%
all_three = {"smaller": smaller, "PCA": pca, "autoencoder": autoencoder}
table(all_three, x_test)

# %% [markdown]
# A run on all of CIFAR-10 gave 0.02130, 0.00846 and 0.00811. The network beats the best that sums of pixels can do, by
# 4 %. Both are blurred, for the same reason: a sharp edge in a slightly wrong place costs more MSE than none. (With the
# 5 epochs of noise below that run took five minutes, on two cores that had other work besides.)
#
# ## To look at
#
# Numbers are one thing. The pictures need matplotlib; where there is no notebook to show them, look at the file.


# %%
def show(path, images):
    try:
        from matplotlib import pyplot
    except ImportError:
        print('No pictures: they need matplotlib, pip install "fastconv[plot]"')
        return
    figure, axes = pyplot.subplots(len(images), 10, figsize=(10, 1.1 * len(images)), squeeze=False)
    for line, (name, batch) in zip(axes, images.items(), strict=True):
        line[0].set_title(name, loc="left", fontsize=9)
        for ax, one in zip(line, batch, strict=False):
            ax.imshow(np.clip(one, 0, 1))
        for ax in line:
            ax.axis("off")
    figure.savefig(path)
    print("written:", path)


def of_each(inputs):
    return {name: model.predict(inputs, verbose=0) for name, model in all_three.items()}


show("cifar10_autoencoder.png", {"images": x_test[:10], **of_each(x_test[:10])})

# %% [markdown]
# ## Removing noise
#
# Nothing says that input and target must be the same image. With noise on the input and a clean target the network
# learns what is no part of an image: the noise of a pixel has nothing to do with its neighbours, so it does not fit
# through the bottleneck (Vincent et al. 2008, *Extracting and composing robust features with denoising autoencoders*).
# Training goes on from the weights of above.


# %%
def noisy(x):
    return np.clip(x + np.random.normal(scale=0.2, size=x.shape), 0, 1).astype("float32")


train(noisy(x_train), x_train, (EPOCHS + 1) // 2)

x_noisy = noisy(x_test)
print(f"the noise itself: MSE {np.mean((x_noisy - x_test) ** 2):.5f}")
table(all_three, x_noisy)
show("cifar10_denoised.png", {"images": x_test[:10], "noisy": x_noisy[:10], **of_each(x_noisy[:10])})

# %% [markdown]
# That run: 0.03329 for the noise itself, then 0.02220, 0.00965 and 0.00868. Here the network is 10 % ahead of PCA,
# whose directions take along the noise that lies in them; the encoder was taught what to leave out.
#
# ## The encoder for something else
#
# The code was made for pixels, and without labels. Is there anything in it about what the image *shows*? The encoder is
# frozen, `trainable = False`, and two dense layers learn the classes from its 64 numbers: only these layers are
# updated, and the backward pass ends with them. In the summary the encoder's parameters are the non-trainable ones (and
# the 128 of a batch normalization, which brings the codes to one scale). The other two codes get the same layers.


# %%
def classifier(features):
    features.trainable = False
    image = layers.Input((32, 32, 3))
    x = layers.BatchNormalization()(layers.Flatten()(features(image)))
    x = layers.Dense(128, activation="relu")(x)
    model = models.Model(image, layers.Dense(10, activation="softmax")(x))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


classifier(encoder).summary()

# %%
before = encoder.get_weights()
codes = {
    "smaller": models.Model(smaller.input, smaller_code),
    "PCA": models.Model(pca.input, pca_code),
    "autoencoder": encoder,
}
print("              test accuracy")
for name, features in codes.items():
    model = classifier(features)
    model.fit(x_train, y_train, batch_size=128, epochs=EPOCHS, verbose=0)
    _, accuracy = model.evaluate(x_test, y_test, batch_size=1000, verbose=0)
    print(f"{name:12}  {accuracy:.4f}")
unchanged = all(np.array_equal(a, b) for a, b in zip(before, encoder.get_weights(), strict=True))
print("the encoder is as it was:", unchanged)

# %% [markdown]
# That run: 0.4808, 0.5158 and 0.5175; chance is 0.1. So there is something about the classes in 64 numbers that were
# made without any label, and no more of it than in PCA's: what it takes to draw an image well is not what it takes to
# tell a cat from a dog. With labels from the beginning a network of such convolutions reaches more than 0.7
# ([cifar10_batch_normalization](cifar10_batch_normalization.ipynb)).
