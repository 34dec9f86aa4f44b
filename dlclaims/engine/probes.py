"""Looking into networks: gradients and activations layer by layer, for all replicas.

Hidden layer l of a model is its layer ``pre_l``, whose output is the pre-activation
z_l, and its layer ``act_l``, whose output is the activation phi(z_l). Probes run in
inference mode. Examples are either shared by all seeds, shape (examples, ...), or each
seed's own, shape (seeds, examples, ...).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims.engine import architecture, backends, cache
from dlclaims.engine.blueprint import precision
from dlclaims.engine.recipe import typed
from dlclaims.engine.runs import Runs
from dlclaims.errors import UsageError

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

    def measure(model: keras.Model, weights: Any, x: Any, readout: Any) -> Any:
        def scalar(offsets: Any) -> tuple[Any, Any]:
            with tapped(model, [*before, *after], offsets) as seen:
                model.stateless_call(*weights, x, training=False)
            return ops.sum(readout * seen[before[-1]]), seen

        offsets = zeros(model, [*before, *after], x.shape[0])
        _, seen, slopes = backends.load().gradients(scalar, 1)(offsets)
        # Squares of vanishing gradients leave single precision's range: scale first.
        arrays = [*slopes, *(seen[name] for name in before)]
        largest = [ops.maximum(ops.max(ops.abs(each)), TINY) for each in arrays]
        moments = [
            ops.mean(ops.square(each / scale))
            for each, scale in zip(arrays, largest, strict=True)
        ]
        return ops.stack(largest), ops.stack(moments)

    layers, units = len(before), runs.plan.model.get_layer(before[-1]).output.shape[1:]
    inputs = own(runs, x, runs.plan.model.inputs[0].ndim)
    readouts = [
        typed(rng.standard_normal((len(inputs[0]), *units)), runs.plan.dtype)
        for rng in (
            runs.seeds.generator(seed, "noise/readout") for seed, _ in runs.replicas
        )
    ]
    found = np.array(compute("gradients", measure, runs, inputs, readouts), float)
    with np.errstate(divide="ignore"):  # the log of no gradient at all
        logs = np.log(found[:, 0]) + np.log(found[:, 1]) / 2
    logs = logs.reshape(-1, 3, layers)
    logs[:, 1, -1] = np.nan
    return by_layer(
        runs,
        layers,
        log_gradient=logs[:, 0],
        log_activation_gradient=logs[:, 1],
        log_second_moment=2 * logs[:, 2],
    )


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
        columns = {
            "log_gradient": self.preactivations,
            "log_activation_gradient": self.activations,
            "log_weight_gradient": self.weights,
        }
        return by_layer(
            self.runs,
            len(self.weights),
            **{
                name: np.stack([log_rms(array) for array in arrays], axis=1)
                for name, arrays in columns.items()
            },
        )


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
    kernels = [kernel_place(model, name) for name in before]

    def measure(model: keras.Model, weights: Any, x: Any, y: Any) -> Any:
        def scalar(parts: Any) -> tuple[Any, Any]:
            trained, offsets = parts
            with tapped(model, [*before, *after], offsets):
                out, _ = model.stateless_call(trained, weights[1], x, training=False)
            return keras.ops.mean(keras.losses.get(loss)(y, out)), ()

        offsets = zeros(model, [*before, *after], x.shape[0])
        parts = (list(weights[0]), offsets)
        _, _, (trained, slopes) = backends.load().gradients(scalar, 1)(parts)
        return slopes, [trained[place] for place in kernels]

    inputs = own(runs, x, model.inputs[0].ndim)
    targets = own(runs, y, y.ndim - (x.ndim - inputs[0].ndim))
    found = compute(("layers", loss), measure, runs, inputs, targets)
    slopes, trained = (
        [np.stack(layer) for layer in zip(*part, strict=True)]
        for part in zip(*found, strict=True)
    )
    layers = len(before)
    return LayerGradients(runs, slopes[:layers], slopes[layers:], trained)


def signal_to_noise(
    runs: Runs, x: np.ndarray, y: np.ndarray, loss: str | Callable[..., Any]
) -> np.ndarray:
    """Return the median signal-to-noise ratio of the first layer's weight gradients.

    A weight's ratio is the size of its mean gradient over the examples divided by the
    standard deviation over them; weights without any gradient do not count.

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
        ratios.append(np.median(np.abs(mean[is_live]) / np.sqrt(variance[is_live])))
    return np.array(ratios)


def representations(runs: Runs, x: np.ndarray) -> list[list[np.ndarray]]:
    """Return the activations of every replica and hidden layer.

    Returns
    -------
    list of list of ndarray, shape (examples, units)
        By replica, then by layer, layer 1 first. In a residual stack a layer's
        activation is the sum that leaves its block.
    """

    def measure(model: keras.Model, weights: Any, x: Any) -> Any:
        _, after = hidden_layers(model)
        with tapped(model, after, None) as seen:
            model.stateless_call(*weights, x, training=False)
        return [seen[name] for name in after]

    return compute(
        "representations", measure, runs, own(runs, x, runs.plan.model.inputs[0].ndim)
    )


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


def kernel_place(model: keras.Model, name: str) -> int:
    """Return the position of a layer's kernel among the trainable variables."""
    kernel = model.get_layer(name).kernel
    return [v is kernel for v in model.trainable_variables].index(True)


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
    place = {id(v): k for k, v in enumerate(model.variables)}
    parts = model.trainable_variables, model.non_trainable_variables

    def arguments(row: int) -> Any:
        weights = [[runs.values[place[id(v)]][row] for v in part] for part in parts]
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


def log_rms(array: np.ndarray) -> np.ndarray:
    """Return the log of the rms over all axes but the first."""
    squares = np.square(array, dtype="float64").reshape(len(array), -1)
    with np.errstate(divide="ignore"):
        return np.log(squares.mean(axis=1)) / 2


def by_layer(runs: Runs, layers: int, **columns: np.ndarray) -> pd.DataFrame:
    """Return a tidy table of arrays of shape (replicas, layers)."""
    import pandas as pd

    rows = [(*each, layer + 1) for each in runs.replicas for layer in range(layers)]
    table = pd.DataFrame(rows, columns=["seed", "learning_rate", "layer"])
    if not runs.learning_rates:
        table = table.drop(columns="learning_rate")
    return table.assign(**{name: each.ravel() for name, each in columns.items()})
