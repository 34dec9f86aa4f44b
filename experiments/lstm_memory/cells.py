"""The recurrent networks of this page that are trained, all of one size."""

from __future__ import annotations

import itertools
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from dlclaims import engine
from dlclaims.errors import PageError

if TYPE_CHECKING:
    import keras

LEAST = 28  # units of an LSTM

#: In words; where nothing is said, initialisers are Keras' defaults.
CELLS = {
    "rnn": "SimpleRNN (orthogonal, Keras default)",
    "irnn": "SimpleRNN (identity, ReLU)",
    "lstm-0": "LSTM, forget bias 0",
    "lstm-1": "LSTM, forget bias 1 (Keras default)",
    "lstm-chrono": "LSTM, chrono biases for the lag",
    "gru": "GRU (Keras default)",
    "lstm-no-forget": "LSTM without forget gate (f = 1)",
    "lstm-no-input": "LSTM without input gate (i = 1)",
    "lstm-no-output": "LSTM without output gate (o = 1)",
}
WITHOUT = {"lstm-no-forget": "f", "lstm-no-input": "i", "lstm-no-output": "o"}


def layer(cell: str, units: int, lag: int, **options: Any) -> keras.layers.Layer:
    """Return the recurrent layer ``memory`` of a cell of `CELLS`."""
    import keras

    known, options = keras.layers, {"name": "memory", **options}
    if cell in WITHOUT:
        return known.RNN(gated_cell()(units, WITHOUT[cell]), **options)
    if cell == "gru":
        return known.GRU(units, **options)
    if cell == "rnn":
        return known.SimpleRNN(units, **options)
    if cell == "irnn":
        identity = keras.initializers.Identity()
        return known.SimpleRNN(units, "relu", recurrent_initializer=identity, **options)
    if cell == "lstm-1":
        return known.LSTM(units, **options)
    bias = "zeros" if cell == "lstm-0" else chrono()(lag)
    return known.LSTM(units, bias_initializer=bias, unit_forget_bias=False, **options)


def build(
    cell: str,
    units: int,
    features: int,
    outputs: int,
    lag: int,
    steps: int | None = None,
) -> keras.Model:
    """Build a network that reads a sequence and answers after its last step.

    Parameters
    ----------
    lag : int
        What chrono biases prepare for; the sequence has one step more.
    steps : int, optional
        Steps of a sequence that is answered after every step instead.
    """
    import keras

    x = keras.Input((steps or lag + 1, features))
    state = layer(cell, units, lag, return_sequences=steps is not None)(x)
    return keras.Model(x, keras.layers.Dense(outputs)(state))


@cache
def budget(features: int, outputs: int) -> int:
    """Return the weights of the smallest LSTM that all other cells can match."""
    for units in itertools.count(LEAST):
        found = engine.cost(build("lstm-1", units, features, outputs, 2))
        try:
            for cell in ("rnn", "gru", "lstm-no-forget"):
                matched(cell, features, outputs, found)
        except PageError:
            continue
        return found
    raise AssertionError  # counting does not end


def matched(cell: str, features: int, outputs: int, weights: int) -> int:
    return engine.width_for(lambda n: build(cell, n, features, outputs, 2), weights)


@cache
def units_of(cell: str, features: int, outputs: int) -> int:
    """Return the units at which a cell's network is as large as all others."""
    return matched(cell, features, outputs, budget(features, outputs))


@cache
def chrono() -> type[keras.Initializer]:
    """Return the initializer of LSTM biases of Tallec & Ollivier 2018 (ICLR, sec. 2).

    Forget biases are log u with u uniform on [1, lag - 1], input biases their
    negatives, the others 0.
    """
    import keras

    class Chrono(keras.initializers.Initializer):
        def __init__(self, lag: int, seed: int = 0) -> None:
            self.lag, self.seed = lag, seed

        def __call__(self, shape: Any, dtype: Any = None) -> Any:
            units = shape[0] // 4
            rng = np.random.default_rng(self.seed)
            forget = np.log(rng.uniform(1, max(2, self.lag - 1), units))
            rest = np.zeros(2 * units)
            return np.concatenate([-forget, forget, rest]).astype("float32")

        def get_config(self) -> dict[str, int]:
            return {"lag": self.lag, "seed": self.seed}

    return Chrono


@cache
def gated_cell() -> type[keras.layers.Layer]:
    """Return the cell of an LSTM one of whose gates is fixed at 1, forget bias 1."""
    import keras
    from keras import ops

    class GatedCell(keras.layers.Layer):
        def __init__(self, units: int, without: str) -> None:
            super().__init__()
            self.units, self.without = units, without
            self.gates = [gate for gate in "ifo" if gate != without]
            self.state_size = [units, units]
            self.output_size = units

        def build(self, shape: Any) -> None:
            width = (len(self.gates) + 1) * self.units
            for name, rows, rule in (
                ("kernel", shape[-1], "glorot_uniform"),
                ("recurrent_kernel", self.units, "orthogonal"),
            ):
                weight = self.add_weight(
                    shape=(rows, width), initializer=rule, name=name
                )
                setattr(self, name, weight)
            self.bias = self.add_weight(
                shape=(width,), initializer=self.bias_values, name="bias"
            )

        def bias_values(self, shape: Any, dtype: Any = None) -> Any:
            found = np.zeros(shape, "float32")
            if "f" in self.gates:
                place = self.gates.index("f") * self.units
                found[place : place + self.units] = 1
            return found

        def call(self, x: Any, states: Any, training: Any = False) -> Any:
            h, c = states
            z = ops.matmul(x, self.kernel) + ops.matmul(h, self.recurrent_kernel)
            *parts, candidate = ops.split(z + self.bias, len(self.gates) + 1, axis=-1)
            opened = {
                name: ops.sigmoid(part)
                for name, part in zip(self.gates, parts, strict=True)
            }
            c = opened.get("f", 1.0) * c + opened.get("i", 1.0) * ops.tanh(candidate)
            h = opened.get("o", 1.0) * ops.tanh(c)
            return h, [h, c]

        def get_config(self) -> dict[str, Any]:
            return {"units": self.units, "without": self.without}

    return GatedCell
