import json

import pytest

from fastconv.keras_stand_in.document import DocumentError, read

NOTEBOOK = {
    "nbformat": 4,
    "metadata": {"kernelspec": {"language": "python"}},
    "cells": [
        {"cell_type": "markdown", "source": "# Title"},
        {"cell_type": "code", "source": ["a = 1\n", "b = 2"]},
        {"cell_type": "code", "source": "c = 3"},
    ],
}


def test_cells_of_code_are_numbered_from_1(tmp_path):
    (tmp_path / "a.ipynb").write_text(json.dumps(NOTEBOOK), encoding="utf-8")
    cells = read(tmp_path / "a.ipynb").cells
    assert [(cell.number, cell.source) for cell in cells] == [(1, "a = 1\nb = 2"), (2, "c = 3")]


def test_a_script_is_one_cell_in_its_encoding(tmp_path):
    (tmp_path / "a.py").write_bytes(b"# -*- coding: latin-1 -*-\nx = '\xe4'\n")
    document = read(tmp_path / "a.py")
    assert document.content is None and document.cells[0].source.endswith("x = 'ä'\n")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({**NOTEBOOK, "nbformat": 3}, "expected a notebook of format 4, as Jupyter saves them. Received: format 3"),
        ({**NOTEBOOK, "metadata": {"language_info": {"name": "R"}}}, "expected a notebook of Python. Received: .* 'R'"),
        ({**NOTEBOOK, "cells": [{"cell_type": "code"}]}, "expected a notebook, which is JSON with cells"),
        ({**NOTEBOOK, "cells": [{"cell_type": "code", "source": 5}]}, "expected a notebook, which is JSON"),
        ([], "expected a notebook, which is JSON"),
        ("text", "expected a notebook, which is JSON"),
    ],
)
def test_other_contents_are_refused(tmp_path, content, message):
    (tmp_path / "a.ipynb").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DocumentError, match=message):
        read(tmp_path / "a.ipynb")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.ipynb", b'{"cells": [', "expected a notebook, which is JSON"),
        ("a.ipynb", b"\xff\xfe\x00", "expected a notebook, which is JSON"),
        ("a.py", b"# coding: latin-1000\n", "expected a script in the encoding that it declares"),
        ("a.py", b"x = '\xff'\n", "expected a script in the encoding"),
        ("a.txt", b"", r"expected a notebook \(.ipynb\) or a script \(.py\)"),
    ],
)
def test_other_files_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DocumentError, match=message):
        read(tmp_path / name)
