"""Training goes on without growing: a step allocates nothing after the first, `fit` and `compile` leave nothing behind.

What Python and NumPy allocate is seen by tracemalloc; what the kernels would, in the resident memory of a child process
that does nothing else.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tracemalloc
import weakref

import numpy as np
import pytest

from fastconv import layers, models

SAMPLES = 16
# Bytes: less than any array of a step that has a row per sample, more than the free lists that Python refills after a
# search for cycles.
SMALL = 16_384
# Bytes of the process that Python and the allocator may take once, as it pleases them: 100 bytes for each of 10,000
# steps, and less than any array of 50 fits.
ONCE = 1 << 20
STATM = "/proc/self/statm"


def compiled_model():
    x = image = layers.Input((16, 16, 3))
    x = layers.LeakyReLU()(layers.BatchNormalization()(layers.Conv2D(8, 3, strides=2, padding="same")(x)))
    x = layers.Dropout(0.3)(layers.Flatten()(x))
    model = models.Model(image, layers.Dense(10, activation="softmax")(x))
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    return model


def data():
    rng = np.random.default_rng(0)
    return rng.random((SAMPLES, 16, 16, 3), np.float32), np.eye(10, dtype=np.float32)[rng.integers(10, size=SAMPLES)]


def bare_step():
    model = compiled_model()
    executor = model._ready()
    plan = executor.plan("train", SAMPLES)
    return lambda: executor.train_step(plan)


def step_on_batch():
    model, (x, y) = compiled_model(), data()
    return lambda: model.train_on_batch(x, y)


def fit():
    model, (x, y) = compiled_model(), data()
    return lambda: model.fit(x, y, batch_size=6, validation_split=0.25, verbose=0)


def traced_bytes(call, count):
    """What `count` further calls leave behind, and the most they hold at a time."""
    tracemalloc.start()
    try:
        for _ in range(10):
            call()
        gc.collect()
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(count):
            call()
        _, peak = tracemalloc.get_traced_memory()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return after - before, peak - before


def resident_bytes():
    with open(STATM, encoding="ascii") as pages:
        return int(pages.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def print_resident_growth(call, count):
    for _ in range(count // 5):
        call()
    before = resident_bytes()
    for _ in range(count):
        call()
    print(resident_bytes() - before)


@pytest.mark.parametrize("step", [bare_step, step_on_batch])
def test_a_step_allocates_nothing_after_the_first(step):
    left, most = traced_bytes(step(), 1000)
    assert left < SMALL and most < SMALL


def test_fit_leaves_no_object_behind():
    left, _ = traced_bytes(fit(), 50)
    assert left < SMALL


@pytest.mark.skipif(not os.path.exists(STATM), reason=f"needs {STATM}")
@pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="the address sanitizer keeps freed memory")
@pytest.mark.parametrize("make, count", [(bare_step, 10_000), (step_on_batch, 10_000), (fit, 50)])
def test_resident_memory_is_flat(make, count, tmp_path):
    code = "import runpy, sys; test = runpy.run_path(sys.argv[1]); "
    code += "test['print_resident_growth'](test[sys.argv[2]](), int(sys.argv[3]))"
    child = [sys.executable, "-c", code, __file__, make.__name__, str(count)]
    assert int(subprocess.run(child, check=True, capture_output=True, text=True, cwd=tmp_path).stdout) < ONCE


@pytest.fixture
def no_search_for_cycles():
    gc.disable()
    yield
    gc.enable()


def arena_after_fit(model):
    x, y = data()
    model.fit(x, y, verbose=0)
    return weakref.ref(model._executor.arena)


def test_a_dropped_model_frees_its_memory_at_once(no_search_for_cycles):
    arena = arena_after_fit(compiled_model())
    assert arena() is None


def test_compiling_again_frees_the_memory_at_once(no_search_for_cycles):
    model = compiled_model()
    arena = arena_after_fit(model)
    model.compile("adam", "categorical_crossentropy")
    assert arena() is None
