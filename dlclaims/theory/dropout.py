"""Closed forms of dropout: what is expected over all masks, and what it penalises.

Everywhere `rate` is the probability of dropping an entry and 1 - rate that of keeping
it; kept entries are divided by 1 - rate, as Keras' Dropout does in training, so that
nothing has to be scaled at evaluation.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dlclaims.errors import UsageError

Array = npt.NDArray[np.float64]

#: Units whose masks can be listed: 2^16 masks are still a small table.
MOST_UNITS = 16


def relative_variance(rate: float) -> float:
    """Return the variance of a dropped-out entry in units of its square.

    The entry is multiplied by 0 or 1 / (1 - rate), which has mean 1 and this variance,
    rate / (1 - rate) (Srivastava et al. 2014, sec. 9.1, with p = 1 - rate).
    """
    if not 0 <= rate < 1:
        raise UsageError(
            "a rate of dropping within [0, 1)", f"{rate}", "keep some entries"
        )
    return rate / (1 - rate)


def masks(units: int, rate: float) -> tuple[Array, Array]:
    """Return what every mask multiplies the units by, and its probability.

    Parameters
    ----------
    units : int
        At most `MOST_UNITS`.
    rate : float

    Returns
    -------
    factors : Array, shape (2^units, units)
        0 where a unit is dropped, 1 / (1 - rate) where it is kept.
    probabilities : Array, shape (2^units,)
        Their sum is 1.

    Raises
    ------
    UsageError
        There are too many units, or the rate is not within [0, 1).
    """
    if not 1 <= units <= MOST_UNITS:
        raise UsageError(
            f"1 to {MOST_UNITS} units, whose masks can be listed",
            f"{units}",
            "take fewer, or draw masks at random",
        )
    relative_variance(rate)
    kept = (np.arange(2**units)[:, None] >> np.arange(units)) & 1
    number = kept.sum(axis=1)
    probabilities = (1.0 - rate) ** number * rate ** (units - number)
    return kept / (1 - rate), probabilities


def normalized_geometric_mean(predictions: Array, probabilities: Array) -> Array:
    """Return the weighted geometric mean of distributions, scaled to sum to 1.

    For a softmax of a linear map of the masked inputs this is exactly the prediction
    without masks: the mean log of a softmax is, up to a constant of the example, the
    mean of its logits, which are linear in the mask (Baldi & Sadowski 2013).

    Parameters
    ----------
    predictions : Array, shape (masks, examples, classes)
        Positive, sums of 1 over classes.
    probabilities : Array, shape (masks,)

    Returns
    -------
    Array, shape (examples, classes)
    """
    logs: Array = np.tensordot(probabilities, np.log(predictions), axes=1)
    means = np.exp(logs - logs.max(axis=-1, keepdims=True))
    return means / means.sum(axis=-1, keepdims=True)


def adaptive_ridge(x: Array, y: Array, rate: float) -> Array:
    """Return the weights that minimise the squared loss expected over input dropout.

    |y - Xw|^2 + rate / (1 - rate) sum_j w_j^2 sum_i x_ij^2: a ridge whose penalty is
    scaled by each feature's second moment (Srivastava et al. 2014, sec. 9.1; Wager,
    Wang & Liang 2013).

    Parameters
    ----------
    x : Array, shape (examples, features)
    y : Array, shape (examples,)

    Returns
    -------
    Array, shape (features,)
    """
    gram = x.T @ x
    penalty = relative_variance(rate) * np.diag(np.diag(gram))
    return np.asarray(np.linalg.solve(gram + penalty, x.T @ y), np.float64)


def expected_squared_loss(w: Array, x: Array, y: Array, rate: float) -> float:
    """Return the summed squared loss, expected over dropout of the inputs.

    Parameters
    ----------
    w : Array, shape (features,)
    x : Array, shape (examples, features)
    y : Array, shape (examples,)
    """
    penalty = relative_variance(rate) * np.sum(w**2 * np.sum(x**2, axis=0))
    return float(np.sum((y - x @ w) ** 2) + penalty)
