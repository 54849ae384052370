"""`fastconv run`: notebooks and scripts written for Keras, unchanged."""

import json
import re
import sys
from pathlib import Path

import pytest

from fastconv import datasets

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
BUILD = "from keras import layers, models\nm = models.Sequential([layers.Input((4, 4, 1)), layers.Flatten()])"


@pytest.fixture
def notebook(tmp_path):
    """A function that writes a notebook of some cells."""

    def write(*sources, name="a.ipynb"):
        cells = [{"cell_type": "markdown", "metadata": {}, "source": "# Text"}]
        for source in sources:
            cells.append(
                {"cell_type": "code", "execution_count": 7, "metadata": {}, "outputs": [], "source": source.split("\0")}
            )
        content = {"nbformat": 4, "nbformat_minor": 4, "metadata": {"language_info": {"name": "python"}}}
        (tmp_path / name).write_text(json.dumps({**content, "cells": cells}), encoding="utf-8")
        return name

    return write


def outputs(path):
    """(type, text) of each cell's outputs."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return [
        [
            (o["output_type"], o.get("text") or o.get("data", {}).get("text/plain") or o.get("evalue"))
            for o in cell["outputs"]
        ]
        for cell in content["cells"]
        if cell["cell_type"] == "code"
    ]


# --- the example notebooks in the form that Keras has ----------------------------------------------------------------


def in_keras_form(name, root):
    """The cells of an example, with its import lines as they are for Keras; what Keras has not is fastconv's still."""
    content = json.loads((EXAMPLES / f"{name}.ipynb").read_text(encoding="utf-8"))
    code = ["".join(cell["source"]) for cell in content["cells"] if cell["cell_type"] == "code"]
    lines = []
    for line in code[0].splitlines():
        if line.startswith("from fastconv import "):
            names = set(line.removeprefix("from fastconv import ").split(", "))
            own = names & {"NonFiniteError", "ops"}
            lines += [f"from {root} import {', '.join(names - own)}", f"from fastconv import {', '.join(own)}"]
        else:
            lines.append(re.sub("^(from|import) fastconv", rf"\1 {root}", line))
    assert any(line.startswith(("from keras", "import keras", "from tensorflow")) for line in lines)
    return ["\n".join(lines), *code[1:]]


@pytest.fixture
def short_run(monkeypatch):
    for name, value in (("DATA", "sample"), ("EPOCHS", "1"), ("IMAGES", "200")):
        monkeypatch.setenv(f"FASTCONV_EXAMPLE_{name}", value)


def test_the_first_example_runs_with_keras_imports(program, notebook, short_run):
    result = program("run", notebook(*in_keras_form("cifar10_mlp_and_convolutions", "keras")))
    assert (result.code, result.err) == (0, "")
    for parameters in ("646,260", "15,120", "205,210", "592,554"):
        assert f"Total params: {parameters} " in result.out


@pytest.mark.filterwarnings("ignore:optimizer 'adam' was compiled before")
def test_the_second_example_runs_with_tensorflow_imports(program, notebook, short_run):
    result = program("run", notebook(*in_keras_form("cifar10_batch_normalization", "tensorflow.keras")))
    assert (result.code, result.err) == (0, "")
    assert "the copy predicts the same: True" in result.out


# --- what is run and shown -------------------------------------------------------------------------------------------


def test_cells_share_names_and_their_last_values_are_shown(program, notebook):
    result = program("run", notebook("a = 5\na", "a + 1;", "_ + a", "None", "", "print('x')\n\0print('y')"))
    assert (result.code, result.out) == (0, "5\n10\nx\ny\n")


def test_the_file_is_main_and_sees_its_arguments_and_its_folder(program, tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "neighbour.py").write_text("import keras\nname = keras.layers.Dense.__module__\n")
    (tmp_path / "sub" / "a.py").write_text(
        "import sys, os, neighbour\nprint(__name__, sys.argv[1:], neighbour.name, os.path.basename(__file__))\n5\n"
    )
    result = program("run", "sub/a.py", "--", "1", "--two")
    assert (result.code, result.out) == (0, "__main__ ['1', '--two'] fastconv.layers.dense a.py\n")
    assert "neighbour" in sys.modules and sys.modules.pop("neighbour")


def test_the_programs_own_process_is_left_as_it_was(program, notebook):
    before = sys.path[:], sys.modules["__main__"], sys.displayhook, sys.stdout
    program("run", notebook("import sys; sys.path.append('x'); import keras"), "--out", "b.ipynb")
    assert (sys.path, sys.modules["__main__"], sys.displayhook) == before[:3]
    assert "keras" not in sys.modules


def test_futures_of_the_program_are_not_the_files(program, notebook):
    assert program("run", notebook("def f(x: 1 + 1): pass\nf.__annotations__")).out == "{'x': 2}\n"


