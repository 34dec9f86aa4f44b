"""Reading and pushing the hidden layers of a model, for all replicas.

Hidden layer l of a model is its layer ``pre_l``, whose output is the pre-activation
z_l, and its layer ``act_l``; its activation a_l is the output of ``add_l`` where a skip
connection ends there, else that of ``act_l``. Layers of any kind may have these names.
Examples are either shared by all seeds, shape (examples, ...), or each seed's own,
shape (seeds, examples, ...).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from operator import add
from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims.engine import architecture, backends, cache
from dlclaims.engine.blueprint import parted, precision
from dlclaims.engine.recipe import typed
from dlclaims.engine.runs import Runs
from dlclaims.errors import UsageError, nearest

if TYPE_CHECKING:
    import keras


def hidden_layers(model: keras.Model) -> tuple[list[str], list[str]]:
    """Return the names of the layers that give z_1.. and a_1.., in order.

    Raises
    ------
    UsageError
        When the model has no layers ``pre_1``, ``act_1``, ...
    """
    after = activations(model)
    before = [f"pre_{layer}" for layer in range(1, len(after) + 1)]
    demand(model, before)
    return before, after


def activations(model: keras.Model) -> list[str]:
    """Return the names of the layers that give a_1.., in order.

    Raises
    ------
    UsageError
        When the model has no layers ``act_1``, ``act_2``, ...
    """
    names = {layer.name for layer in model.layers}
    depth = len({name[4:] for name in names if name.startswith(("pre_", "act_"))})
    after = [
        f"add_{layer}" if f"add_{layer}" in names else f"act_{layer}"
        for layer in range(1, depth + 1)
    ]
    demand(model, after or ["act_1"])
    return after


def demand(model: keras.Model, wanted: Sequence[str]) -> None:
    """Refuse a model that lacks a hidden layer."""
    missing = sorted({*wanted} - {layer.name for layer in model.layers})
    if missing:
        raise UsageError(
            "hidden layers called pre_1, act_1, pre_2, act_2, ...",
            f"a model without {', '.join(missing)}",
            "name the layers so, as networks.mlp does",
        )


def layer_of(model: keras.Model, name: str) -> keras.layers.Layer:
    """Return a layer by name.

    Raises
    ------
    UsageError
        When the model has no such layer.
    """
    names = [layer.name for layer in model.layers]
    if name not in names:
        raise UsageError("a layer of the model", repr(name), nearest(name, names))
    return model.get_layer(name)


@contextmanager
def replaced(calls: Mapping[Any, Callable[..., Any]]) -> Iterator[None]:
    """Give layers another `call` while the model is traced."""
    try:
        for layer, call in calls.items():
            object.__setattr__(layer, "call", call)  # unseen by Keras' bookkeeping
        yield
    finally:
        for layer in calls:
            vars(layer).pop("call", None)


@contextmanager
def tapped(
    model: keras.Model, names: Sequence[str], changes: Sequence[Callable[[Any], Any]]
) -> Iterator[dict[str, Any]]:
    """Read the outputs of named layers while the model is traced, after changing them.

    A layer's output is what its function in `changes` makes of it.
    """
    seen: dict[str, Any] = {}

    def changed(layer: Any, change: Callable[[Any], Any]) -> Callable[..., Any]:
        call = layer.call

        def tap(*arguments: Any, **options: Any) -> Any:
            seen[layer.name] = change(call(*arguments, **options))
            return seen[layer.name]

        return tap

    layers = [model.get_layer(name) for name in names]
    calls = {
        layer: changed(layer, change)
        for layer, change in zip(layers, changes, strict=True)
    }
    with replaced(calls):
        yield seen


def read(model: keras.Model, names: Sequence[str], weights: Any, x: Any) -> list[Any]:
    """Return the outputs of named layers in inference mode."""
    with tapped(model, names, [lambda output: output] * len(names)) as seen:
        model.stateless_call(*weights, x, training=False)
    return [seen[name] for name in names]


def pushes(offsets: Sequence[Any]) -> list[Callable[[Any], Any]]:
    """Return changes that add the offsets.

    A gradient with respect to an offset of zeros is the gradient at that output, on
    every backend.
    """
    return [partial(add, offset) for offset in offsets]


def zeros(model: keras.Model, names: Sequence[str], weights: Any, x: Any) -> list[Any]:
    """Return offsets of nothing for the outputs of named layers."""
    from keras import ops

    outputs = [model.get_layer(name).output for name in names]
    if any(None in output.shape[1:] for output in outputs):
        return [ops.zeros_like(output) for output in read(model, names, weights, x)]
    return [ops.zeros((x.shape[0], *o.shape[1:]), o.dtype) for o in outputs]


def places(model: keras.Model, variables: Sequence[Any]) -> list[int]:
    """Return positions in the trainable and then the other variables of a model."""
    known = [*model.trainable_variables, *model.non_trainable_variables]
    ids = [id(variable) for variable in known]
    return [ids.index(id(variable)) for variable in variables]


def own(runs: Runs, array: np.ndarray, ndim: int) -> list[np.ndarray]:
    """Return each replica's examples; an array of `ndim` axes is shared by all."""
    array = typed(array, runs.plan.dtype)
    if array.ndim == ndim:
        return [array] * len(runs.replicas)
    if array.ndim != ndim + 1 or len(array) != len(runs.seeds):
        raise UsageError(
            f"examples of {ndim} axes, or one such set for each of {len(runs.seeds)}"
            " seeds",
            f"shape {array.shape}",
            "stack the seeds' examples on a first axis",
        )
    return list(np.repeat(array, len(runs.learning_rates) or 1, axis=0))


