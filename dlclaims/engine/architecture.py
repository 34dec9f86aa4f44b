"""What a model's structure says: its identity for the cache, and its arithmetic."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

from dlclaims.engine import backends
from dlclaims.errors import UsageError

if TYPE_CHECKING:
    import keras

#: Products of matrices in one application of a layer to one example: how many numbers
#: come out, and how many multiply-accumulates each of them takes.
Products = list[tuple[int, int]]
Shape = tuple[int | None, ...]

#: Operations without weights that multiply matrices, and have no rule here.
UNRULED = ("Attention", "AdditiveAttention", "Dot", "Tensordot", "Matmul", "Einsum")

#: A layer's own attributes that are not part of its computation: initializers are data,
#: and Keras wraps each layer's `build` and `quantize` anew.
UNCOUNTED = ("initializer", "build", "quantize")


def fingerprint(model: keras.Model) -> tuple[Any, list[Any]]:
    """Return what a model's programs depend on, and the objects named by id in it.

    Names, initializers, seeds and the rates of Dropout layers are left out: values are
    arguments of a program.
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
    except (NotImplementedError, TypeError):
        # A layer without a configuration: no other model is known to be like it.
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
        if node.get("class_name") == "Dropout" and 0 < node["config"]["rate"] < 1:
            node = {**node, "config": {**node["config"], "rate": True}}
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
    return any("Conv" in type(layer).__name__ for layer in model._flatten_layers())


def has_recurrence(model: keras.Model) -> bool:
    """Whether a layer goes through its input step by step."""
    import keras

    return any(isinstance(layer, keras.layers.RNN) for layer in model._flatten_layers())


def has_max_pooling(model: keras.Model) -> bool:
    """Whether a layer takes maxima of windows, whose gradient XLA cannot compute.

    Not while TensorFlow's operations must be deterministic.
    """
    import keras

    known = keras.layers
    kinds = known.MaxPooling1D | known.MaxPooling2D | known.MaxPooling3D
    return any(isinstance(layer, kinds) for layer in model._flatten_layers())


def is_random(model: keras.Model) -> bool:
    """Whether a layer draws random numbers in training.

    Recurrent cells own a generator even where they drop nothing.
    """

    def draws(layer: Any) -> bool:
        rates = getattr(layer, "dropout", 1), getattr(layer, "recurrent_dropout", 0)
        return getattr(layer, "seed_generator", None) is not None and any(rates)

    return any(draws(layer) for layer in model._flatten_layers())


def multiply_accumulates(model: keras.Model) -> int:
    """Return the multiply-accumulates of one forward pass of one example.

    Counted are products of matrices, and convolutions at every position of their
    output, padding included. Sums, activations, normalisations, pooling and look-ups
    are none. A layer that is applied twice counts twice.

    Raises
    ------
    UsageError
        For a layer with a weight matrix and no rule, a length that is not known, and a
        model without a graph of layers.
    """
    return sum(
        results * terms
        for node in applications(model)
        for results, terms in products(node)
    )


def activation_floats(model: keras.Model) -> int:
    """Return the floats that one example leaves behind for the backward pass.

    A measure of memory: the outputs of all applications of layers, and the results of
    all products of matrices in them, which are those of every step in a recurrent
    layer, and the weights of attention too.

    Raises
    ------
    UsageError
        As `multiply_accumulates`.
    """
    return sum(
        size(output.shape[1:]) + sum(results for results, _ in products(node))
        for node in applications(model)
        for output in node.output_tensors[:1]
    )


def applications(model: keras.Model) -> Iterator[Any]:
    """Yield the nodes of a model's graph, inputs left out, nested models gone into.

    Raises
    ------
    UsageError
        The model is a class of its own.
    """
    graph = getattr(model, "_functional", model)  # a Sequential model has one inside
    if not hasattr(graph, "_nodes_by_depth"):
        raise UsageError(
            "a functional or sequential model, whose layers can be counted",
            f"{type(model).__name__} {model.name}",
            "build it as keras.Model(inputs, outputs)",
        )
    for nodes in graph._nodes_by_depth.values():
        for node in nodes:
            if hasattr(node.operation, "layers"):
                yield from applications(node.operation)
            elif not node.is_input:
                yield node


