"""Moments of activations under Gaussian pre-activations: what wide layers average to.

Piecewise-linear activations have closed forms. The smooth ones are integrated by the
trapezoidal rule, whose error falls geometrically for functions that are analytic in a
strip (Trefethen & Weideman 2014, SIAM Review 56); Gauss-Hermite nodes converge slowly
once the variance squeezes the strip, and an odd number of them sits on ReLU's kink.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dlclaims.errors import UsageError, nearest

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Activation:
    """An elementwise nonlinearity and its derivative.

    Parameters
    ----------
    function, derivative : callable
        Elementwise on float64 arrays. Smooth ones are bounded by 1 in size and have
        no pole nearer to the real line than pi/2.
    negative_slope : float, optional
        Slope left of zero where the slope right of zero is 1 and the function is
        linear on both sides; None for a smooth activation.
    """

    function: Callable[[Array], Array]
    derivative: Callable[[Array], Array]
    negative_slope: float | None = None


def _sigmoid(z: Array) -> Array:
    return (1 + np.tanh(z / 2)) / 2


def _sigmoid_derivative(z: Array) -> Array:
    return (1 - np.tanh(z / 2) ** 2) / 4


ACTIVATIONS = {
    "sigmoid": Activation(_sigmoid, _sigmoid_derivative),
    "centred_sigmoid": Activation(lambda z: np.tanh(z / 2) / 2, _sigmoid_derivative),
    "tanh": Activation(np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "relu": Activation(
        lambda z: np.maximum(z, 0.0), lambda z: np.where(z > 0, 1.0, 0.0), 0.0
    ),
    "linear": Activation(lambda z: z, np.ones_like, 1.0),
}


def find(activation: str) -> Activation:
    """Return the activation of this name; UsageError with the nearest name if none."""
    if activation not in ACTIVATIONS:
        raise UsageError(
            "the name of an activation",
            repr(activation),
            nearest(activation, ACTIVATIONS),
        )
    return ACTIVATIONS[activation]


def mean(activation: str, q: npt.ArrayLike) -> Array:
    """Return E phi(sqrt(q) Z) elementwise over the variances `q`."""
    phi, q = find(activation), np.asarray(q, float)
    if phi.negative_slope is not None:
        return (1 - phi.negative_slope) * np.sqrt(q / (2 * np.pi))
    return _expectation(phi.function, q)


def second_moment(activation: str, q: npt.ArrayLike) -> Array:
    """Return E phi(sqrt(q) Z)^2 elementwise over the variances `q`."""
    phi, q = find(activation), np.asarray(q, float)
    if phi.negative_slope is not None:
        return q * (1 + phi.negative_slope**2) / 2
    return _expectation(lambda z: phi.function(z) ** 2, q)


def slope_moment(activation: str, q: npt.ArrayLike, power: int = 2) -> Array:
    """Return E phi'(sqrt(q) Z)^power elementwise over the variances `q`."""
    phi, q = find(activation), np.asarray(q, float)
    if phi.negative_slope is not None:
        return np.full_like(q, (1 + phi.negative_slope**power) / 2)
    return _expectation(lambda z: phi.derivative(z) ** power, q)


def product_moment(activation: str, q: float, correlation: float) -> float:
    """Return E phi(u) phi(v) for Gaussian u, v of variance `q` and this correlation.

    For ReLU this is the arc-cosine kernel of order 1 (Cho & Saul 2009).
    """
    phi, c = find(activation), min(max(correlation, -1.0), 1.0)
    if (slope := phi.negative_slope) is not None:
        kernel = np.sqrt(1 - c**2) + c * (np.pi - np.arccos(c))
        return float(q * ((1 - slope) ** 2 * kernel / (2 * np.pi) + slope * c))
    z, weights = _nodes(q)
    u = np.sqrt(q) * z
    v = c * u[:, None] + np.sqrt(1 - c**2) * u
    return float((weights * phi.function(u)) @ phi.function(v) @ weights)


def _expectation(function: Callable[[Array], Array], q: Array) -> Array:
    z, weights = _nodes(float(np.max(q)))
    return function(np.sqrt(q)[..., None] * z) @ weights


def _nodes(q: float) -> tuple[Array, Array]:
    """Return nodes and weights for E f(sqrt(q) Z): tails below 1e-18, error e^-39.

    The poles of f(sqrt(q) z) lie at least pi / (2 sqrt(q)) off the real line, and the
    error is exp(-2 pi distance / step).
    """
    step = 0.25 / max(1.0, np.sqrt(q))
    z = step * np.arange(-np.ceil(9 / step), np.ceil(9 / step) + 1)
    return z, step * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