def compute(
    name: Any,
    measure: Callable[..., Any],
    runs: Runs,
    *arrays: Sequence[np.ndarray],
    layers: Sequence[str] = (),
    drive: Callable[..., Any] | None = None,
) -> list[Any]:
    """Return ``measure(model, (trained, others), *arrays)`` of every replica.

    `measure` is traced once for an architecture and shapes; it is not compiled by XLA,
    whose compile time a single evaluation does not win back.

    Parameters
    ----------
    name : hashable
        Tells probes from each other, and everything that `measure` takes from outside.
    measure : callable
    runs : Runs
    *arrays : sequence of ndarray
        One array for each replica.
    layers : sequence of str
        Names of the layers that `measure` looks for.
    drive : callable, optional
        ``drive(evaluate, *arrays)`` gives a replica's result when one evaluation does
        not: ``evaluate(*arrays)`` is the traced measure on arrays of these shapes.
    """
    backend, model = backends.load(), runs.plan.model
    from keras import tree

    structure, kept = architecture.fingerprint(model)
    names = [layer.name for layer in model.layers]
    taps = tuple((names.index(layer), layer) for layer in layers)
    shapes = tuple(sequence[0].shape for sequence in arrays)

    def tensors(nested: Any) -> Any:
        return tree.map_structure(backend.tensor, nested)

    def weights(row: int) -> Any:
        return tensors(parted(model, [value[row] for value in runs.values]))

    def run(row: int) -> Any:
        fixed = weights(row)

        def evaluate(*arrays: np.ndarray) -> Any:
            return tree.map_structure(np.asarray, program(fixed, *tensors(arrays)))

        given = [sequence[row] for sequence in arrays]
        return drive(evaluate, *given) if drive else evaluate(*given)

    with precision(runs.plan.dtype):
        first = [sequence[0] for sequence in arrays]
        program = cache.once(
            ("probe", name, structure, taps, shapes, runs.plan.dtype),
            kept,
            lambda: backend.compile(
                partial(measure, model), False, [weights(0), *tensors(first)]
            ),
        )
        with ThreadPoolExecutor(runs.numerics.replica_threads) as pool:
            return list(pool.map(run, range(len(runs.replicas))))
