"""Gradients against the time that lies between cause and effect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims.engine import backends
from dlclaims.engine.probes.sensitivity import differentiable, output_shape, slopes
from dlclaims.engine.probes.tables import gaussian_readouts, log_rms, tidy
from dlclaims.engine.runs import Runs
from dlclaims.engine.taps import compute, layer_of, own, replaced
from dlclaims.errors import UsageError

if TYPE_CHECKING:
    import keras
    import pandas as pd


def lag_gradients(runs: Runs, x: np.ndarray, layer: str | None = None) -> pd.DataFrame:
    """Return how large the gradient at the input is, by time before the last output.

    The differentiated scalar J of an example is a Gaussian read-out of the last step's
    output, as in `preactivation_gradients`.

    Parameters
    ----------
    runs : Runs
    x : ndarray, shape (examples, steps, ...) or (seeds, examples, steps, ...)
    layer : str, optional
        Differentiate with respect to this layer's output sequence instead, e.g. an
        embedding's. For a recurrent layer this leaves out what a state does to later
        states: see `state_gradients`.

    Returns
    -------
    DataFrame
        One row for each replica and ``lag``, the steps T - t from input t to the last
        one, T: ``log_gradient``, the natural logarithm of the rms over examples and
        features of dJ/dx_t; -inf where there is no dependence at all, and where the
        dtype has no number so small (float32 below -87 nats).
    """
    inputs = differentiable(runs, x, layer)

    def measure(model: keras.Model, weights: Any, x: Any, readout: Any) -> Any:
        return slopes(model, weights, x, readout, layer)

    found = np.stack(
        compute(
            "lags",
            measure,
            runs,
            inputs,
            last_readouts(runs, inputs[0]),
            layers=[layer] if layer else [],
        )
    )
    logs = log_rms(found, (1, *range(3, found.ndim)))[:, ::-1]
    return tidy(runs, {"lag": range(logs.shape[1])}, {"log_gradient": logs})


def state_gradients(runs: Runs, x: np.ndarray, layer: str) -> pd.DataFrame:
    """Return how large the gradient at a recurrent layer's states is, by lag.

    J is that of `lag_gradients`. Each of a cell's states is differentiated by with the
    others held: for an LSTM, dJ/dc_t is what J owes to the cell state that step t hands
    on, without what it owes to h_t.

    Parameters
    ----------
    runs : Runs
    x : ndarray, shape (examples, steps, ...) or (seeds, examples, steps, ...)
    layer : str
        Name of a SimpleRNN, LSTM, GRU or RNN layer that reads its sequence forwards
        from states of 0, without a mask.

    Returns
    -------
    DataFrame
        One row for each replica, ``state`` (1 for h, 2 for an LSTM's c) and ``lag``,
        the steps T - t from the state after step t to the last one (lag T is the
        initial state): ``log_gradient``, the natural logarithm of the rms over examples
        and units of the gradient; -inf as in `lag_gradients`.
    """
    import keras
    from keras import ops

    chosen = layer_of(runs.plan.model, layer)
    if not isinstance(chosen, keras.layers.RNN) or chosen.go_backwards:
        raise UsageError(
            "a SimpleRNN, LSTM, GRU or RNN layer that reads forwards",
            f"the {type(chosen).__name__} layer {layer!r}",
            "name a recurrent layer",
        )

    def measure(model: keras.Model, weights: Any, x: Any, readout: Any) -> Any:
        recurrent = model.get_layer(layer)
        steps = recurrent.input.shape[1] or x.shape[1]

        def scalar(offsets: Any) -> tuple[Any, Any]:
            with replaced({recurrent: stepwise(recurrent, offsets)}):
                output, _ = model.stateless_call(*weights, x, training=False)
            return ops.sum(readout * output), ()

        offsets = [
            ops.zeros((steps + 1, x.shape[0], units), recurrent.compute_dtype)
            for units in state_sizes(recurrent)
        ]
        return backends.load().gradients(scalar, 1)(offsets)[2]

    inputs = own(runs, x, runs.plan.model.inputs[0].ndim)
    readouts = last_readouts(runs, inputs[0])
    found = compute("states", measure, runs, inputs, readouts, layers=[layer])
    by_state = [np.stack(state) for state in zip(*found, strict=True)]
    logs = np.stack([log_rms(state, (2, 3)) for state in by_state], axis=1)[..., ::-1]
    index = {"state": range(1, logs.shape[1] + 1), "lag": range(logs.shape[2])}
    return tidy(runs, index, {"log_gradient": logs})


def stepwise(layer: Any, offsets: Any) -> Any:
    """Return a recurrent layer's call that adds offsets to the states of every step.

    Parameters
    ----------
    layer : keras.layers.RNN
    offsets : list of tensor, shape (steps + 1, examples, units)
        One for each state; the first step's are the initial states.
    """
    from keras import ops

    def step(states: Any, given: Any) -> tuple[Any, Any]:
        x, pushes = given
        _, states = layer.cell(x, states, training=False)
        states = [state + push for state, push in zip(states, pushes, strict=True)]
        return states, states

    def call(
        sequences: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: Any = None,
    ) -> Any:
        if mask is not None or initial_state is not None:
            raise UsageError(
                "a recurrent layer without a mask, from states of 0",
                f"a mask or an initial state for {layer.name!r}",
                "probe a model without them",
            )
        first, later = [o[0] for o in offsets], [o[1:] for o in offsets]
        _, states = ops.scan(step, first, (ops.swapaxes(sequences, 0, 1), later))
        outputs = ops.swapaxes(states[0], 0, 1)
        return outputs if layer.return_sequences else outputs[:, -1]

    return call


def state_sizes(layer: Any) -> list[int]:
    """Return the sizes of a recurrent layer's states."""
    sizes = layer.cell.state_size
    return [sizes] if isinstance(sizes, int) else list(sizes)


def last_readouts(runs: Runs, x: np.ndarray) -> list[np.ndarray]:
    """Return Gaussian read-outs of outputs that are vectors, or of their last step."""
    *steps, units = output_shape(runs, x)
    readouts = []
    for last in gaussian_readouts(runs, (len(x), units)):
        readout = np.zeros((len(x), *steps, units), last.dtype)
        readout.reshape(len(x), -1, units)[:, -1] = last
        readouts.append(readout)
    return readouts
