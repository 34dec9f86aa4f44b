"""What a model's structure says: its identity for the cache, and its arithmetic."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dlclaims.engine import backends
from dlclaims.errors import UsageError

if TYPE_CHECKING:
    import keras


def layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yield all layers, those of nested models included."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            yield from layers(layer)
        else:
            yield layer


#: A layer's own attributes that are not part of its computation: initializers are data,
#: and Keras wraps each layer's `build` and `quantize` anew.
UNCOUNTED = ("initializer", "build", "quantize")


def fingerprint(model: keras.Model) -> tuple[Any, list[Any]]:
    """Return what a model's programs depend on, and the objects named by id in it.

    Names, initializers and seeds are left out: values are arguments of a program.
    Functions and classes from outside Keras count by identity, because Keras'
    configuration knows them by name only; the caller keeps them alive with the key.
    """
    own = [
        value
        for layer in model._flatten_layers()
        for name, value in [("", type(layer)), *vars(layer).items()]
        if callable(value) and not _is_stock(value) and not name.endswith(UNCOUNTED)
    ]
    try:
        with backends.quiet():  # Keras looks for TensorFlow here, on JAX too
            config = model.get_config()
    except NotImplementedError:  # a layer without get_config: nothing else is like it
        config, own = {}, [model]
    structure = _structure({**config, "name": ""}, {})
    return (structure, tuple(id(value) for value in own)), own


def _is_stock(value: Any) -> bool:
    module = getattr(value, "__module__", None) or type(value).__module__
    return module.split(".")[0] == "keras"


def _structure(node: Any, order: dict[str, int]) -> Any:
    """Return a configuration as tuples, layers by position instead of by name."""
    if isinstance(node, dict):
        if isinstance(node.get("layers"), list | tuple):
            names = [layer["config"].get("name") for layer in node["layers"]]
            order = {name: position for position, name in enumerate(names)}
        return tuple(
            (key, _structure(node[key], order))
            for key in sorted(node)
            if not (key == "name" and node[key] in order)
            and key != "seed"
            and not key.endswith("initializer")
        )
    if isinstance(node, list | tuple):
        if len(node) == 3 and isinstance(node[0], str) and node[0] in order:
            return (order[node[0]], *node[1:])  # a tensor: layer, node, output
        return tuple(_structure(each, order) for each in node)
    return node if isinstance(node, str | int | float | None) else repr(node)


def has_convolution(model: keras.Model) -> bool:
    """Whether a layer is a convolution."""
    return any("Conv" in type(layer).__name__ for layer in layers(model))


def multiply_accumulates(model: keras.Model) -> int:
    """Return the multiply-accumulates of one forward pass of one example.

    Counted are the matrix products of dense and convolution layers; sums, activations
    and normalisations are not multiply-accumulates.

    Raises
    ------
    UsageError
        For a layer with a weight matrix and no rule.
    """
    import keras

    total = 0
    for layer in layers(model):
        matrices = [v for v in layer.weights if len(v.shape) > 1]
        if not matrices:
            continue
        if not isinstance(
            layer, keras.layers.Dense | keras.layers.Conv1D | keras.layers.Conv2D
        ):
            raise UsageError(
                "dense or convolution layers to count multiply-accumulates",
                f"{type(layer).__name__} {layer.name}",
                "use a layer with a rule, or do not ask for multiply_accumulates",
            )
        positions = math.prod(layer.output.shape[1:-1])
        total += sum(math.prod(v.shape) for v in matrices) * positions
    return total
