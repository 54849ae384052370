"""The layers of a model and what connects them, as Keras' config.json has them, and back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from fastconv.layers.base import Layer, Node, Tensor
from fastconv.layers.core import InputLayer
from fastconv.models import Model, Sequential
from fastconv.saving.hdf5 import FormatError
from fastconv.saving.keras_config import deserialize, serialize

_MAX_DEPTH = 16  # of models within models
_FUNCTIONAL = ("Functional", "Model")


# ---- to JSON --------------------------------------------------------------------------------------------------------


def model_entry(model: Model) -> dict[str, Any]:
    """A model in Keras' form. A layer that several of its models share has an entry in each, all with one number."""
    entries: dict[Layer, list[dict[str, Any]]] = defaultdict(list)
    entry = _model_entry(model, entries)
    for number, of_layer in enumerate(entries.values()):
        for one in of_layer if len(of_layer) > 1 else ():
            one["shared_object_id"] = number
    return entry


def _model_entry(model: Model, entries: dict[Layer, list[dict[str, Any]]]) -> dict[str, Any]:
    """An entry, and in `entries` those of its layers."""
    sequential = isinstance(model, Sequential)
    config = _sequential_config(model, entries) if sequential else _functional_config(model, entries)
    return {
        "module": "keras" if sequential else "keras.src.models.functional",
        "class_name": "Sequential" if sequential else "Functional",
        "config": {"name": model.name, "trainable": model.trainable, **config},
        "registered_name": None if sequential else "Functional",
        "build_config": {"input_shape": None},
    }