def test_commands_of_ipython_are_left_out_and_told(program, notebook):
    result = program("run", notebook("", "%matplotlib inline\n%time x = 1\nx"))
    assert (result.code, result.out) == (0, "1\n")
    assert "left out, for IPython alone: %matplotlib inline (cell 2, line 1)\n" in result.err
    assert "left out, for IPython alone: %time (cell 2, line 2)\n" in result.err


def test_a_keras_dataset_is_fastconvs(program, notebook, monkeypatch):
    monkeypatch.setattr(datasets.cifar10, "load_data", lambda: "the data")
    assert program("run", notebook("from keras.datasets import cifar10\ncifar10.load_data()")).out == "'the data'\n"


# --- what goes wrong -------------------------------------------------------------------------------------------------


def test_a_failing_cell_is_told_by_number_line_and_source(program, notebook):
    result = program("run", notebook(BUILD, "\nm.compile('adam',\n          'nonsense')\nprint('after')", "print(1)"))
    assert (result.code, result.out) == (1, "")
    lines = result.err.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1] == '  File "a.ipynb cell 2", line 2, in <module>'
    assert lines[2].strip() == "m.compile('adam',"
    assert "ValueError: loss: expected a Loss or one of" in result.err
    assert lines[-1] == "fastconv: error: stopped at cell 2, line 2: m.compile('adam',"


def test_frames_of_fastconv_are_left_out(program, notebook):
    err = program("run", notebook("import keras\ndef f():\n    keras.layers.Dense('x')\nf()")).err
    assert [line.split(", ")[-1] for line in err.splitlines() if "File" in line] == ["in <module>", "in f"]


@pytest.mark.parametrize("source", ["x = = 1", "x = (\n", "return"])
def test_a_cell_that_is_no_python_fails_when_its_turn_comes(program, notebook, source):
    result = program("run", notebook("print('before')", source))
    assert (result.code, result.out) == (1, "before\n")
    assert "SyntaxError" in result.err and "stopped at cell 2, line 1" in result.err


@pytest.mark.parametrize(("cell", "code"), [("sys.exit()", 0), ("sys.exit(3)", 3), ("sys.exit('bad')", 1)])
def test_sys_exit_ends_the_run_with_its_code(program, notebook, cell, code):
    result = program("run", notebook(f"import sys; {cell}", "print('after')"))
    assert (result.code, result.out) == (code, "")


def test_an_interruption_is_told_by_the_exit_code(program, notebook):
    result = program("run", notebook("", "raise KeyboardInterrupt"))
    assert (result.code, result.err) == (130, "fastconv: interrupted at cell 2, line 1: raise KeyboardInterrupt\n")


# --- what fastconv does not have -------------------------------------------------------------------------------------


def test_what_is_missing_is_listed_before_and_after(program, notebook):
    cells = "print('ran')\ntry:\n    from keras.layers import GRU\nexcept ImportError:\n    pass", "import keras\n"
    result = program("run", notebook(*cells, "\nkeras.layers.LSTM(4)"))
    assert (result.code, result.out) == (1, "ran\n")
    missing = "fastconv: not served: keras.layers.LSTM (cell 3, line 2)"
    assert [result.err.splitlines()[i] for i in (0, -2)] == [missing, missing]
    assert "AttributeError: fastconv, which stands in for Keras here, has no keras.layers.LSTM" in result.err
    assert result.err.endswith("not served: keras.layers.GRU (cell 1, line 3)\n")


def test_check_runs_nothing(program, notebook):
    result = program("run", "--check", notebook("print('ran')\nfrom keras.layers import LSTM, Dense"))
    assert (result.code, result.out) == (1, "not served: keras.layers.LSTM (cell 1, line 2)\n")


def test_check_of_a_file_that_fastconv_can_run_succeeds(program, notebook):
    result = program("run", "--check", notebook(BUILD))
    assert (result.code, result.out) == (0, "all that is asked of Keras by name is served\n")


# --- for machines ----------------------------------------------------------------------------------------------------


def test_json_has_the_failure_and_what_is_missing(program, notebook):
    result = program("run", notebook("print('shown')", "%a\nfrom keras.layers import LSTM"), "--json")
    assert result.code == 1 and "shown\n" in result.err
    assert json.loads(result.out) == {
        "file": "a.ipynb",
        "cells": 2,
        "ran": 1,
        "not_served": [{"name": "keras.layers.LSTM", "where": "cell 2, line 2"}],
        "left_out": [{"text": "%a", "where": "cell 2, line 1"}],
        "error": {
            "type": "ModuleNotFoundError",
            "message": "fastconv, which stands in for Keras here, has no keras.layers.LSTM",
            "where": "cell 2, line 2",
            "source": "from keras.layers import LSTM",
        },
    }


def test_json_of_a_check_has_no_run(program, notebook):
    report = json.loads(program("run", "--check", "--json", notebook(BUILD)).out)
    assert report == {"file": "a.ipynb", "cells": 1, "not_served": [], "left_out": []}


