"""Runs notebooks in a kernel of their own, as a user's Jupyter does."""

import pytest


def execute(notebook, folder, monkeypatch):
    """Runs a notebook, or cells of code, in `folder` and returns it with its outputs."""
    reason = "nbclient, nbformat or ipykernel is not installed: no notebook is run"
    nbclient, nbformat, _ = (pytest.importorskip(m, reason=reason) for m in ("nbclient", "nbformat", "ipykernel"))
    for variable in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(variable, str(folder / "jupyter"))  # not the user's start-up files and kernels
    if isinstance(notebook, list):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in notebook])
    resources = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
    return notebook
