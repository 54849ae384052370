"""What a file holds, as far as it can be said without running anything of it."""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from fastconv.saving import backup, keras_file
from fastconv.saving.atomic import StrPath
from fastconv.saving.hdf5 import FormatError, read_arrays
from fastconv.saving.safetensors_file import FORMAT, check_length

_Description = dict[str, Any]


def describe(path: StrPath) -> dict[str, Any]:
    """Looks into a model, weights, ONNX or backup file. The name's ending says which it is, or else the first bytes.

    Args:
        path: a .keras, .weights.h5, .safetensors (fastconv's, PyTorch's, a backup of `BackupAndRestore`) or .onnx file.

    Returns:
        What JSON can hold: `format`, `bytes`, `parameters` (numbers in all arrays of the weights), `arrays` (`name`,
        `shape`, `dtype`), and by format `layers`, `compile`, `optimizer_step`, `written_by` and more. `problem` says
        why fastconv cannot load a model whose file is sound.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it cannot be read.
        ValueError: it is damaged, or none of these.
        ImportError: an ONNX file, without onnx.

    >>> describe("cnn.keras")["parameters"]
    592554
    """
    path = os.fspath(path)
    if not os.path.exists(path):
        raise FileNotFoundError(f"There is no file {path}")
    if os.path.isdir(path):
        raise FormatError(f"{path}: expected a file. Received: a folder")
    look = next((look for ending, look in _BY_ENDING.items() if path.endswith(ending)), None)
    try:
        return {"file": path, "bytes": os.path.getsize(path), **(look or _by_first_bytes(path))(path)}
    except FormatError as error:
        raise FormatError(f"{path}: {str(error).removeprefix(f'{path}: ')}") from error


def _by_first_bytes(path: str) -> Callable[[str], _Description]:
    with open(path, "rb") as file:
        first = file.read(8)
    if first.startswith(b"PK\x03\x04"):
        return _keras
    if first.startswith(b"\x89HDF"):
        return _weights_h5
    try:
        check_length(path)
    except ValueError:
        raise FormatError(f"expected a file that ends in {', '.join(_BY_ENDING)}. Received: another") from None
    return _safetensors


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _arrays(arrays: dict[str, np.ndarray]) -> list[_Description]:
    ordered = [(name, arrays[name]) for name in _natural(arrays)]
    return [{"name": name, "shape": list(array.shape), "dtype": str(array.dtype)} for name, array in ordered]


def _natural(names: Iterable[str]) -> list[str]:
    """In the order of the numbers in them: "vars/2" before "vars/10"."""
    return sorted(names, key=lambda name: [p.zfill(20) if p.isdecimal() else p for p in re.split(r"([0-9]+)", name)])


def _parameters(arrays: list[_Description]) -> int:
    return sum(math.prod(array["shape"]) for array in arrays)


# --- Keras -----------------------------------------------------------------------------------------------------------


def _keras(path: str) -> _Description:
    content = _read(path)
    config, metadata, arrays = keras_file.contents(content)
    report = {
        "format": "Keras model",
        "written_by": f"Keras {metadata.get('keras_version')} or alike, {metadata.get('date_saved')}",
        "model": f"{_word(config.get('class_name'))} {_word(_settings(config).get('name'))}",
        **_of_weights(arrays),
    }
    settings = config.get("compile_config")
    if isinstance(settings, dict):
        report["compile"] = {name: _named(settings.get(name)) for name in ("optimizer", "loss", "metrics")}
    try:
        model = keras_file.load(content, path, compile=False)
    except FormatError as error:
        return {**report, "problem": str(error).removeprefix(f"{path}: "), "layers": _listed_layers(config)}
    trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    return {**report, "trainable_parameters": trainable, "layers": [_layer(layer) for layer in model.layers]}


def _layer(layer: Any) -> _Description:
    shapes = [list(tensor.shape) for tensor in layer.calls[-1].outputs] if layer.calls else []
    return {
        "name": layer.name,
        "class": type(layer).__name__,
        "output_shape": shapes[0] if len(shapes) == 1 else shapes,
        "parameters": layer.count_params(),
    }


def _listed_layers(config: _Description) -> list[_Description]:
    """Names and classes alone, of a model that cannot be built."""
    entries = _settings(config).get("layers")
    entries = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return [{"name": _word(_settings(entry).get("name")), "class": _word(entry.get("class_name"))} for entry in entries]


def _settings(entry: _Description) -> _Description:
    settings = entry.get("config")
    return settings if isinstance(settings, dict) else {}


def _word(value: Any) -> str:
    return value if isinstance(value, str) else "?"


def _named(value: Any, depth: int = 2) -> Any:
    """A setting of `compile`, with the class's name for an object; of an optimizer the numbers and words, too."""
    if isinstance(value, list) and depth:
        return [_named(item, depth - 1) for item in value]
    if isinstance(value, dict) and "class_name" in value:
        numbers = {k: v for k, v in _settings(value).items() if isinstance(v, (int, float, str)) and k != "name"}
        return {"class": _word(value["class_name"]), **numbers}
    return value if isinstance(value, (str, int, float)) or value is None else _word(value)


