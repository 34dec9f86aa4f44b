"""MNIST-1D: ten templates, deformed, on 40 positions (Greydanus & Kobak 2024).

The published set is made again, bit for bit, from its parameters and its seed, without
touching global random state; because it is procedural, a fresh test set of any size
costs nothing. Every example takes its draws in the order of the published program, so
that the drawing is a loop; the rest works on all examples at once.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dlclaims.data.classification import Classification
from dlclaims.seeds import MASTER

Array = npt.NDArray[np.float64]

SEED, SAMPLES, TRAIN = 42, 5000, 4000  # as published
TEST = 10_000  # fresh: a binomial error of half a percentage point
LENGTH, PADDED = 40, 72  # positions of an example, and of its template with padding
PADDING = range(36, 61)  # zeros behind a template
TRANSLATIONS = 48
SCALE, SHEAR, CORRELATED_NOISE, NOISE = 0.4, 0.75, 0.25, 0.02

# fmt: off
TEMPLATES = np.array([
    [5, 6,   6.5, 6.75, 7,   7,   7,   7,   6.75, 6.5, 6,   5],
    [5, 3,   3,   3.4,  3.8, 4.2, 4.6, 5,   5.4,  5.8, 5,   5],
    [5, 6,   6.5, 6.5,  6,   5.25, 4.75, 4, 3.5,  3.5, 4,   5],
    [5, 6,   6.5, 6.5,  6,   5,   5,   6,   6.5,  6.5, 6,   5],
    [5, 4.4, 3.8, 3.2,  2.6, 2.6, 5,   5,   5,    5,   5,   5],
    [5, 3,   3,   3,    3,   5,   6,   6.5, 6.5,  6,   4.5, 5],
    [5, 4,   3.5, 3.25, 3,   3,   3,   3,   3.25, 3.5, 4,   5],
    [5, 7,   7,   6.6,  6.2, 5.8, 5.4, 5,   4.6,  4.2, 5,   5],
    [5, 4,   3.5, 3.5,  4,   5,   5,   4,   3.5,  3.5, 4,   5],
    [5, 4,   3.5, 3.5,  4,   5,   5,   5,   5,    4.7, 4.3, 5],
])
# fmt: on


def load() -> Classification:
    """Return the 4000 published training examples and 10,000 fresh test examples."""
    return _classification("mnist1d", is_shuffled=False)


def load_shuffled() -> Classification:
    """Return the same examples with their positions in one random order.

    What is lost is locality, and nothing else: a network without a notion of
    neighbourhood sees the same task.
    """
    return _classification("mnist1d-shuffled", is_shuffled=True)


def published(
    is_shuffled: bool,
) -> tuple[Array, npt.NDArray[np.int64], npt.NDArray[np.intp]]:
    """Return the published set and the order of its positions.

    Returns
    -------
    x : array
        Shape (5000, 40), before the set is brought to mean 0 and variance 1; the first
        4000 are the training set.
    y : array
        Shape (5000,).
    positions : array
        Shape (40,): the original position of each column.
    """
    rng = np.random.RandomState(SEED)
    x, y = signals(SAMPLES, rng)
    order = rng.permutation(SAMPLES)
    if not is_shuffled:
        return x[order], y[order], np.arange(LENGTH)
    positions = rng.permutation(LENGTH)
    return x[order][:, positions], y[order], positions


def signals(
    samples: int, rng: np.random.RandomState
) -> tuple[Array, npt.NDArray[np.int64]]:
    """Return deformed templates, sorted by class.

    Parameters
    ----------
    samples : int
        A multiple of 10.
    rng : RandomState
        The legacy generator: its draws are part of the published set.

    Returns
    -------
    x : array
        Shape (samples, 40).
    y : array
        Shape (samples,).
    """
    from scipy.ndimage import gaussian_filter1d

    y = np.repeat(np.arange(10), samples // 10)
    padding, scale, shift, shear = np.empty((4, samples))
    correlated, independent = np.empty((2, samples, PADDED))
    for i in range(samples):
        padding[i] = rng.rand()
        scale[i] = rng.rand()
        shift[i] = rng.choice(TRANSLATIONS)
        correlated[i] = rng.randn(PADDED)
        independent[i] = rng.randn(PADDED)
        shear[i] = rng.rand()

    x = _padded_templates()[y, (padding * len(PADDING)).astype(int)]
    x *= 1 + SCALE * (scale[:, None] - 0.5)
    source = (np.arange(PADDED) - shift.astype(int)[:, None]) % PADDED
    x = np.take_along_axis(x, source, axis=1)
    background = gaussian_filter1d(CORRELATED_NOISE * correlated, 2, axis=1)
    x = np.where(x != 0, x, background) + NOISE * independent
    x -= SHEAR * (shear[:, None] - 0.5) * np.linspace(-0.5, 0.5, PADDED)
    return np.stack([_resampled(row, LENGTH) for row in x]), y


def _padded_templates() -> Array:
    """Return templates with each number of zeros behind; shape (10, 25, 72)."""
    shapes = TEMPLATES - TEMPLATES.mean(axis=1, keepdims=True)
    shapes /= shapes.std(axis=1, keepdims=True)
    shapes -= shapes[:, :1]
    # The published program tells signal from padding by exact zeros: hence the 1e-8.
    return np.array(
        [
            [_resampled(np.pad(shape / 6 + 1e-8, (0, n)), PADDED) for n in PADDING]
            for shape in shapes
        ]
    )


def _resampled(signal: Array, length: int) -> Array:
    new, old = np.linspace(0, 1, length), np.linspace(0, 1, len(signal))
    return np.interp(new, old, signal)


def _classification(name: str, is_shuffled: bool) -> Classification:
    x, y, positions = published(is_shuffled)
    fresh, fresh_y = signals(TEST, np.random.RandomState(MASTER))
    everything = np.concatenate([x[:TRAIN], fresh[:, positions]])
    return Classification(
        name,
        ((everything - x.mean()) / x.std()).astype(np.float32),
        np.concatenate([y[:TRAIN], fresh_y]).astype(np.int32),
        classes=10,
        pool=TRAIN,
        test=TEST,
    )
