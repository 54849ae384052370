"""What cells print and show: on the terminal, and as a notebook holds it."""

from __future__ import annotations

import base64
import contextlib
import io
import sys
from collections.abc import Iterator
from typing import Any

# How objects say what they look like, to IPython: methods, and the types of what these return.
_LOOKS = {
    "_repr_html_": "text/html",
    "_repr_markdown_": "text/markdown",
    "_repr_svg_": "image/svg+xml",
    "_repr_png_": "image/png",
    "_repr_jpeg_": "image/jpeg",
}


class Recorder:
    """Shows the outputs of cells as text, and with `keep` records them in the form that a notebook holds.

    Args:
        keep: whether to record.

    Attributes:
        cells: the outputs of each cell so far.
        figures: how many figures of matplotlib the cells made.
    """

    def __init__(self, keep: bool) -> None:
        self._keep = keep
        self._screen: Any = sys.stdout
        self.cells: list[list[dict[str, Any]]] = []
        self.figures = 0

    @contextlib.contextmanager
    def cell(self, namespace: dict[str, Any]) -> Iterator[None]:
        """A context for the code of the next cell, whose last value becomes `_` in `namespace`."""
        outputs: list[dict[str, Any]] = []
        self.cells.append(outputs)

        def show(value: Any) -> None:
            if value is not None:
                namespace["_"] = value
                self._show(value, "execute_result", {"execution_count": len(self.cells)})

        self._screen = sys.stdout
        hook, sys.displayhook = sys.displayhook, show
        try:
            with contextlib.ExitStack() as stack:
                if self._keep:
                    stack.enter_context(contextlib.redirect_stdout(_Tee(sys.stdout, "stdout", outputs)))
                    stack.enter_context(contextlib.redirect_stderr(_Tee(sys.stderr, "stderr", outputs)))
                yield
        finally:
            sys.displayhook = hook

    def display(self, *values: Any, **_: Any) -> None:
        """IPython's `display`, which notebooks find without an import."""
        for value in values:
            self._show(value, "display_data", {})

    def _show(self, value: Any, kind: str, more: dict[str, Any]) -> None:
        text = repr(value)
        print(text, file=self._screen)
        self._add(kind, data={"text/plain": text, **(_looks(value) if self._keep else {})}, metadata={}, **more)

    def take_figures(self) -> None:
        """Records and closes the figures that pyplot has open, as Jupyter does when a cell ends."""
        pyplot = sys.modules.get("matplotlib.pyplot")
        numbers = pyplot.get_fignums() if pyplot is not None else []
        for number in numbers:
            self.figures += 1
            if self._keep:
                image = io.BytesIO()
                pyplot.figure(number).savefig(image, format="png", bbox_inches="tight")
                data = {"text/plain": f"<Figure {number}>", "image/png": _base64(image.getvalue())}
                self._add("display_data", data=data, metadata={})
        if numbers:
            pyplot.close("all")

    def error(self, error: BaseException, traceback: str) -> None:
        """Records what ended a cell."""
        lines = traceback.splitlines()
        self._add("error", ename=type(error).__name__, evalue=str(error), traceback=lines)

    def _add(self, kind: str, **output: Any) -> None:
        if self._keep:
            self.cells[-1].append({"output_type": kind, **output})


def _looks(value: Any) -> dict[str, str]:
    found = {}
    for method, kind in _LOOKS.items():
        with contextlib.suppress(Exception):  # it is the user's object, and text there is in any case
            look = getattr(value, method)() if hasattr(type(value), method) else None
            if isinstance(look, bytes):
                look = _base64(look)
            if isinstance(look, str):
                found[kind] = look
    return found


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


class _Tee(io.TextIOBase):
    """Writes through to a stream, and into a cell's outputs; no terminal, so that no bar is drawn into them."""

    def __init__(self, stream: Any, name: str, outputs: list[dict[str, Any]]) -> None:
        self._stream, self._name, self._outputs = stream, name, outputs

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if not self._outputs or self._outputs[-1].get("name") != self._name:
            self._outputs.append({"output_type": "stream", "name": self._name, "text": ""})
        self._outputs[-1]["text"] += text
        return self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()
