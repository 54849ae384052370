"""The choice of a device: what is taken, what is refused and why. Stand-ins play the extension module and CuPy."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
from fake_cuda import UNUSABLE, cupy, kernels, raising

import fastconv
from fastconv import device, layers


@pytest.mark.parametrize("case", UNUSABLE)
def test_a_gpu_that_cannot_be_used_is_refused_with_reason_and_remedy(install, case):
    *parts, message = UNUSABLE[case]
    install(*parts)
    with pytest.raises(RuntimeError, match=message):
        fastconv.set_device("cuda")
    assert fastconv.get_device() == "cpu"


@pytest.mark.parametrize("case", UNUSABLE)
def test_auto_takes_the_cpu_then(install, case):
    *parts, _ = UNUSABLE[case]
    install(*parts)
    fastconv.set_device("auto")
    assert fastconv.get_device() == "cpu"


def test_auto_takes_a_gpu_that_can_be_used(install):
    install(kernels(), cupy())
    assert fastconv.get_device() == "cuda"
    fastconv.set_device("cpu")
    assert fastconv.get_device() == "cpu"
    fastconv.set_device("cuda")
    assert fastconv.get_device() == "cuda"


def test_an_extension_that_does_not_load_says_why(install, monkeypatch):
    install(None)
    monkeypatch.setattr(device.importlib, "import_module", raising(ImportError("undefined symbol: x")))
    with pytest.raises(RuntimeError, match="does not load.*undefined symbol: x.*Build it again"):
        device.set_device("cuda")


def test_a_refused_device_changes_nothing(install):
    install(None)
    fastconv.set_device("cpu")
    for name, error in (("cuda", RuntimeError), ("gpu", ValueError), (None, ValueError)):
        with pytest.raises(error):
            fastconv.set_device(name)
    assert device.requested() == "cpu"


def test_the_environment_names_the_device(install, monkeypatch):
    install(kernels(), cupy())
    monkeypatch.setenv("FASTCONV_DEVICE", "cpu")
    assert fastconv.get_device() == "cpu"
    fastconv.set_device("cuda")
    assert fastconv.get_device() == "cuda"


def test_a_gpu_that_the_environment_asks_for_is_not_replaced_in_silence(install, monkeypatch):
    install(None)
    monkeypatch.setenv("FASTCONV_DEVICE", "cuda")
    model = fastconv.Sequential([layers.Input((3,)), layers.Dense(2)])
    with pytest.raises(RuntimeError, match="built without CUDA"):
        model.predict(np.ones((1, 3)), verbose=0)


def test_an_environment_that_names_no_device(install, monkeypatch):
    install(None)
    monkeypatch.setenv("FASTCONV_DEVICE", "gpu")
    with pytest.raises(ValueError, match="FASTCONV_DEVICE: expected.*Received: 'gpu'"):
        fastconv.get_device()


def test_auto_says_once_what_it_chose(install, caplog):
    install(None)
    model = fastconv.Sequential([layers.Input((3,)), layers.Dense(2)])
    with caplog.at_level(logging.INFO, "fastconv"):
        for _ in range(2):
            model.predict(np.ones((1, 3)), verbose=0)
    assert [record.getMessage() for record in caplog.records] == [
        "models run on the device 'cpu': fastconv was built without CUDA"
    ]


def test_a_device_that_was_named_needs_no_word(install, caplog):
    install(None)
    fastconv.set_device("cpu")
    with caplog.at_level(logging.INFO, "fastconv"):
        device.ops()
    assert not caplog.records


def test_the_device_is_the_one_that_models_ran_on(install, monkeypatch):
    install(None)
    monkeypatch.setattr(device, "_ops", SimpleNamespace(name="cuda"))
    assert fastconv.get_device() == "cuda"


def test_using_returns_to_what_was_set(install):
    install(kernels(), cupy())
    with device.using("cpu"):
        assert fastconv.get_device() == "cpu"
    assert fastconv.get_device() == "cuda"


@pytest.mark.parametrize(
    ("architectures", "capability", "runs"),
    [
        ("80-real", (8, 0), True),
        ("80-real", (8, 6), True),
        ("86-real", (8, 0), False),
        ("80-real", (9, 0), False),
        ("80", (9, 0), True),
        ("80-virtual", (12, 0), True),
        ("90a-real", (9, 0), True),
        ("90a-real", (9, 1), False),
        ("90a", (10, 0), False),
        ("100f-real", (10, 3), True),
        ("80-real,86-real,90a-real,120", (10, 0), False),
        ("80-real,86-real,90a-real,120", (12, 1), True),
        ("native", (8, 0), True),
    ],
)
def test_what_machine_code_and_ptx_run_on(architectures, capability, runs):
    assert device.covers(architectures, capability) == runs
