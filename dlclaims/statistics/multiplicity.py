"""Several tests at once: the family-wise error rate, the false discovery rate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats


def holm(p: Sequence[float]) -> np.ndarray:
    """Return Holm's adjusted p-values (Holm 1979), shape (len(p),)."""
    values = np.asarray(p, float)
    order = np.argsort(values, kind="stable")
    remaining = len(values) - np.arange(len(values))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * remaining), 1.0)
    return adjusted


def benjamini_hochberg(p: Sequence[float]) -> np.ndarray:
    """Return q-values (Benjamini & Hochberg 1995), shape (len(p),)."""
    values = np.asarray(p, float)
    return stats.false_discovery_control(values) if len(values) else values
