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
    outputs: int = 1,
    bias: float | None = None,
    near: Sequence[np.ndarray] = (),
    noise: float = 0.0,
) -> keras.Model:
    """Build a dense ReLU network with a linear read-out.

    Parameters
    ----------
    inputs, outputs : int
    widths : sequence of int
        Of the hidden layers, whose weights follow He's law; the read-out's have half
        that variance.
    bias : float, optional
        Deviation of all biases; by default they are as large as the weights beside
        them, like weights of one more input of 1. With Keras' zeros every kink of a
        network of one input would lie at 0.
    near : sequence of np.ndarray, optional
        Start near these instead: kernels and biases in turn, as large as the network's
        or smaller. Further units start at random, with weights of 0 to those given, so
        that they do not change what the network computes.
    noise : float
        Deviation from `near`, as a fraction of each weight.
    """
    import keras

    sizes = (inputs, *widths, outputs)

    def law(layer: int, is_bias: bool, shape: tuple[int, ...]) -> keras.Initializer:
        number = 2 * layer + is_bias
        own = math.sqrt((2 if layer < len(widths) else 1) / sizes[layer])
        if not near:
            deviation = bias if is_bias and bias is not None else own
            return keras.initializers.RandomNormal(0.0, deviation, seed=number)
        given = near[number]
        mean, around = np.zeros(shape), np.zeros(shape)
        around[..., given.shape[-1] :] = own  # units that are more than those given
        place = tuple(slice(size) for size in given.shape)
        mean[place], around[place] = given, noise * np.abs(given)
        # Keras' normal law takes arrays as well, an own mean for each entry.
        return keras.initializers.RandomNormal(mean, around, seed=number)

    x = first = keras.Input((inputs,))
    for layer, units in enumerate(sizes[1:]):
        x = keras.layers.Dense(
            units,
            "relu" if layer < len(widths) else None,
            kernel_initializer=law(layer, False, (sizes[layer], units)),
            bias_initializer=law(layer, True, (units,)),
        )(x)
    return keras.Model(first, x)
