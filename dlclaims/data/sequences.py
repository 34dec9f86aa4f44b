"""Sequences that are drawn on demand: recall, addition and copying over a lag.

Each function returns ``draw(rng, n)``, which an `engine.Stream` takes: x of shape
(n, steps, features), float32, and y. The losses that need no memory are exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from dlclaims.errors import UsageError

Draw = Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]

SYMBOLS = 8
COPIED = 10  # symbols of the copy problem
DESIGNS = ("free", "spread", "cued", "reset")
WITHOUT_CUE = ("free", "spread")  # their other symbols are no targets


def recall(design: str, lag: int) -> Draw:
    """Return sequences of ``lag + 1`` symbols whose target is to be named at the end.

    Parameters
    ----------
    design : str
        ``free``: the target comes first, and what follows are other symbols than it
        can be. ``spread``: as ``free``, but the target comes at any step but the last,
        so that all lags up to `lag` are seen. ``cued``: what follows are the same
        symbols, and a cue marks the target. ``reset``: as ``cued``, but each later
        symbol of the first half has a cue too with probability 1/2, and then replaces
        the target: the last one with a cue is asked for.
    lag : int
        Symbols after the target (of ``reset``: after the first one), 2 or more.

    Returns
    -------
    callable
        y holds the target, from 0 to 7. x are indicators of the symbols; twice as many
        where there is no cue, otherwise with the cue as the last feature.

    Raises
    ------
    UsageError
        There is no such design, or the lag is below 2.
    """
    if design not in DESIGNS or lag < 2:
        raise UsageError(
            f"a design of {', '.join(DESIGNS)} and a lag from 2 up",
            f"{design!r}, lag {lag}",
            "name one of them",
        )
    steps = lag + 1

    def draw(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        symbols = rng.integers(SYMBOLS, size=(n, steps))
        place = np.zeros((n, 1), int)
        if design == "spread":
            place = rng.integers(lag, size=(n, 1))
        has_cue = np.zeros((n, steps), bool)
        has_cue[:, 0] = True
        if design == "reset":
            half = slice(1, (lag + 1) // 2 + 1)
            has_cue[:, half] = rng.random(has_cue[:, half].shape) < 0.5
            place = steps - 1 - has_cue[:, ::-1].argmax(axis=1, keepdims=True)
        y = np.take_along_axis(symbols, place, axis=1)[:, 0].astype("int32")
        x = np.zeros((n, steps, recall_features(design)), "float32")
        if design in WITHOUT_CUE:
            is_target = np.arange(steps) == place
            symbols = np.where(is_target, symbols, symbols + SYMBOLS)
        else:
            x[..., -1] = has_cue
        np.put_along_axis(x, symbols[..., None], 1, axis=2)
        return x, y

    return draw


def recall_features(design: str) -> int:
    """Return how many features a step of `recall` has."""
    return 2 * SYMBOLS if design in WITHOUT_CUE else SYMBOLS + 1


#: Nats that guessing costs in `recall`, and how often it is right.
RECALL_LOSS, RECALL_CHANCE = math.log(SYMBOLS), 1 / SYMBOLS


def adding(steps: int) -> Draw:
    """Return the adding problem: the sum of two marked numbers of a sequence.

    Hochreiter & Schmidhuber 1997, Neural Computation 9, 1735-1780. The numbers are
    uniform on [0, 1]; one is marked in each half.

    Returns
    -------
    callable
        x has the numbers and the marks as features; y is of shape (n, 1).
    """

    def draw(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        values = rng.random((n, steps), dtype="float32")
        half = steps // 2
        marked = np.stack(
            [rng.integers(half, size=n), rng.integers(half, steps, size=n)], axis=1
        )
        marks = np.zeros_like(values)
        np.put_along_axis(marks, marked, 1, axis=1)
        y = np.take_along_axis(values, marked, axis=1).sum(axis=1, keepdims=True)
        return np.stack([values, marks], axis=2), y

    return draw


#: Mean squared error of the best constant: twice the variance of a uniform number.
ADDING_LOSS = 1 / 6


def copying(lag: int) -> Draw:
    """Return the copy problem: ten symbols to be repeated after a lag.

    Arjovsky, Shah & Bengio 2016, ICML: ten of eight symbols, ``lag - 1`` blanks, a
    delimiter, ten blanks; the output is blank until the last ten steps.

    Returns
    -------
    callable
        x has indicators of 10 entries (8 symbols, blank, delimiter); y, of shape
        (n, lag + 20), what is to be named at each step.
    """

    def draw(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        symbols = rng.integers(SYMBOLS, size=(n, COPIED))
        shown = np.full((n, lag + 2 * COPIED), SYMBOLS)
        shown[:, :COPIED] = symbols
        shown[:, COPIED + lag - 1] = SYMBOLS + 1
        y = np.full_like(shown, SYMBOLS)
        y[:, -COPIED:] = symbols
        x = np.zeros((*shown.shape, SYMBOLS + 2), "float32")
        np.put_along_axis(x, shown[..., None], 1, axis=2)
        return x, y.astype("int32")

    return draw


def copying_loss(lag: int) -> float:
    """Return the cross-entropy a step, in nats, of blanks and then guesses."""
    return COPIED * math.log(SYMBOLS) / (lag + 2 * COPIED)
