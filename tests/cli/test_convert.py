import json
import os

import numpy as np
import pytest

import fastconv
from fastconv.models.networks import NETWORKS

pytest.importorskip("h5py", reason="h5py is not installed: Keras' files cannot be written")


def weights(network, path):
    model = NETWORKS[network].factory()
    model.load_weights(path)
    return model.get_weights()


def assert_same(found, expected):
    for array, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(array, other)


@pytest.mark.parametrize("name", ["a.keras", "a.weights.h5", "a.safetensors"])
def test_weights_go_through_every_file_and_back(program, networks, name):
    assert program("convert", "conv.safetensors", name).code == 0
    assert program("convert", name, "back.safetensors").code == 0
    assert_same(weights("conv", "back.safetensors"), weights("conv", "conv.safetensors"))


def test_weights_go_to_pytorch_and_back(program, networks):
    assert program("convert", "conv.safetensors", "torch.safetensors", "--to-torch").code == 0
    assert program("convert", "torch.safetensors", "back.safetensors", "--from-torch", "--model", "conv").code == 0
    assert_same(weights("conv", "back.safetensors"), weights("conv", "conv.safetensors"))


def test_a_model_made_of_weights_has_names_of_its_own(program, networks):
    program("convert", "conv.safetensors", "a.keras")
    assert [layer.name for layer in fastconv.load_model("a.keras").layers][1:] == [
        "conv2d",
        "conv2d_1",
        "flatten",
        "dense",
    ]


def test_a_model_keeps_what_it_was_compiled_with(program, networks):
    assert program("convert", "small.keras", "b.keras").code == 0
    assert fastconv.load_model("b.keras").compile_arguments["loss"] == "sparse_categorical_crossentropy"


def test_weights_of_other_models_need_a_file_of_their_layers(program, networks):
    program("convert", "small.keras", "small.safetensors")
    result = program("convert", "small.safetensors", "b.weights.h5")
    assert result.code == 2
    assert "expected the weights of mlp, conv, cnn, cnn-first-bn, resnet20, or --model FILE.keras" in result.err
    assert program("convert", "small.safetensors", "b.keras", "--model", "small.keras").code == 0
    assert_same(fastconv.load_model("b.keras").get_weights(), fastconv.load_model("small.keras").get_weights())


def test_onnx_is_written(program, networks):
    pytest.importorskip("onnx", reason="onnx is not installed (pip install onnx)")
    result = program("convert", "conv.safetensors", "a.onnx")
    size = os.path.getsize("a.onnx")
    assert result.out == f"Wrote a.onnx: 15,120 parameters, {size:,} bytes\n"


def test_json(program, networks):
    report = json.loads(program("convert", "small.keras", "a.safetensors", "--json").out)
    size = os.path.getsize("a.safetensors")
    assert report == {
        "file": "small.keras",
        "out": "a.safetensors",
        "bytes": size,
        "model": "sequential",
        "parameters": 196,
    }


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("small.keras", "a.h5"), "OUT: expected a name that ends in .keras, .weights.h5, .safetensors, .onnx"),
        (("a.onnx", "a.keras"), "Received: a.onnx. ONNX files are written alone"),
        (("a.txt", "a.keras"), "expected a file that ends in .keras, .weights.h5, .safetensors. Received: a.txt"),
        (("missing.keras", "a.keras"), "There is no model file missing.keras"),
        (("missing.safetensors", "a.keras"), "There is no weights file missing.safetensors"),
        (("damaged.keras", "a.keras"), "damaged.keras: damaged, or no .keras file"),
        (("small.keras", "a.safetensors", "--model", "cnn"), "--model: expected with weights alone"),
        (("conv.safetensors", "a.keras", "--model", "vgg"), "cnn-first-bn, resnet20 or a .keras file"),
        (("conv.safetensors", "a.keras", "--model", "cnn"), "conv.safetensors holds the weights of another model"),
        (("small.keras", "a.keras", "--to-torch"), "--to-torch: expected a file that ends in .safetensors"),
        (("small.keras", "a.safetensors", "--from-torch"), "--from-torch: expected a file that ends in .safetensors"),
    ],
)
def test_what_is_impossible_is_refused(program, networks, args, words):
    (networks / "damaged.keras").write_bytes(b"PK")
    before = sorted(os.listdir())
    result = program("convert", *args)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert words in result.err and sorted(os.listdir()) == before


def test_a_folder_that_is_not_there_is_a_failure(program, networks):
    result = program("convert", "small.keras", "missing/a.safetensors")
    assert result.code == 1 and "cannot write missing/a.safetensors: The folder" in result.err
