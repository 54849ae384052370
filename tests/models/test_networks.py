import pytest

from fastconv.models.networks import NETWORKS, cnn


@pytest.mark.parametrize(
    "name, total, trainable",
    [
        ("mlp", 646_260, 646_260),
        ("conv", 15_120, 15_120),
        ("cnn", 592_554, 591_914),
        ("cnn-first-bn", 591_402, 591_338),
        ("resnet20", 273_658, 272_282),
    ],
)
def test_parameters_are_those_keras_counts(name, total, trainable):
    model = NETWORKS[name].factory()
    counts = model.count_params(), sum(weight.array.size for weight in model.trainable_weights)
    assert counts == (total, trainable)


def test_dropout_of_0_leaves_the_layer_out():
    assert not any(type(layer).__name__ == "Dropout" for layer in cnn(dropout=0).layers)


@pytest.mark.parametrize("name", NETWORKS)
def test_other_images_and_classes_are_possible(name):
    model = NETWORKS[name].factory(input_shape=(16, 20, 1), classes=4)
    assert (model.input_shape, model.output_shape) == ((None, 16, 20, 1), (None, 4))


def test_an_unknown_batch_norm_is_refused():
    with pytest.raises(ValueError, match=r"\('all', 'first'\). Received: batch_norm='none'"):
        cnn(batch_norm="none")