def _weights_h5(path: str) -> _Description:
    return {"format": "Keras weights", **_of_weights(read_arrays(_read(path)))}


def _of_weights(arrays: dict[str, np.ndarray]) -> _Description:
    weights = {name: array for name, array in arrays.items() if not name.startswith("optimizer/")}
    step = arrays.get("optimizer/vars/0")
    report: _Description = {"parameters": sum(array.size for array in weights.values()), "arrays": _arrays(arrays)}
    if step is not None and step.size == 1 and step.dtype.kind in "iu":
        report["optimizer_step"] = int(step.reshape(-1)[0])
    return report


# --- safetensors -----------------------------------------------------------------------------------------------------


def _safetensors(path: str) -> _Description:
    from safetensors import SafetensorError, safe_open

    check_length(path)
    try:
        with safe_open(path, framework="np") as file:
            about = file.metadata() or {}
            slices = {name: file.get_slice(name) for name in _natural(file.keys())}
            arrays = [{"name": n, "shape": s.get_shape(), "dtype": _dtype(s.get_dtype())} for n, s in slices.items()]
    except SafetensorError as error:
        raise FormatError(f"expected a whole safetensors file. Received: {error}") from error
    if about.get("format") == backup.FORMAT:
        return _backup(path)
    report = {"parameters": _parameters(arrays), "arrays": arrays}
    if about.get("format") != FORMAT:
        return {"format": "safetensors, of PyTorch or another origin", "metadata": about or None, **report}
    written_by = f"fastconv {about.get('fastconv')}"
    return {"format": "fastconv weights", "written_by": written_by, "model": about.get("model"), **report}


_TYPES = {"F": "float", "I": "int", "U": "uint", "BF": "bfloat"}


def _dtype(name: str) -> str:
    """NumPy's name of a type of safetensors ("F32") or ONNX ("FLOAT")."""
    letters, digits = re.fullmatch(r"(.*?)([0-9]*)", name).groups()
    if letters in _TYPES:
        return _TYPES[letters] + digits
    return {"FLOAT": "float32", "DOUBLE": "float64"}.get(name, name.lower())


def _backup(path: str) -> _Description:
    state = backup.read(path)
    try:
        weights = {str(i): array for i, array in enumerate(state["weights"])}
        return {
            "format": "backup of fit",
            "epoch": int(state["epoch"]),
            "batch": int(state["batch"]),
            "stopped": bool(state["stopped"]),
            "learning_rate": state["learning_rate"],
            "optimizer_step": int(np.asarray(state["training"]["step"]).reshape(-1)[0]),
            "callbacks": [str(name) for name, _ in state["callbacks"]],
            "parameters": sum(array.size for array in weights.values()),
            "arrays": _arrays(weights),
        }
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise FormatError(f"expected the state of a run of fit. Received: {error!r}") from error


# --- ONNX ------------------------------------------------------------------------------------------------------------


def _onnx(path: str) -> _Description:
    try:
        import onnx
    except ImportError as error:
        raise ImportError('ONNX files are read with onnx: pip install "fastconv[onnx]"') from error
    try:
        model = onnx.load_model_from_string(_read(path))  # the file alone: no data beside it are read
    except Exception as error:  # of protobuf's, which has several kinds of them
        raise FormatError(f"damaged, or no ONNX file: {error}") from error
    graph = model.graph
    if not graph.node:
        raise FormatError("damaged, or no ONNX file: it has no operators")
    types = {number: _dtype(name) for name, number in onnx.TensorProto.DataType.items()}

    def values(infos: Any) -> list[_Description]:
        tensors = [(info.name, info.type.tensor_type) for info in infos]
        return [
            {
                "name": name,
                "shape": [dim.dim_param or dim.dim_value for dim in tensor.shape.dim],
                "dtype": types.get(tensor.elem_type, "?"),
            }
            for name, tensor in tensors
        ]

    constants = [
        {"name": t.name, "shape": list(t.dims), "dtype": types.get(t.data_type, "?")} for t in graph.initializer
    ]
    return {
        "format": "ONNX model",
        "written_by": f"{model.producer_name} {model.producer_version}".strip(),
        "model": graph.name,
        "opset": {entry.domain or "ai.onnx": entry.version for entry in model.opset_import},
        "inputs": values(graph.input),
        "outputs": values(graph.output),
        "operators": dict(Counter(node.op_type for node in graph.node)),
        "parameters": _parameters([constant for constant in constants if "float" in constant["dtype"]]),
        "arrays": constants,
    }


_BY_ENDING: dict[str, Callable[[str], _Description]] = {
    ".keras": _keras,
    ".weights.h5": _weights_h5,
    ".safetensors": _safetensors,
    ".onnx": _onnx,
}
