"""Several tests at once: the family-wise error rate, the false discovery rate."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import stats

from dlclaims.statistics.intervals import Array


def holm(p: npt.ArrayLike) -> Array:
    """Return Holm's adjusted p-values (Holm 1979, Scand. J. Statist. 6, 65-70).

    Parameters
    ----------
    p : array_like, shape (..., tests)
        One family a row; NaN is no test, and stays NaN.
    """
    values = np.asarray(p, float)
    order = np.argsort(values, axis=-1, kind="stable")  # NaN last
    tests = np.count_nonzero(~np.isnan(values), axis=-1, keepdims=True)
    remaining = tests - np.arange(values.shape[-1])
    steps = np.take_along_axis(values, order, axis=-1) * remaining
    adjusted = np.empty_like(values)
    stepped = np.minimum(np.maximum.accumulate(steps, axis=-1), 1.0)
    np.put_along_axis(adjusted, order, stepped, axis=-1)
    return adjusted


def benjamini_hochberg(p: npt.ArrayLike) -> Array:
    """Return q-values (Benjamini & Hochberg 1995, J. R. Statist. Soc. B 57, 289-300).

    Parameters
    ----------
    p : array_like, shape (tests,)
    """
    values = np.asarray(p, float)
    return stats.false_discovery_control(values) if len(values) else values