# --- the notebook that is written ------------------------------------------------------------------------------------


def test_out_is_the_notebook_with_outputs(program, notebook, tmp_path):
    cells = "import sys\nprint('a')\nprint('b', file=sys.stderr)\nprint('c')\n5", "1 / 0", "print(1)"
    result = program("run", notebook(*cells), "--out", "b.ipynb")
    assert result.code == 1 and result.out == "a\nc\n5\n"
    assert outputs(tmp_path / "b.ipynb") == [
        [("stream", "a\n"), ("stream", "b\n"), ("stream", "c\n"), ("execute_result", "5")],
        [("error", "division by zero")],
        [],
    ]
    counts = [cell.get("execution_count") for cell in json.loads((tmp_path / "b.ipynb").read_text())["cells"]]
    assert counts == [None, 1, 2, None]


def test_objects_are_kept_as_they_look(program, notebook, tmp_path):
    cell = """
class A:
    def __repr__(self): return "text"
    def _repr_html_(self): return "<b>text</b>"
    def _repr_svg_(self): return None
    def _repr_png_(self): return b"png"
    def _repr_jpeg_(self): raise ValueError
display(A(), 5)
A()"""
    result = program("run", notebook(cell), "--out", "b.ipynb")
    assert (result.code, result.out) == (0, "text\n5\ntext\n")
    found = json.loads((tmp_path / "b.ipynb").read_text())["cells"][1]["outputs"]
    looks = {"text/plain": "text", "text/html": "<b>text</b>", "image/png": "cG5n"}
    assert [output["data"] for output in found] == [looks, {"text/plain": "5"}, looks]
    assert [output["output_type"] for output in found] == ["display_data", "display_data", "execute_result"]


def test_keras_drawing_of_a_model_is_one_of_fastconvs(program, notebook, tmp_path):
    plot = "from tensorflow.keras.utils import plot_model\nplot_model(m, to_file='net.png', show_shapes=True)"
    result = program("run", notebook(BUILD, plot), "--out", "b.ipynb")
    assert (result.code, result.out) == (0, "<Picture in net.svg>\n")
    svg = (tmp_path / "net.svg").read_text(encoding="utf-8")
    found = json.loads((tmp_path / "b.ipynb").read_text())["cells"][2]["outputs"]
    assert found[0]["data"]["image/svg+xml"] == svg and svg.startswith("<svg ")


def test_half_of_a_surrogate_pair_can_be_written(program, notebook, tmp_path):
    cell = "class A:\n    def _repr_html_(self): return chr(0xDC80)\nA()"
    assert program("run", notebook(cell), "--out", "b.ipynb").code == 0
    found = json.loads((tmp_path / "b.ipynb").read_text())["cells"][1]["outputs"]
    assert found[0]["data"]["text/html"] == chr(0xDC80)


def test_the_notebook_written_is_a_valid_one(program, notebook, tmp_path):
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed: the notebook is not validated")
    program("run", notebook("print('a')\ndisplay(3)\n5", "1 / 0"), "--out", "b.ipynb")
    nbformat.validate(nbformat.read(tmp_path / "b.ipynb", as_version=4))


def test_notebooks_open_no_windows(program, notebook, monkeypatch):
    monkeypatch.delenv("MPLBACKEND")
    assert program("run", notebook("import os\nos.environ['MPLBACKEND']")).out == "'agg'\n"


def test_figures_are_kept_and_block_nothing(program, notebook, tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: no figures to keep")
    cell = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()"
    result = program("run", notebook(cell, "len(plt.get_fignums())"), "--out", "b.ipynb")
    assert (result.code, result.out, result.err) == (0, "0\n", "fastconv: saved b.ipynb\n")
    assert [kind for kind, _ in outputs(tmp_path / "b.ipynb")[0]] == ["display_data"]
    assert "1 figure not shown; --out FILE.ipynb keeps them" in program("run", notebook(cell)).err


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("missing.ipynb",), "cannot run missing.ipynb: No such file"),
        (("a.txt",), r"expected a notebook \(.ipynb\) or a script \(.py\)"),
        (("a.ipynb", "--check", "--out", "b.ipynb"), "expected without --check"),
        (("a.py", "--out", "b.ipynb"), "expected with a notebook"),
        (("a.ipynb", "--out", "b.txt"), "Received: b.txt"),
        (("a.ipynb", "--out", "missing/b.ipynb"), "--out must be a file to write. Received: missing/b.ipynb"),
    ],
)
def test_bad_input_is_refused_before_anything_runs(program, notebook, tmp_path, args, words):
    notebook("print('ran')")
    (tmp_path / "a.py").write_text("print('ran')")
    result = program("run", *args)
    assert (result.code, result.out) == (2, "") and re.search(words, result.err)
