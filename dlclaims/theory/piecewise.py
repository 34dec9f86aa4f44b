"""Piecewise linear functions: the folded tent, and the pieces of ReLU networks.

A ReLU network is linear between the points where one of its units switches. On a line
these breakpoints can be followed from layer to layer without any grid, so that they are
counted exactly, up to rounding.

The tent maps 0, 1/2 and 1 to 0, 1 and 0. Folded k times, which is applied k times, it
has 2^k pieces on [0, 1] between 2^k + 1 extrema, and needs k layers of two units. One
hidden layer of m units has m + 1 pieces at most, each of which crosses the height 1/2
once, so that below 2^k - 1 units it misses an extremum by 1/2 or more (Telgarsky 2015).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

#: Breakpoints that are nearer to each other are one, as fractions of the segment.
NEAR = 1e-12


def tent(x: npt.ArrayLike, folds: int) -> Array:
    """Return the tent, folded so many times, at points of [0, 1].

    In closed form, not by applying the tent again and again: a triangle wave.
    """
    return np.asarray(1 - np.abs(1 - np.mod(2.0**folds * np.asarray(x, float), 2)))


def extrema(folds: int) -> Array:
    """Return where the folded tent is 0 or 1, in turn; shape (2^folds + 1,)."""
    return np.arange(2**folds + 1) / 2**folds


def tent_weights(layers: int, folds: int | None = None) -> list[Array]:
    """Return weights of a ReLU network that is the folded tent on [0, 1].

    Every layer holds max(t, 0) and max(t - 1/2, 0), where t is the tent folded as often
    as there are layers before; the next t is 2 max(t, 0) - 4 max(t - 1/2, 0). A layer
    that is more than is needed passes t on.

    Parameters
    ----------
    layers : int
        Hidden layers of two units.
    folds : int, optional
        At most `layers`, which is the default.

    Returns
    -------
    list of Array
        Kernels, shape (inputs, units), and biases in turn, the read-out last.
    """
    folds = layers if folds is None else folds
    tents, same = np.array([2.0, -4.0]), np.array([1.0, 0.0])
    weights = [np.ones((1, 2)), np.array([0.0, -0.5])]
    for layer in range(2, layers + 1):
        t = tents if layer - 1 <= folds else same
        weights += [np.stack([t, t], axis=1), np.array([0.0, -0.5])]
    last = tents if layers <= folds else same
    return [*weights, last[:, None], np.zeros(1)]


def deep_parameters(folds: int) -> int:
    """Return the weights of `tent_weights`: 4 + 6 (folds - 1) + 3."""
    return 6 * folds + 1


def shallow_parameters(units: int) -> int:
    """Return the weights of one hidden layer with one input and one output."""
    return 3 * units + 1


def fewest_units(folds: int) -> int:
    """Return below how many units one hidden layer misses the tent by 1/2 or more.

    Whoever is nearer than 1/2 to all 2^folds + 1 extrema crosses the height 1/2 between
    any two neighbours, 2^folds times, and a piece crosses it once (Telgarsky 2015).
    """
    return 2**folds - 1


def exact_units(folds: int) -> int:
    """Return how many units of one hidden layer are the folded tent itself.

    One that is on from 0, and one for each of the 2^folds - 1 bends.
    """
    return 2**folds


def most_regions(widths: Sequence[int]) -> int:
    """Return an upper bound on a ReLU network's regions along a line.

    On each region of the layers before, a unit is linear and switches once at most, so
    that a layer multiplies the regions by its width + 1 at most.
    """
    return prod(width + 1 for width in widths)


def breakpoints(weights: Sequence[Array], start: Array, end: Array) -> Array:
    """Return where any unit of a ReLU network switches on the way from start to end.

    Layer by layer: between the breakpoints of the layers before, a pre-activation is
    linear, so that its sign changes tell where it is 0.

    Parameters
    ----------
    weights : sequence of Array
        Kernels, shape (inputs, units), and biases in turn, the read-out last.
    start, end : Array, shape (inputs,)

    Returns
    -------
    Array
        Fractions of the way, ascending, within (0, 1); one more region than these.
    """
    return _followed(weights, start, end)[0][1:-1]


def pieces(weights: Sequence[Array], start: Array, end: Array) -> int:
    """Return on how many intervals of the way the network's one output is linear.

    Fewer than its regions where a switch does not reach the output.
    """
    places, values = _followed(weights, start, end)
    slopes = np.diff(values @ weights[-2][:, 0]) / np.diff(places)
    bends = np.abs(np.diff(slopes)) > 1e-9 * np.abs(slopes).max(initial=1e-300)
    return 1 + int(bends.sum())


def _followed(
    weights: Sequence[Array], start: Array, end: Array
) -> tuple[Array, Array]:
    """Return breakpoints with both ends, and the last hidden layer's values there."""
    places = np.array([0.0, 1.0])
    values = np.stack([start, end]).astype(float)
    for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        z = values @ kernel + bias
        piece, unit = np.nonzero(z[:-1] * z[1:] < 0)
        left, right = z[piece, unit], z[piece + 1, unit]
        share = left / (left - right)
        new = places[piece] + share * (places[piece + 1] - places[piece])
        between = z[piece] + share[:, None] * (z[piece + 1] - z[piece])
        order = np.argsort(np.concatenate([places, new]), kind="stable")
        places = np.concatenate([places, new])[order]
        z = np.concatenate([z, between])[order]
        is_new = np.concatenate([[True], np.diff(places) > NEAR])
        is_new[-1] = True  # the end itself stays
        places, values = places[is_new], np.maximum(z[is_new], 0)
    return places, values
