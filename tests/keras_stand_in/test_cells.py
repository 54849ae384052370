import ast

import pytest

from fastconv.keras_stand_in.cells import prepare
from fastconv.keras_stand_in.document import Cell


def prepared(source, number=1):
    result = prepare(Cell(number, "a cell", source))
    return result, ast.unparse(result.tree) if isinstance(result.tree, ast.Module) else None


@pytest.mark.parametrize(
    ("source", "code", "skipped"),
    [
        ("%matplotlib inline\nx = 1", "pass\nx = 1", [(1, "%matplotlib inline")]),
        ("x = 1\n!pip install 'a", "x = 1\npass", [(2, "!pip install 'a")]),
        ("!pip install a \\\n   b \\\n c\nx = 1", "pass\nx = 1", [(1, "!pip install a \\")]),
        ("for i in x:\n    !ls {i}", "for i in x:\n    pass", [(2, "!ls {i}")]),
        ("files = !ls\nx = 1", "pass\nx = 1", [(1, "files = !ls")]),
        ("f?\n?g\nh.i??", "pass\npass\npass", [(1, "f?"), (2, "?g"), (3, "h.i??")]),
        ("%time x = f(1)", "x = f(1)", [(1, "%time")]),
        ("%timeit -n 10 -q f(1)", "f(1)", [(1, "%timeit -n 10 -q")]),
        ("%%time\nx = 1", "x = 1", [(1, "%%time")]),
        ("%%bash\nls |", "", [(1, "%%bash (and its cell)")]),
        ("%load_ext a\nx = '!'\n!b 'c", "pass\nx = '!'\npass", [(1, "%load_ext a"), (3, "!b 'c")]),
    ],
)
def test_commands_of_ipython_are_left_out(source, code, skipped):
    result, text = prepared(source)
    assert (text, result.skipped) == (code, skipped)


@pytest.mark.parametrize("source", ["x = (a\n% b)", 's = """\n!ls\n%time\n"""', "", "# %time"])
def test_what_python_understands_stays(source):
    result, text = prepared(source)
    assert text == ast.unparse(ast.parse(source)) and result.skipped == []


def test_lines_keep_their_numbers():
    result, _ = prepared("!ls \\\n  -l\n%time y = 1\nx = 1")
    assert [node.lineno for node in result.tree.body] == [1, 3, 4]


@pytest.mark.parametrize(("source", "line"), [("x = 1\ny = = 2", 2), ("%a\nx = (", 2), ("!a\n  x = 1", 2)])
def test_what_is_no_python_is_an_error_at_its_line(source, line):
    result, _ = prepared(source)
    assert isinstance(result.tree, SyntaxError) and result.tree.lineno == line


def test_a_null_byte_is_an_error():
    assert isinstance(prepared("x = '\0'")[0].tree, SyntaxError)


def test_a_command_that_runs_a_command_is_left_out():
    assert prepared("%time %time %ls")[1] == "pass"


def test_scripts_have_no_commands():
    result, _ = prepared("%matplotlib inline", number=0)
    assert isinstance(result.tree, SyntaxError) and result.skipped == []
