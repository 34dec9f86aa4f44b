"""What hidden layers compute, and what the network does without one of their units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims.engine.probes.tables import tidy
from dlclaims.engine.recipe import measure_of
from dlclaims.engine.runs import Runs
from dlclaims.engine.taps import activations, compute, layer_of, own, read, tapped

if TYPE_CHECKING:
    import keras
    import pandas as pd


def representations(runs: Runs, x: np.ndarray) -> list[list[np.ndarray]]:
    """Return the activations of every replica and hidden layer.

    Returns
    -------
    list of list of ndarray, shape (examples, units)
        By replica, then by layer, layer 1 first. In a residual stack a layer's
        activation is the sum that leaves its block.
    """
    layers = activations(runs.plan.model)

    def measure(model: keras.Model, weights: Any, x: Any) -> Any:
        return read(model, layers, weights, x)

    inputs = own(runs, x, runs.plan.model.inputs[0].ndim)
    return compute("representations", measure, runs, inputs, layers=layers)


def activation_statistics(runs: Runs, x: np.ndarray) -> pd.DataFrame:
    """Return moments and zeros of the activations of every hidden layer.

    Parameters
    ----------
    runs : Runs
    x : ndarray, shape (examples, ...) or (seeds, examples, ...)

    Returns
    -------
    DataFrame
        One row for each replica and hidden layer: ``layer`` (1 next to the input),
        ``mean`` and ``standard_deviation`` of a_l over examples, positions and units,
        ``zeros``, the fraction of these entries that are exactly 0, and ``dead_units``,
        the fraction of units (entries of the last axis) that are 0 for all examples and
        positions.
    """
    from keras import ops

    layers = activations(runs.plan.model)

    def measure(model: keras.Model, weights: Any, x: Any) -> Any:
        found = []
        for a in read(model, layers, weights, x):
            is_zero = ops.equal(a, 0)
            is_dead = ops.all(is_zero, axis=tuple(range(len(a.shape) - 1)))
            zeros, dead = (ops.mean(ops.cast(e, a.dtype)) for e in (is_zero, is_dead))
            found.append(ops.stack([ops.mean(a), ops.std(a), zeros, dead]))
        return ops.stack(found)

    inputs = own(runs, x, runs.plan.model.inputs[0].ndim)
    found = np.array(compute("activations", measure, runs, inputs, layers=layers))
    names = ("mean", "standard_deviation", "zeros", "dead_units")
    columns = dict(zip(names, np.moveaxis(found, -1, 0), strict=True))
    return tidy(runs, {"layer": range(1, len(layers) + 1)}, columns)


def ablation(
    runs: Runs,
    x: np.ndarray,
    y: np.ndarray,
    layer: str,
    metric: str | Callable[..., Any] = "accuracy",
    removed: Sequence[Sequence[int]] | None = None,
) -> pd.DataFrame:
    """Return how well networks do without units of a layer.

    A unit is removed by setting its output to 0 for all examples and positions.

    Parameters
    ----------
    runs : Runs
    x : ndarray, shape (examples, ...) or (seeds, examples, ...)
    y : ndarray, shape (examples, ...) or (seeds, examples, ...), as `x`
    layer : str
        Name of a layer; its units are the entries of its output's last axis.
    metric : str or callable
        As in `Recipe.metrics`; ``metric(y, prediction)`` may be a loss.
    removed : sequence of sequence of int, optional
        Sets of units that are removed together, all of one layer, counted from 0. Every
        unit alone by default.

    Returns
    -------
    DataFrame
        One row for each replica and set: ``layer``, ``unit`` (the position of the set
        in `removed`, so the unit itself by default), the metric's mean over examples
        under its name, and ``intact_<metric>``, that of the network with all units.
    """
    from keras import ops

    model = runs.plan.model
    units = layer_of(model, layer).output.shape[-1]
    sets = [[unit] for unit in range(units)] if removed is None else removed
    kept = np.ones((len(sets) + 1, units), bool)  # the last one removes nothing
    for row, chosen in zip(kept, sets, strict=False):
        row[list(chosen)] = False
    inputs = own(runs, x, model.inputs[0].ndim)
    targets = own(runs, y, y.ndim - (x.ndim - inputs[0].ndim))
    score = measure_of(metric, targets[0], model.outputs[0].shape[-1])

    def measure(model: keras.Model, weights: Any, x: Any, y: Any, kept: Any) -> Any:
        def without(kept: Any) -> Any:
            def change(output: Any) -> Any:
                return ops.where(kept, output, ops.zeros_like(output))

            with tapped(model, [layer], [change]):
                prediction, _ = model.stateless_call(*weights, x, training=False)
            return ops.mean(ops.cast(score(y, prediction), runs.plan.dtype))

        return ops.map(without, kept)

    arrays = inputs, targets, [kept] * len(inputs)
    found = np.array(
        compute(("ablation", score), measure, runs, *arrays, layers=[layer])
    )
    name = metric if isinstance(metric, str) else metric.__name__
    intact = np.repeat(found[:, -1:], len(sets), axis=1)
    index = {"layer": [layer], "unit": range(len(sets))}
    return tidy(runs, index, {name: found[:, :-1], f"intact_{name}": intact})
