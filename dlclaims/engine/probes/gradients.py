"""Gradients at pre-activations, activations and weights, layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims.engine import backends
from dlclaims.engine.probes.tables import gaussian_readouts, log_rms, tidy
from dlclaims.engine.runs import Runs
from dlclaims.engine.taps import (
    compute,
    hidden_layers,
    own,
    places,
    pushes,
    tapped,
    zeros,
)

if TYPE_CHECKING:
    import keras
    import pandas as pd


#: The least scale that is divided by; single precision's smallest normal number.
TINY = 1.2e-38


def preactivation_gradients(runs: Runs, x: np.ndarray) -> pd.DataFrame:
    """Return how large gradients and signals are in every hidden layer.

    The differentiated scalar J of an example is a Gaussian read-out of its last
    pre-activation z_L, of its own for every example (stream ``noise/readout``): dJ/dz_L
    has independent standard normal entries, so that the ratios between layers are those
    of mean-field theory. A loss summed over a batch would add coherently instead.

    Parameters
    ----------
    runs : Runs
    x : ndarray, shape (examples, ...) or (seeds, examples, ...)

    Returns
    -------
    DataFrame
        One row for each replica and hidden layer: ``seed`` (and ``learning_rate`` of
        trained runs), ``layer`` (1 next to the input), and natural logarithms of
        ``log_gradient``, the rms of dJ/dz_l over examples and units,
        ``log_activation_gradient``, that of dJ/da_l (missing at the last layer, which J
        does not see), and ``log_second_moment``, the mean of z_l^2.
    """
    from keras import ops

    before, after = hidden_layers(runs.plan.model)
    layers = [*before, *after]

    def measure(model: keras.Model, weights: Any, x: Any, readout: Any) -> Any:
        def scalar(offsets: Any) -> tuple[Any, Any]:
            with tapped(model, layers, pushes(offsets)) as seen:
                model.stateless_call(*weights, x, training=False)
            return ops.sum(readout * seen[before[-1]]), seen

        offsets = zeros(model, layers, weights, x)
        _, seen, slopes = backends.load().gradients(scalar, 1)(offsets)
        # Squares of vanishing gradients leave single precision's range: scale first.
        arrays = [*slopes, *(seen[name] for name in before)]
        largest = [ops.maximum(ops.max(ops.abs(each)), TINY) for each in arrays]
        moments = [
            ops.mean(ops.square(each / scale))
            for each, scale in zip(arrays, largest, strict=True)
        ]
        return ops.stack(largest), ops.stack(moments)

    units = runs.plan.model.get_layer(before[-1]).output.shape[1:]
    inputs = own(runs, x, runs.plan.model.inputs[0].ndim)
    readouts = gaussian_readouts(runs, (len(inputs[0]), *units))
    found = compute("gradients", measure, runs, inputs, readouts, layers=layers)
    largest, moments = np.moveaxis(np.array(found, float), 1, 0)
    with np.errstate(divide="ignore"):  # the log of no gradient at all
        logs = np.log(largest) + np.log(moments) / 2
    logs = logs.reshape(-1, 3, len(before))
    logs[:, 1, -1] = np.nan
    columns = {
        "log_gradient": logs[:, 0],
        "log_activation_gradient": logs[:, 1],
        "log_second_moment": 2 * logs[:, 2],
    }
    return tidy(runs, {"layer": range(1, len(before) + 1)}, columns)


@dataclass(frozen=True, eq=False)
class LayerGradients:
    """Gradients of the mean loss at every hidden layer.

    Parameters
    ----------
    runs : Runs
    preactivations, activations : list of ndarray, shape (replicas, examples, units)
        dL/dz_l and dL/da_l, layer 1 first.
    weights : list of ndarray, shape (replicas, *kernel)
        dL/dW_l.
    """

    runs: Runs
    preactivations: list[np.ndarray]
    activations: list[np.ndarray]
    weights: list[np.ndarray]

    def table(self) -> pd.DataFrame:
        """Return a row for each replica and layer with the logs of the arrays' rms.

        Columns ``log_gradient`` (dL/dz_l), ``log_activation_gradient``,
        ``log_weight_gradient``, in nats.
        """
        parts = {
            "log_gradient": self.preactivations,
            "log_activation_gradient": self.activations,
            "log_weight_gradient": self.weights,
        }
        columns = {
            name: np.stack([log_rms(a, range(1, a.ndim)) for a in arrays], axis=1)
            for name, arrays in parts.items()
        }
        return tidy(self.runs, {"layer": range(1, len(self.weights) + 1)}, columns)


def layer_gradients(
    runs: Runs, x: np.ndarray, y: np.ndarray, loss: str | Callable[..., Any]
) -> LayerGradients:
    """Return the gradients of the mean loss at pre-activations, activations, weights.

    Parameters
    ----------
    runs : Runs
    x : ndarray, shape (examples, ...) or (seeds, examples, ...)
    y : ndarray, shape (examples, ...) or (seeds, examples, ...), as `x`
    loss : str or callable
        A Keras loss by name, or ``loss(y, prediction)`` with one value an example.
    """
    import keras

    model = runs.plan.model
    before, after = hidden_layers(model)
    layers = [*before, *after]
    kernels = places(model, [model.get_layer(name).kernel for name in before])

    def measure(model: keras.Model, weights: Any, x: Any, y: Any) -> Any:
        trained, others = weights

        def scalar(parts: Any) -> tuple[Any, Any]:
            offsets, chosen = parts
            values = [*trained, *others]
            for place, value in zip(kernels, chosen, strict=True):
                values[place] = value
            parted = values[: len(trained)], values[len(trained) :]
            with tapped(model, layers, pushes(offsets)):
                prediction, _ = model.stateless_call(*parted, x, training=False)
            return keras.ops.mean(keras.losses.get(loss)(y, prediction)), ()

        offsets = zeros(model, layers, weights, x)
        chosen = [[*trained, *others][place] for place in kernels]
        return backends.load().gradients(scalar, 1)((offsets, chosen))[2]

    inputs = own(runs, x, model.inputs[0].ndim)
    targets = own(runs, y, y.ndim - (x.ndim - inputs[0].ndim))
    found = compute(("layers", loss), measure, runs, inputs, targets, layers=layers)
    slopes, weights = (
        [np.stack(layer) for layer in zip(*part, strict=True)]
        for part in zip(*found, strict=True)
    )
    depth = len(before)
    return LayerGradients(runs, slopes[:depth], slopes[depth:], weights)


def signal_to_noise(
    runs: Runs, x: np.ndarray, y: np.ndarray, loss: str | Callable[..., Any]
) -> np.ndarray:
    """Return the median signal-to-noise ratio of the first layer's weight gradients.

    A weight's ratio is the size of its mean gradient over the examples divided by the
    standard deviation over them; weights without any gradient do not count (NaN when
    there is no other).

    Parameters
    ----------
    runs : Runs
    x, y, loss
        As in `layer_gradients`; `x` of shape (..., examples, inputs).

    Returns
    -------
    ndarray, shape (replicas,)
    """
    slopes = layer_gradients(runs, x, y, loss).preactivations[0]
    ratios = []
    for inputs, slope in zip(own(runs, x, 2), slopes.astype(float), strict=True):
        # One example's weight gradient is the outer product of its input and slope,
        # so the moments over examples are matrix products.
        n, inputs = len(slope), inputs.astype(float)
        mean = inputs.T @ slope
        variance = n * (inputs**2).T @ slope**2 - mean**2
        is_live = variance > 0
        found = np.abs(mean[is_live]) / np.sqrt(variance[is_live])
        ratios.append(np.median(found) if found.size else np.nan)
    return np.array(ratios)


def derivative(function: Callable[[Any], Any], z: np.ndarray) -> np.ndarray:
    """Return the derivative of an elementwise Keras function, by differentiation.

    Parameters
    ----------
    function : callable
        E.g. ``keras.activations.tanh``.
    z : ndarray
        float64 gives double precision.
    """
    backend = backends.load()
    from keras import ops

    with backend.precision(str(z.dtype)):
        slope = backend.gradients(lambda a: (ops.sum(function(a)), ()), 1)
        return np.asarray(slope(backend.tensor(z))[2])