def products(node: Any) -> Products:
    """Return the products of matrices of one application in a graph."""
    import keras

    operation, kind = node.operation, type(node.operation).__name__
    shapes = [tensor.shape for tensor in node.input_tensors]
    output = node.output_tensors[0].shape[1:]
    if isinstance(operation, keras.layers.MultiHeadAttention) and len(output) == 2:
        given = node.arguments
        call = inspect.signature(operation.call).bind(*given.args, **given.kwargs)
        query, value = (call.arguments[name].shape for name in ("query", "value"))
        return of_attention(operation, size(query[1:2]), size(value[1:2]))
    if kind == "Matmul" and len(shapes) == 2:
        return [(size(output), size(shapes[0][-1:]))]
    if kind == "Einsum" and len(shapes) == 2 and "." not in operation.subscripts:
        *operands, result = operation.subscripts.replace("->", ",").split(",")
        lengths = dict(zip("".join(operands), sum(shapes, ()), strict=True))
        kept = [lengths.pop(label) for label in result][1:]
        return [(size(kept), size(lengths.values()))]
    return of_layer(operation, shapes[0][1:], output)


def of_attention(layer: Any, queries: int, values: int) -> Products:
    """Return the products of attention: projections, scores, averages, output."""
    heads, key, value = layer.num_heads, layer.key_dim, layer.value_dim
    kernel = layer.output_dense.kernel.shape
    return [
        *_projection(layer.query_dense, queries),
        *_projection(layer.key_dense, values),
        *_projection(layer.value_dense, values),
        (queries * heads * values, key),
        (queries * heads * value, values),
        (queries * math.prod(kernel[2:]), math.prod(kernel[:2])),
    ]


def _projection(layer: Any, positions: int) -> Products:
    width, *units = layer.kernel.shape
    return [(positions * math.prod(units), width)]


def of_layer(layer: Any, inputs: Shape, output: Shape) -> Products:
    """Return the products of one application of a layer.

    Parameters
    ----------
    inputs, output : tuple of int
        Their shapes, without the axis of examples.
    """
    from keras import layers as known

    match layer:
        case known.Dense():
            return [(size(output), layer.kernel.shape[0])]
        case known.EinsumDense():
            given, kernel, result = layer.equation.replace("->", ",").split(",")
            lengths = list(zip(kernel, layer.kernel.shape, strict=True))
            terms = math.prod(n for label, n in lengths if label not in result)
            copies = math.prod(n for label, n in lengths if label not in given)
            return [(size(inputs) // terms * copies, terms)]
        case known.SeparableConv1D() | known.SeparableConv2D():
            *window, channels, copies = layer.depthwise_kernel.shape
            wide = channels * copies
            positions = size(output) // layer.filters
            return [(positions * wide, math.prod(window)), (size(output), wide)]
        case known.DepthwiseConv1D() | known.DepthwiseConv2D():
            return [(size(output), math.prod(layer.kernel.shape[:-2]))]
        case known.Conv1D() | known.Conv2D() | known.Conv3D():
            return [(size(output), math.prod(layer.kernel.shape[:-1]))]
        case known.Bidirectional():
            return [
                product
                for way in (layer.forward_layer, layer.backward_layer)
                for product in of_layer(way, inputs, output)
            ]
        case known.TimeDistributed():
            each = of_layer(layer.layer, inputs[1:], output[1:])
        case known.RNN():
            each = of_cell(layer.cell)
        case known.Embedding() | known.LayerNormalization() | known.PReLU():
            return []
        case _:
            return _none(layer)
    steps = size(inputs[:1])
    return [(steps * results, terms) for results, terms in each]


def of_cell(cell: Any) -> Products:
    """Return the products of one step of a recurrent cell."""
    from keras import layers as known

    match cell:
        case known.StackedRNNCells():
            return [product for inner in cell.cells for product in of_cell(inner)]
        case known.SimpleRNNCell() | known.LSTMCell() | known.GRUCell():
            kernels = cell.kernel.shape, cell.recurrent_kernel.shape
            return [(results, terms) for terms, results in kernels]
    return _none(cell)


def _none(layer: Any) -> Products:
    matrices = [v for v in getattr(layer, "weights", ()) if len(v.shape) > 1]
    if matrices or type(layer).__name__ in UNRULED:
        raise UsageError(
            "layers with a rule to count multiply-accumulates",
            f"{type(layer).__name__} {layer.name}",
            "use a stock layer with a rule, or do not ask for multiply_accumulates",
        )
    return []


def size(shape: Iterable[int | None]) -> int:
    """Return the product of lengths.

    Raises
    ------
    UsageError
        One of them is not known.
    """
    lengths = [*shape]
    if None in lengths:
        raise UsageError(
            "a model whose lengths are known",
            f"an axis of unknown length in {lengths}",
            "give keras.Input all lengths",
        )
    return math.prod(cast(list[int], lengths))
