"""Derivatives of outputs with respect to inputs, for single examples, exactly."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims.engine import backends
from dlclaims.engine.probes.tables import log_rms, tidy
from dlclaims.engine.runs import Runs
from dlclaims.engine.taps import compute, layer_of, own, pushes, tapped, zeros
from dlclaims.errors import UsageError

if TYPE_CHECKING:
    import keras
    import pandas as pd


def jacobians(runs: Runs, x: np.ndarray, layer: str | None = None) -> np.ndarray:
    """Return every example's derivative of all outputs with respect to all inputs.

    There is one backward pass for each output, of all examples at once.

    Parameters
    ----------
    runs : Runs
    x : ndarray, shape (examples, ...) or (seeds, examples, ...)
    layer : str, optional
        Differentiate with respect to this layer's output instead, e.g. an embedding's.

    Returns
    -------
    ndarray, shape (replicas, examples, *outputs, *inputs)
    """
    from keras import ops

    inputs = differentiable(runs, x, layer)
    outputs = output_shape(runs, inputs[0])
    rows = np.eye(math.prod(outputs), dtype=runs.plan.dtype).reshape(-1, 1, *outputs)

    def measure(model: keras.Model, weights: Any, x: Any, rows: Any) -> Any:
        return ops.map(lambda row: slopes(model, weights, x, row, layer), rows)

    layers = [layer] if layer else []
    each = [rows] * len(inputs)
    found = np.stack(compute("jacobians", measure, runs, inputs, each, layers=layers))
    replicas, _, n, *features = found.shape
    return np.moveaxis(found, 1, 2).reshape(replicas, n, *outputs, *features)


def jacobian_norms(runs: Runs, x: np.ndarray, layer: str | None = None) -> pd.DataFrame:
    """Return how strongly outputs respond to inputs.

    Parameters
    ----------
    runs, x, layer
        As in `jacobians`.

    Returns
    -------
    DataFrame
        One row for each replica, with natural logarithms of rms values over examples:
        ``log_frobenius`` of the Jacobian's Frobenius norm, the root of the sum of its
        squared singular values, and ``log_spectral`` of its largest singular value.
    """
    found = jacobians(runs, x, layer)
    outputs = found.shape[2 : runs.plan.model.outputs[0].ndim + 1]
    matrices = found.reshape(*found.shape[:2], math.prod(outputs), -1)
    is_finite = np.isfinite(matrices).all(axis=(2, 3))
    largest = np.full(is_finite.shape, np.nan)
    largest[is_finite] = np.linalg.norm(matrices[is_finite], 2, axis=(1, 2))
    entries = math.prod(matrices.shape[2:])
    columns = {
        "log_frobenius": log_rms(matrices, (1, 2, 3)) + math.log(entries) / 2,
        "log_spectral": log_rms(largest, (1,)),
    }
    return tidy(runs, {}, columns)


def position_jacobians(
    runs: Runs, x: np.ndarray, layer: str | None = None
) -> pd.DataFrame:
    """Return how strongly the output at a position responds to the input at another.

    Parameters
    ----------
    runs, x, layer
        As in `jacobians`; positions are the first axis of an example.

    Returns
    -------
    DataFrame
        One row for each replica, ``output_position`` (1 first; the only one where the
        output is a vector) and ``input_position`` (1 first): ``log_frobenius``, the
        natural logarithm of the rms over examples of the Frobenius norm of the one's
        derivative with respect to the other; -inf where there is no dependence at all.
    """
    found = jacobians(runs, x, layer)
    rank = runs.plan.model.outputs[0].ndim - 1
    outputs, inputs = found.shape[2 : rank + 2], found.shape[rank + 2 :]
    after, before = outputs[0] if rank > 1 else 1, inputs[0]
    size, features = math.prod(outputs) // after, math.prod(inputs[1:])
    blocks = found.reshape(*found.shape[:2], after, size, before, features)
    norms = log_rms(blocks, (1, 3, 5)) + math.log(size * features) / 2
    index = {
        "output_position": range(1, after + 1),
        "input_position": range(1, before + 1),
    }
    return tidy(runs, index, {"log_frobenius": norms})


def slopes(
    model: keras.Model, weights: Any, x: Any, readout: Any, layer: str | None
) -> Any:
    """Return the derivative of a read-out of the output, by input or a layer's output.

    Examples do not depend on each other in inference mode, so that the gradient of the
    sum over them holds each example's own.
    """
    from keras import ops

    def scalar(offset: Any) -> tuple[Any, Any]:
        if layer is None:
            output, _ = model.stateless_call(*weights, x + offset, training=False)
        else:
            with tapped(model, [layer], pushes([offset])):
                output, _ = model.stateless_call(*weights, x, training=False)
        return ops.sum(readout * output), ()

    (offset,) = zeros(model, [layer], weights, x) if layer else [ops.zeros_like(x)]
    return backends.load().gradients(scalar, 1)(offset)[2]


def differentiable(runs: Runs, x: np.ndarray, layer: str | None) -> list[np.ndarray]:
    """Return each replica's examples, and refuse what has no derivative."""
    inputs = own(runs, x, runs.plan.model.inputs[0].ndim)
    if layer is not None:
        layer_of(runs.plan.model, layer)
    elif np.issubdtype(inputs[0].dtype, np.integer):
        raise UsageError(
            "real inputs, or a layer whose output is differentiated by",
            f"{x.dtype} inputs",
            "name the embedding layer",
        )
    return inputs


def output_shape(runs: Runs, x: np.ndarray) -> tuple[int, ...]:
    """Return the shape of one example's output for inputs of this shape."""
    return tuple(runs.plan.model.compute_output_shape(x.shape)[1:])
