"""The document's LSTM in numpy, by its formulas and by readings of its prose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Keras keeps the maps side by side in this order; "candidate" is the document's C~.
MAPS = ("input", "forget", "candidate", "output")


def sigmoid(z: np.ndarray) -> np.ndarray:
    return (1 + np.tanh(z / 2)) / 2


@dataclass(frozen=True)
class Maps:
    """The four affine maps of [h, x], by the names in `MAPS`.

    Parameters
    ----------
    weights : dict of str to np.ndarray
        Shape (units + features, units) each.
    biases : dict of str to np.ndarray
        Shape (units,) each.
    """

    weights: dict[str, np.ndarray]
    biases: dict[str, np.ndarray]

    def __call__(self, name: str, h: np.ndarray, x: np.ndarray) -> np.ndarray:
        return np.concatenate([h, x], axis=-1) @ self.weights[name] + self.biases[name]


def maps(kernel: np.ndarray, recurrent: np.ndarray, bias: np.ndarray) -> Maps:
    """Return the document's maps from a Keras LSTM's weights.

    Parameters
    ----------
    kernel : np.ndarray, shape (features, 4 units)
    recurrent : np.ndarray, shape (units, 4 units)
    bias : np.ndarray, shape (4 units,)
    """
    both = np.split(np.concatenate([recurrent, kernel]), 4, axis=1)
    return Maps(
        dict(zip(MAPS, both, strict=True)),
        dict(zip(MAPS, np.split(bias, 4), strict=True)),
    )


def update(own: Maps, h: np.ndarray, c: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the document's C_t = f_t C_{t-1} + i_t C~_t, shape (examples, units)."""
    kept = sigmoid(own("forget", h, x)) * c
    return kept + sigmoid(own("input", h, x)) * np.tanh(own("candidate", h, x))


def output(
    reading: str,
    own: Maps,
    h: np.ndarray,
    x: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
) -> np.ndarray:
    """Return h_t, shape (examples, units), by the formulas or a reading of the prose.

    Parameters
    ----------
    reading : str
        ``formulas``; or of the prose: ``sigmoid`` (h_t is a sigmoid of the cell state),
        ``gate`` (it is the gate that is a sigmoid of the cell state), ``order`` (the
        cell state is updated after the output has been found).
    before, after : np.ndarray
        C_{t-1} and C_t.
    """
    gate = sigmoid(own("output", h, x))
    return {
        "formulas": gate * np.tanh(after),
        "sigmoid": sigmoid(before),
        "gate": sigmoid(after) * np.tanh(after),
        "order": gate * np.tanh(before),
    }[reading]


def unroll(own: Maps, x: np.ndarray, reading: str) -> tuple[np.ndarray, np.ndarray]:
    """Return all outputs and the last cell state, from states of 0.

    Parameters
    ----------
    x : np.ndarray, shape (examples, steps, features)

    Returns
    -------
    outputs : np.ndarray, shape (examples, steps, units)
    state : np.ndarray, shape (examples, units)
    """
    h = c = np.zeros((len(x), len(own.biases["output"])))
    outputs = []
    for now in np.moveaxis(x, 1, 0):
        after = update(own, h, c, now)
        h, c = output(reading, own, h, now, c, after), after
        outputs.append(h)
    return np.stack(outputs, axis=1), c
