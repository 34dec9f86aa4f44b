"""ReLU networks whose kinks lie among the data: shapes, starts, widths."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras


def relu(
    inputs: int,
    widths: Sequence[int],
    outputs: int,
    near: Sequence[np.ndarray] = (),
    noise: float = 0.0,
) -> keras.Model:
    """Build a dense ReLU network with a linear read-out.

    Biases follow He's law as the weights do, as if they were weights of one more input
    of 1: with Keras' zeros every kink of a network of one input would lie at 0.

    Parameters
    ----------
    inputs, outputs : int
    widths : sequence of int
        Of the hidden layers.
    near : sequence of np.ndarray, optional
        Start near these instead: kernels and biases in turn, as large as the network's
        or smaller, then padded with zeros.
    noise : float
        Deviation from `near`: the fraction of each weight, and of He's deviation where
        there is none.
    """
    import keras

    def law(layer: int, part: int, shape: tuple[int, ...]) -> keras.Initializer:
        deviation = np.full(shape, math.sqrt(2 / sizes[layer]))
        if not near:
            own = math.sqrt(0.5) if layer == len(widths) else 1.0
            return normal(0.0, own * float(deviation.flat[0]), 2 * layer + part)
        mean = np.zeros(shape)
        given = near[2 * layer + part]
        mean[tuple(slice(size) for size in given.shape)] = given
        deviation = noise * np.where(mean == 0, deviation, np.abs(mean))
        return normal(mean, deviation, 2 * layer + part)

    def normal(mean: object, deviation: object, seed: int) -> keras.Initializer:
        # Engine and numpy let mean and deviation be arrays; Keras hands them through.
        return keras.initializers.RandomNormal(mean, deviation, seed=seed)

    sizes = (inputs, *widths, outputs)
    x = first = keras.Input((inputs,))
    for layer, units in enumerate(sizes[1:]):
        x = keras.layers.Dense(
            units,
            "relu" if layer < len(widths) else None,
            kernel_initializer=law(layer, 0, (sizes[layer], units)),
            bias_initializer=law(layer, 1, (units,)),
        )(x)
    return keras.Model(first, x)
