"""Wide blocks at initialisation, written out: what one adds, what it passes back."""

from __future__ import annotations

import math

import numpy as np


def weights(rng: np.random.Generator, width: int, scale: float = 2.0) -> np.ndarray:
    """Draw a square layer of variance scale / width; He's rule has scale 2."""
    return rng.standard_normal((width, width)) * math.sqrt(scale / width)


def normalized(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a batch at mean 0 and variance 1 in every unit, and its deviations.

    Parameters
    ----------
    x : np.ndarray
        Shape (examples, width).
    """
    deviation = x.std(axis=0)
    return (x - x.mean(axis=0)) / deviation, deviation


def rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(x**2)))
