"""Closed forms of recurrent networks: what gates keep, and how many weights they cost.

An LSTM's cell state is c_t = f_t c_{t-1} + i_t c~_t. Where neither gates nor candidate
read the previous output, dc_t/dc_{t-k} is the product of k forget gates, unit by unit
(Hochreiter & Schmidhuber 1997; Gers, Schmidhuber & Cummins 2000). The forget gate f is
the fraction that is kept.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from dlclaims.errors import UsageError

Array = npt.NDArray[np.float64]

#: Nodes of Gauss and Legendre's rule over the logarithm of the time scale.
NODES = 64


def keep(forget_bias: float) -> float:
    """Return the fraction that a forget gate keeps a step, with its bias as its input.

    0.5 at a bias of 0, 0.731 at Keras' default of 1, 0.953 at 3.
    """
    return (1 + math.tanh(forget_bias / 2)) / 2


def half_life(kept: float) -> float:
    """Return the steps in which half is lost at a constant forget gate, ln 2 / -ln f.

    Raises
    ------
    UsageError
        The fraction kept is not within (0, 1).
    """
    if not 0 < kept < 1:
        raise UsageError(
            "a fraction kept within (0, 1)", f"{kept}", "a gate is never fully open"
        )
    return math.log(2) / -math.log(kept)


def log_gate_products(gates: Array) -> Array:
    """Return log |dc_T/dc_{T-k}| for k = 0..T where nothing reads the previous output.

    Parameters
    ----------
    gates : Array, shape (steps, ...)
        Forget gates f_1 to f_T, each within (0, 1).

    Returns
    -------
    Array, shape (steps + 1, ...)
        Sums of the logs of the last k gates; 0 at k = 0.
    """
    sums = np.cumsum(np.log(gates[::-1]), axis=0)
    return np.concatenate([np.zeros_like(sums[:1]), sums])


def log_chrono_gain(lag: int, longest: int) -> float:
    """Return the log rms over units of f^lag under chrono initialisation.

    The forget bias is log u with u uniform on [1, longest - 1] (Tallec & Ollivier 2018,
    sec. 2), so that f = u / (1 + u): units forget at all time scales up to the longest,
    and their rms falls more slowly than any one scale's exponential.

    Parameters
    ----------
    lag : int
    longest : int
        Above 2.
    """
    if longest <= 2:
        raise UsageError("a longest lag above 2", f"{longest}", "take a longer one")
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    end = math.log(longest - 1)
    scale = np.exp((nodes + 1) / 2 * end)
    density = weights * scale * end / 2 / (longest - 2)  # du = u d(log u)
    return 0.5 * math.log(density @ (scale / (1 + scale)) ** (2 * lag))


def log_simple_bound(norm: float, slope: float, lag: int) -> float:
    """Return the log of (norm slope)^lag, which bounds a SimpleRNN's |dh_T/dh_{T-lag}|.

    Parameters
    ----------
    norm : float
        Largest singular value of the recurrent kernel.
    slope : float
        Supremum of the activation's slope: 1 for tanh, 1/4 for the sigmoid (Pascanu,
        Mikolov & Bengio 2013, sec. 2.1).
    """
    return lag * math.log(norm * slope)


def simple_parameters(units: int, features: int) -> int:
    """Return the weights and biases of a simple recurrent layer."""
    return units * (units + features) + units


def lstm_parameters(units: int, features: int) -> int:
    """Return 4 (h (h + d) + h): three gates and the candidate, each an affine map."""
    return 4 * simple_parameters(units, features)


def gru_parameters(units: int, features: int) -> int:
    """Return 3 (h (h + d) + 2 h): two gates and the candidate, as in Keras.

    Its reset gate acts after the product with the recurrent kernel, which has a bias of
    its own (``reset_after=True``).
    """
    return 3 * (simple_parameters(units, features) + units)