def layer_configs(entry: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The settings of each layer in a model's entry, those of models within it included."""
    for layer in entry["config"]["layers"]:
        if layer["class_name"] in ("Sequential", *_FUNCTIONAL):
            yield from layer_configs(layer)
        elif layer["class_name"] != "InputLayer":
            yield layer["config"]


def _layer_entry(layer: Layer, entries: dict[Layer, list[dict[str, Any]]]) -> dict[str, Any]:
    if isinstance(layer, InputLayer):
        config = {"batch_shape": list(layer.batch_shape), "dtype": "float32", "name": layer.name}
        return {"module": "keras.layers", "class_name": "InputLayer", "config": config, "registered_name": None}
    if isinstance(layer, Model):
        entry = {**_model_entry(layer, entries), "name": layer.name}
    else:
        entry = serialize(layer)
        entry["config"] |= {"name": layer.name, "trainable": layer.trainable}
    entries[layer].append(entry)
    return entry


def _sequential_config(model: Sequential, entries: dict[Layer, list[dict[str, Any]]]) -> dict[str, Any]:
    layers = [layer for node in model.nodes[:1] if isinstance(layer := node.layer, InputLayer)] + model.layers
    return {"layers": [_layer_entry(layer, entries) for layer in layers]}


def _functional_config(model: Model, entries: dict[Layer, list[dict[str, Any]]]) -> dict[str, Any]:
    """Every layer once, with its calls in the order of computation; a tensor is (layer, which call, which output)."""
    calls: dict[Layer, list[Node]] = defaultdict(list)
    for node in model.nodes:
        calls[node.layer].append(node)

    def history(tensor: Tensor) -> list:
        node = tensor.node
        return [node.layer.name, calls[node.layer].index(node), tensor.index]

    def argument(tensor: Tensor) -> dict[str, Any]:
        config = {"shape": list(tensor.shape), "dtype": "float32", "keras_history": history(tensor)}
        return {"class_name": "__keras_tensor__", "config": config}

    layers = []
    for layer, nodes in calls.items():
        inbound = []
        for node in nodes:
            tensors = [argument(t) for t in node.inputs]
            if tensors:
                given = {"training": False} if node.inference else {}
                inbound.append({"args": [tensors[0] if len(tensors) == 1 else tensors], "kwargs": given})
        layers.append(_layer_entry(layer, entries))
        layers[-1].update(name=layer.name, inbound_nodes=inbound)
    return {
        "layers": layers,
        "input_layers": _in_form([history(t) for t in model.inputs], model.input_keys),
        "output_layers": _in_form([history(t) for t in model.outputs], model.output_keys),
    }


def _in_form(histories: list[list], keys: Any) -> Any:
    """The places of tensors alone, in a list or in a dict, as the model's."""
    if isinstance(keys, tuple):
        return dict(zip(keys, histories, strict=True))
    return histories[0] if keys is None else histories


# ---- from JSON ------------------------------------------------------------------------------------------------------


def model_of(entry: Any, depth: int = 0, shared: dict[int, Layer] | None = None) -> Model:
    """The model that `model_entry`, or Keras, described.

    Args:
        entry: of the model.
        depth: how many models it is within.
        shared: the layers so far whose entries have numbers.

    Raises:
        FormatError: naming what is wrong, or what fastconv has no equivalent for.
    """
    if depth > _MAX_DEPTH:
        raise FormatError(f"expected models within models to a depth of {_MAX_DEPTH}. Received: more")
    shared = {} if shared is None else shared
    config = _field(entry, "config", dict)
    name = _field(config, "name", str)
    kind = entry.get("class_name")
    if kind == "Sequential":
        model = _sequential(config, name, depth, shared)
    elif kind in _FUNCTIONAL:
        model = _functional(config, name, depth, shared)
    else:
        raise FormatError(f"expected a Sequential or Functional model. Received: {kind!r}")
    if config.get("trainable") is False:  # True says nothing about the layers
        model.trainable = False
    return model


def _field(entry: Any, key: str, kind: type) -> Any:
    value = entry.get(key) if isinstance(entry, dict) else None
    if not isinstance(value, kind):
        raise FormatError(f"expected {key!r} in a config, a {kind.__name__}. Received: {value!r}"[:300])
    return value


def _layer_of(entry: Any, depth: int, shared: dict[int, Layer]) -> Any:
    config = _field(entry, "config", dict)
    if entry.get("class_name") == "InputLayer":
        return _input_of(config)
    number = entry.get("shared_object_id")
    if not isinstance(number, int):
        return _new_layer_of(entry, depth, shared)
    if number not in shared:
        shared[number] = _new_layer_of(entry, depth, shared)
    return shared[number]


def _new_layer_of(entry: dict[str, Any], depth: int, shared: dict[int, Layer]) -> Layer:
    if entry.get("class_name") in ("Sequential", *_FUNCTIONAL):
        return model_of(entry, depth + 1, shared)
    layer, config = deserialize(entry), entry["config"]
    if not isinstance(layer, Layer):
        raise FormatError(f"expected a layer. Received: {entry.get('class_name')}")
    layer.trainable = config.get("trainable", True) is not False
    if isinstance(name := config.get("name"), str):
        layer.name = name
    return layer


def _input_of(config: dict[str, Any]) -> InputLayer:
    shape = config.get("batch_shape") or config.get("batch_input_shape")
    if not isinstance(shape, list) or not all(s is None or isinstance(s, int) for s in shape):
        raise FormatError(f"InputLayer: expected a batch_shape of sizes. Received: {shape!r}")
    try:
        return InputLayer(shape[1:], name=config.get("name"))
    except Exception as error:
        raise FormatError(str(error)) from error


def _sequential(config: dict[str, Any], name: str, depth: int, shared: dict[int, Layer]) -> Model:
    layers = [_layer_of(entry, depth, shared) for entry in _field(config, "layers", list)]
    try:
        model = Sequential(layers, name=name)
        if not model.built and isinstance(shape := config.get("build_input_shape"), list):
            model.build(tuple(shape))
    except Exception as error:  # sizes and settings are a stranger's
        raise FormatError(str(error)) from error
    return model


def _functional(config: dict[str, Any], name: str, depth: int, shared: dict[int, Layer]) -> Model:
    made: dict[tuple, list[Tensor]] = {}  # outputs by (layer, which call)
    calls: dict[tuple, tuple[Layer, bool, list, bool | None]] = {}
    for entry in _field(config, "layers", list):
        layer = _layer_of(entry, depth, shared)
        if isinstance(layer, InputLayer):
            made[layer.name, 0] = [Node(layer, [], layer.batch_shape).output]
            continue
        for i, call in enumerate(_field(entry, "inbound_nodes", list)):
            calls[layer.name, i] = layer, *_inputs_of(call, layer.name)

    def tensor(history: tuple[str, int, int]) -> Tensor:
        layer, call, output = history
        outputs = made.get((layer, call), [])
        if not 0 <= output < len(outputs):
            raise FormatError(f"expected the place of a tensor that the model makes. Received: {history!r}")
        return outputs[output]

    missing, users = {}, defaultdict(list)
    for place, (_, _, histories, _) in calls.items():
        needs = {tuple(h[:2]) for h in histories} - made.keys()
        missing[place] = len(needs)
        for need in needs:
            users[need].append(place)
    ready = [place for place in calls if not missing[place]]
    for place in ready:  # which grows
        layer, is_list, histories, training = calls[place]
        inputs = [tensor(h) for h in histories]
        try:
            layer(inputs if is_list else inputs[0], training=training)
        except Exception as error:  # sizes and settings are a stranger's
            raise FormatError(f"{layer.name}: {error}") from error
        made[place] = layer.calls[-1].outputs
        for user in users[place]:
            missing[user] -= 1
            if not missing[user]:
                ready.append(user)
    if len(ready) < len(calls):
        stuck = sorted(str(place[0]) for place in calls if place not in made)
        raise FormatError(f"expected layers that follow from the inputs. Received: {stuck[0]!r}, which does not")

    def ends(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: tensor(_history(one)) for key, one in value.items()}
        if isinstance(value, list) and not (value and isinstance(value[0], str)):
            return [tensor(_history(one)) for one in value]
        return tensor(_history(value))

    try:
        return Model(ends(config.get("input_layers")), ends(config.get("output_layers")), name=name)
    except FormatError:
        raise
    except Exception as error:  # sizes and settings are a stranger's
        raise FormatError(str(error)) from error


def _history(value: Any) -> tuple[str, int, int]:
    if not isinstance(value, list) or [type(v) for v in value] != [str, int, int]:
        raise FormatError(f"expected the place of a tensor: a layer's name and two numbers. Received: {value!r}"[:300])
    return tuple(value)


def _inputs_of(call: Any, layer: str) -> tuple[bool, list, bool | None]:
    """Whether a call got a list of tensors, where each comes from, and `training`."""
    given = {k: v for k, v in _field(call, "kwargs", dict).items() if v is not None and v is not False}
    training = False if call["kwargs"].get("training") is False else None
    arguments = _field(call, "args", list)
    if len(arguments) != 1 or given:
        raise FormatError(f"{layer}: expected to be called on tensors alone. Received: {given or arguments!r}"[:300])
    is_list = isinstance(arguments[0], list)
    tensors = arguments[0] if is_list else arguments
    return is_list, [_history(_field(_field(t, "config", dict), "keras_history", list)) for t in tensors], training
