"""The package itself: what importing it costs and says, its public names, what it runs on."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fastconv

HEAVY = (
    "rich",
    "typer",
    "click",
    "pooch",
    "requests",
    "safetensors",
    "matplotlib",
    "h5py",
    "cupy",
    "tensorflow",
    "torch",
)


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-P" if sys.version_info >= (3, 11) else "-s", "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        cwd=Path(sys.executable).parent,
    )


def test_importing_everything_imports_no_heavy_library():
    code = (
        "import sys; from fastconv import layers, models, optimizers, losses, datasets, utils, ops, callbacks;"
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    assert run(code).stdout.strip() == "[]"


def test_the_source_folder_without_its_extension_explains_itself(tmp_path):
    source = Path(fastconv.__file__).parent
    shutil.copytree(source, tmp_path / "fastconv", ignore=shutil.ignore_patterns("_core*", "*.zlib", "__pycache__"))
    no_editable_install = "sys.meta_path = [finder for finder in sys.meta_path if isinstance(finder, type)]"
    result = run(f"import sys; {no_editable_install}; sys.path.insert(0, {str(tmp_path)!r}); import fastconv")
    assert "no compiled extension" in result.stderr and "pip install ." in result.stderr


@pytest.mark.parametrize("name", fastconv.__all__)
def test_public_names_exist(name):
    assert getattr(fastconv, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Modell'"):
        _ = fastconv.Modell


def test_show_config_names_what_it_runs_on(capsys):
    fastconv.show_config()
    shown = capsys.readouterr().out
    assert fastconv.__version__ in shown and fastconv.config.isa() in shown
    assert str(fastconv.config.get_num_threads()) in shown and "cuda" in shown
    found = fastconv.show_config(mode="dicts")
    assert capsys.readouterr().out == "" and found["threads"] == fastconv.config.get_num_threads()
    with pytest.raises(ValueError, match='expected "stdout" or "dicts". Received: mode=\'json\''):
        fastconv.show_config(mode="json")


@pytest.mark.parametrize("isa", fastconv._core.supported_isas())
def test_fastconv_isa_forces_an_instruction_set(isa):
    assert run("import fastconv; print(fastconv.config.isa())", FASTCONV_ISA=isa).stdout.strip() == isa


def test_an_unsupported_instruction_set_is_refused():
    result = run("import fastconv", FASTCONV_ISA="avx1024")
    assert result.returncode != 0 and "scalar" in result.stderr and "Received: avx1024" in result.stderr


def test_omp_num_threads_is_the_default():
    code = "import fastconv; print(fastconv.config.get_num_threads())"
    assert run(code, OMP_NUM_THREADS="3,2").stdout.strip() == "3"


@pytest.mark.parametrize("threads", [-1, 2000, 1.5, True])
def test_thread_counts_out_of_range_are_refused(threads):
    with pytest.raises(ValueError, match="set_num_threads"):
        fastconv.config.set_num_threads(threads)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_computes_with_its_own_threads():
    code = """
import os, numpy as np
from fastconv import config, ops
config.set_num_threads(2)
x, kernel = np.ones((8, 20, 20, 8)), np.ones((3, 3, 8, 16))
x, kernel = x.astype("float32"), kernel.astype("float32")
before = ops.conv2d(x, kernel)
child = os.fork()
if child == 0:
    os._exit(0 if np.array_equal(ops.conv2d(x, kernel), before) else 1)
print(os.waitpid(child, 0)[1])
"""
    assert run(code).stdout.strip() == "0"


def test_several_python_threads_compute_at_once():
    code = """
import threading, numpy as np
from fastconv import config, ops
config.set_num_threads(2)
rng = np.random.default_rng(0)
x, kernel = rng.random((4, 16, 16, 8), np.float32), rng.random((3, 3, 8, 16), np.float32)
expected, wrong = ops.conv2d(x, kernel), []
def work():
    for _ in range(30):
        if not np.array_equal(ops.conv2d(x, kernel), expected):
            wrong.append(1)
threads = [threading.Thread(target=work) for _ in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
print(len(wrong))
"""
    assert run(code).stdout.strip() == "0"


def test_the_precision_of_a_gpus_products_can_be_chosen():
    assert fastconv.config.float32_matmul_precision() == "highest"
    fastconv.config.set_float32_matmul_precision("high")
    try:
        assert fastconv.config.float32_matmul_precision() == "high"
    finally:
        fastconv.config.set_float32_matmul_precision("highest")


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match='expected "highest" or "high". Received: \'medium\''):
        fastconv.config.set_float32_matmul_precision("medium")
