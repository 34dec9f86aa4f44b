"""Reading and pushing the hidden layers of a model, for all replicas.

Hidden layer l of a model is its layer ``pre_l``, whose output is the pre-activation
z_l, and its layer ``act_l``; its activation a_l is the output of ``add_l`` where a skip
connection ends there, else that of ``act_l``. Examples are either shared by all seeds,
shape (examples, ...), or each seed's own, shape (seeds, examples, ...).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims.engine import architecture, backends, cache
from dlclaims.engine.blueprint import parted, precision
from dlclaims.engine.recipe import typed
from dlclaims.engine.runs import Runs
from dlclaims.errors import UsageError

if TYPE_CHECKING:
    import keras


def hidden_layers(model: keras.Model) -> tuple[list[str], list[str]]:
    """Return the names of the layers that give z_1.. and a_1.., in order.

    Raises
    ------
    UsageError
        When the model has no layers ``pre_1``, ``act_1``, ...
    """
    names = {layer.name for layer in model.layers}
    depth = sum(name.startswith("pre_") for name in names)
    before = [f"pre_{layer}" for layer in range(1, depth + 1)]
    after = [
        f"add_{layer}" if f"add_{layer}" in names else f"act_{layer}"
        for layer in range(1, depth + 1)
    ]
    missing = sorted({*before, *after} - names)
    if missing or not depth:
        raise UsageError(
            "hidden layers called pre_1, act_1, pre_2, act_2, ...",
            f"a model without {', '.join(missing or ['pre_1'])}",
            "name the layers so, as networks.mlp does",
        )
    return before, after


@contextmanager
def tapped(
    model: keras.Model, names: Sequence[str], offsets: Sequence[Any] | None
) -> Iterator[dict[str, Any]]:
    """Read the outputs of named layers while the model is traced.

    `offsets`, one for each name, are added to the outputs: a gradient with respect to
    an offset is the gradient at that output, on every backend.
    """
    seen: dict[str, Any] = {}

    def tap(layer: Any, offset: Any) -> None:
        call = layer.call

        def pushed(*arguments: Any, **options: Any) -> Any:
            output = call(*arguments, **options)
            seen[layer.name] = output if offset is None else output + offset
            return seen[layer.name]

        object.__setattr__(layer, "call", pushed)

    layers = [model.get_layer(name) for name in names]
    try:
        for layer, offset in zip(layers, offsets or [None] * len(layers), strict=True):
            tap(layer, offset)
        yield seen
    finally:
        for layer in layers:
            vars(layer).pop("call", None)


def zeros(model: keras.Model, names: Sequence[str], examples: int) -> list[Any]:
    """Return offsets of nothing for the outputs of named layers."""
    from keras import ops

    outputs = [model.get_layer(name).output for name in names]
    return [ops.zeros((examples, *o.shape[1:]), o.dtype) for o in outputs]


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
    name: Any, measure: Callable[..., Any], runs: Runs, *arrays: Sequence[np.ndarray]
) -> list[Any]:
    """Return ``measure(model, (trained, others), *arrays)`` of every replica.

    `measure` is traced once for an architecture and shapes; it is not compiled by XLA,
    whose compile time a single evaluation does not win back.
    """
    backend, model = backends.load(), runs.plan.model
    from keras import tree

    structure, kept = architecture.fingerprint(model)
    taps = tuple(
        (place, layer.name)
        for place, layer in enumerate(model.layers)
        if layer.name.startswith(("pre_", "act_", "add_"))
    )
    shapes = tuple(sequence[0].shape for sequence in arrays)

    def arguments(row: int) -> Any:
        weights = parted(model, [value[row] for value in runs.values])
        own = [sequence[row] for sequence in arrays]
        return tree.map_structure(backend.tensor, [weights, *own])

    def run(row: int) -> Any:
        return tree.map_structure(np.asarray, program(*arguments(row)))

    with precision(runs.plan.dtype):
        program = cache.once(
            ("probe", name, structure, taps, shapes, runs.plan.dtype),
            kept,
            lambda: backend.compile(partial(measure, model), False, arguments(0)),
        )
        with ThreadPoolExecutor(runs.numerics.replica_threads) as pool:
            return list(pool.map(run, range(len(runs.replicas))))
